"""A finished folder whose tables are damaged is named by report and pick, without a traceback."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from damages import DAMAGES, Evil, damage
from meddistill.errors import DamagedError
from meddistill.stack.folder import dumped, undumped
from meddistill.sweeps.jobs import add_row, read_rows

QUICK = ("distill", "loss=ce", "student=mlp_tiny", "trainer.max_epochs=2", "logger=none")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return tmp_path_factory.mktemp("finished")


@pytest.fixture
def sweep(meddistill, finished, tmp_path):
    """A copy of a finished sweep of one job with two students."""
    if not (finished / "sweep").exists():
        axes = ("seed=0,1", "hydra.sweep.dir=sweep")
        assert meddistill(QUICK[0], "-m", *QUICK[1:], *axes)[0] == 0
        shutil.copytree("sweep", finished / "sweep")
        shutil.rmtree("sweep")
    return Path(shutil.copytree(finished / "sweep", "sweep"))


@pytest.fixture
def run(meddistill, finished):
    if not (finished / "run").exists():
        assert meddistill(*QUICK, "hydra.run.dir=run")[0] == 0
        shutil.copytree("run", finished / "run")
        shutil.rmtree("run")
    return Path(shutil.copytree(finished / "run", "run"))


def refused(meddistill, name, *arguments):
    code, out, err = meddistill(*arguments)
    assert (code, err.count("\n")) == (2, 1), out + err
    assert err.startswith("meddistill: error: ")
    assert name in err
    assert "Traceback" not in out + err


@pytest.mark.parametrize("name", ["metrics.json", "predictions.parquet", "identity.json"])
def test_a_damaged_file_of_a_run_is_named(meddistill, run, name):
    whole = (run / name).read_bytes()
    kinds = ["cut"] if name == "identity.json" else set(DAMAGES) - {"flipped"}  # it is read last
    for kind in kinds:
        damage(run / name, kind)
        refused(meddistill, f"run/{name}", "report", "run")
        (run / name).write_bytes(whole)
    (run / name).unlink()
    refused(meddistill, "run", "report", "run")


def test_a_probability_that_is_no_number_is_named_with_its_row(meddistill, run):
    table = pd.read_parquet(run / "predictions.parquet")
    table.loc[[7, 9], "p_benign"] = np.nan
    table.to_parquet(run / "predictions.parquet", index=False)
    row = table["row"][7]
    refused(meddistill, f"2 line(s) hold a probability that is no number, first of row {row})",
            "report", "run")  # fmt: skip


OF_A_SWEEP = ("jobs.csv", "job/metrics.csv", "job/members.zip", "job/predictions.parquet",
              "job/job.json", "job/config.yaml")  # fmt: skip


@pytest.mark.parametrize("name", OF_A_SWEEP)
def test_a_damaged_table_of_a_sweep_is_named(meddistill, sweep, name):
    (job,) = (path.parent for path in sweep.glob("*/metrics.csv"))
    file = sweep / name if name == "jobs.csv" else job / name.partition("/")[2]
    whole = file.read_bytes()
    reported = file.suffix == ".csv"
    command = ("report", "sweep") if reported else ("pick", "sweep", "--best", "--to", "picked")
    for kind in set(DAMAGES) - {"flipped"}:
        damage(file, kind)
        refused(meddistill, file.name, *command)
        file.write_bytes(whole)
        shutil.rmtree("picked", ignore_errors=True)


@pytest.mark.parametrize("content", [b"", pickle.dumps(Evil(), 2), b"PK", dumped({})[:-3]], ids=len)
def test_a_part_that_torch_did_not_write_is_named_and_not_unpickled(tmp_path, content):
    with pytest.raises(DamagedError, match=r"0\.ckpt is damaged"):
        undumped(content, tmp_path / "0.ckpt")
    assert not Path("touched").exists()


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_job_is_listed_in_a_damaged_list_of_jobs(tmp_path, kind, caplog):
    job = {"status": "completed", "seed": 0, "overrides": '["seed=0"]', "error": ""}
    for number in (1, 2):
        add_row(tmp_path / "jobs.csv", {"job": number, "folder": f"job{number}", **job})
    damage(tmp_path / "jobs.csv", kind)
    add_row(tmp_path / "jobs.csv", {"job": 2, "folder": "job2", **job})
    assert "2" in [row["job"] for row in read_rows(tmp_path / "jobs.csv")]
    assert kind == "flipped" or "jobs.csv is damaged" in caplog.text
