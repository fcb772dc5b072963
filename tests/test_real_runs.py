"""Whole runs on real tables of patients, where the folder of them is named."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pandas as pd
import pytest

import meddistill as package

FOLDER = os.environ.get("MEDDISTILL_DATA")
pytestmark = pytest.mark.skipif(
    not FOLDER, reason="MEDDISTILL_DATA names no folder of real data to read"
)
TEACHER = ("teacher=mlp", "teacher.network.width=64", "teacher.trainer.max_epochs=20")


@pytest.mark.parametrize(
    ("name", "drop", "classes", "least"),
    [
        ("heart_uci_4sites.csv", "severity_num", 2, 0.85),
        ("cardiotocography.csv", "recording", 3, 0.9),
        ("hcv.csv", "", 5, 0.7),
    ],
)
def test_a_student_learns_a_real_table_from_its_teacher(meddistill, name, drop, classes, least):
    path = Path(str(FOLDER)) / name
    code, out, err = meddistill(
        "distill", *TEACHER, "trainer.max_epochs=60", "data=table", f"data.path={path}",
        "data.target=target", f"data.drop=[{drop}]", "hydra.run.dir=run",
    )  # fmt: skip
    assert code == 0, err
    assert "columns read as numeric" in out
    metrics = json.loads(Path("run/metrics.json").read_text())
    assert len(metrics["data"]["classes"]) == classes
    assert metrics["student"]["test"]["auroc"] > least
    rows = pd.read_csv(path, dtype=str)
    table = pd.read_parquet("run/predictions.parquet")
    answers = package.predict("run", rows)
    assert abs(answers.to_numpy() - table.filter(like="p_").to_numpy()).max() < 1e-6
