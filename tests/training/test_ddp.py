"""Two processes on the CPU give the numbers of one."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pandas as pd
import pytest

from conftest import SMALL_TEACHER

SETTINGS = [*SMALL_TEACHER, "trainer.max_epochs=4", "trainer.accelerator=cpu", "data.labels=0.5"]


@pytest.mark.slow
def test_two_processes_give_the_metrics_of_one_and_count_no_row_twice(tmp_path):
    environment = {**os.environ, "MEDDISTILL_STORE": str(tmp_path / "store")}
    environment.pop("LOCAL_RANK", None)
    for name, accelerator in {"one": "cpu", "two": "ddp"}.items():
        done = subprocess.run(
            [sys.executable, "-m", "meddistill", "distill", f"accelerator={accelerator}", *SETTINGS,
             f"hydra.run.dir={name}"],
            cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=200, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    metrics = [
        json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("one", "two")
    ]
    files = [tmp_path / name / "logs/version_0/metrics.csv" for name in ("one", "two")]
    logs = [pd.read_csv(file).dropna(subset="train/loss") for file in files]  # a row an epoch
    assert [len(log) for log in logs] == [4, 4]
    # A row more or less in any of these, or a mean of ranks' means, would show.
    assert logs[0].columns.equals(logs[1].columns)
    for column in ("val/log_loss", "val/auroc", "val/accuracy", "train/loss"):
        assert list(logs[1][column]) == pytest.approx(list(logs[0][column]), abs=1e-5)
    for part in ("validation", "test"):
        assert metrics[1]["student"][part] == pytest.approx(metrics[0]["student"][part], abs=1e-4)
    rows = [
        len(pd.read_parquet(tmp_path / name / "predictions.parquet")) for name in ("one", "two")
    ]
    assert rows == [569, 569]
    assert not (tmp_path / "two" / "logs" / "version_1").exists()
