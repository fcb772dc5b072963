"""Sweeps of every kind through launchers that start processes, and none of them without one."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import SMALL_TEACHER

pytestmark = pytest.mark.slow
QUICK = (*SMALL_TEACHER, "student=mlp_tiny", "trainer.max_epochs=2")
TRIAL = ("arm=[teacher,student_alone,distilled]", "trial.repeats=2", "trial.seeds=1",
         "arms.distilled.tune={loss.temperature:[1.0],loss.alpha:[0.5]}",
         "arms.student_alone.tune={optimizer.weight_decay:[0.0]}")  # fmt: skip
LAUNCHERS = {
    "joblib": ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2"),
    "ray": ("hydra/launcher=ray", "+hydra.launcher.ray.init.num_cpus=2"),
}


@pytest.fixture(params=LAUNCHERS)
def sweep(request, tmp_path):
    """A sweep by one of the launchers: verb and arguments -> what the process came to."""
    plugin = f"hydra_plugins.hydra_{request.param}_launcher"
    pytest.importorskip(plugin, reason=f"needs meddistill[{request.param}]")

    def run(verb, *arguments):
        return subprocess.run(
            [sys.executable, "-m", "meddistill", verb, "-m", *LAUNCHERS[request.param], *arguments,
             "hydra.sweep.dir=sweep"],
            cwd=tmp_path, env={**os.environ, "MEDDISTILL_STORE": "store"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    return run


def rows(path: Path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_stacked_sweep_in_two_jobs_shares_one_teacher(sweep, tmp_path):
    done = sweep("distill", *QUICK, "seed=0,1,2", "hydra.sweeper.members_per_job=2")
    assert done.returncode == 0, done.stderr
    students = rows(tmp_path / "sweep" / "sweep.csv")
    assert sorted(row["seed"] for row in students) == ["0", "1", "2"]
    assert len({row["teacher/key"] for row in students}) == 1
    assert len(list((tmp_path / "store" / "teachers").glob("*/manifest.json"))) == 1
    assert len({row["folder"] for row in students}) == 2
    assert "Choose on validation, look at test" in done.stdout


def test_a_failed_job_of_a_basic_sweep_says_why_and_the_other_is_kept(sweep, tmp_path):
    done = sweep("distill", *QUICK, "hydra/sweeper=basic", "optimizer.lr=-1,0.01")
    assert done.returncode == 2, done.stdout
    assert "Invalid learning rate: -1" in done.stderr
    found = sorted(rows(tmp_path / "sweep" / "jobs.csv"), key=lambda row: row["job"])
    assert [row["status"] for row in found] == ["failed", "completed"]


def test_trials_stand_side_by_side_with_their_verdicts(sweep, tmp_path):
    done = sweep("trial", *QUICK, *TRIAL, "student=mlp_tiny,logistic", "loss.temperature=2,-1")
    assert done.returncode == 2  # for the temperature of -1
    assert "loss.temperature=-1: must be a number above 0" in done.stderr
    found = rows(tmp_path / "sweep" / "verdicts.csv")
    assert [row["student"] for row in found] == ["mlp_tiny"] * 4 + ["logistic"] * 4
    assert {row["loss.temperature"] for row in found} == {"2"}
    assert {row["measure"] for row in found} == {"auroc", "log_loss"}
    for row in found:
        assert float(row["main"]) - float(row["baseline"]) == pytest.approx(float(row["mean"]))
        assert (tmp_path / "sweep" / row["folder"] / "report.html").exists()
    report = (tmp_path / "sweep" / "report.md").read_text()
    assert report.count("failed: arms.distilled.loss.temperature=-1") == 2


def test_optuna_searches_through_it(sweep, tmp_path):
    pytest.importorskip("optuna", reason="needs meddistill[optuna]")
    done = sweep("distill", *QUICK, "experiment=optuna", "hydra.sweeper.n_trials=3",
                 "hydra.sweeper.n_jobs=2", "stack.axes=['seed=0,1']")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(rows(tmp_path / "sweep" / "jobs.csv")) == 3


def test_no_launcher_is_imported_without_being_asked_for(tmp_path):
    script = (
        "import sys; from meddistill.cli import main\n"
        f"sys.argv = ['meddistill', 'distill', '-m', *{QUICK!r}, 'seed=0,1']\n"
        "try: main()\nexcept SystemExit: pass\n"
        "heavy = {'submitit', 'ray', 'optuna', 'meddistill.sweeps.slurm'} & set(sys.modules)\n"
        "print('imported:', heavy)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True,
                          text=True, check=False)  # fmt: skip
    assert "imported: set()" in done.stdout, done.stdout + done.stderr
