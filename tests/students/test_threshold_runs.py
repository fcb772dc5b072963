"""A threshold that validation rows choose: kept in the folder, used by predict, in every report."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import meddistill as package
from conftest import SMALL_TEACHER
from meddistill.evaluation.thresholds import rule_of
from meddistill.inference.card import CARD
from meddistill.inference.loading import load_model

RUN = ("distill", *SMALL_TEACHER, "student=mlp_tiny", "logger=none", "trainer.max_epochs=4")


def metrics(folder):
    return json.loads((Path(folder) / "metrics.json").read_text())


def test_a_run_keeps_its_threshold_and_predict_decides_by_it(meddistill, cohort):
    chosen = ("threshold=sensitivity:0.95", "hydra.run.dir=run")
    code, out, err = meddistill(*RUN, *chosen)
    assert code == 0
    assert "too few to promise it" in out + err
    assert "finds 95% of positive validation rows" in " ".join(out.split())
    table = pd.read_parquet("run/predictions.parquet")
    held = table[table["split"] == "validation"]
    answers = held[["p_benign", "p_malignant"]].to_numpy()
    threshold = rule_of("sensitivity:0.95")(answers, (held["label"] == "malignant").to_numpy())
    found = metrics("run")
    assert found["threshold"] == "sensitivity:0.95"
    assert found["student"]["threshold"] == threshold != found["teacher"]["threshold"]
    model = load_model("run")
    assert model.card.threshold == threshold
    frame = cohort.records.frame
    called = package.predict("run", frame)["decision"]
    expected = np.where(table["p_malignant"] >= threshold, "malignant", "benign")
    assert called.tolist() == expected.tolist() == model.predict(frame).tolist()
    test = table[table["split"] == "test"]
    hit = (test["p_malignant"] >= threshold)[test["label"] == "malignant"].mean()
    assert found["student"]["test"]["sensitivity"] == pytest.approx(hit)
    assert meddistill("export", "run", "--to", "handed")[0] == 0
    assert load_model("handed").card.threshold == threshold
    assert meddistill("report", "run")[0] == 0
    page = Path("run/report.html").read_text()
    assert "At the threshold" in page
    assert "positive predictive value" in page


def test_by_default_a_folder_has_no_threshold_and_predict_no_decisions(meddistill, cohort):
    assert meddistill(*RUN, "hydra.run.dir=run")[0] == 0
    assert "threshold" not in json.loads(Path("run", CARD).read_text())
    frame = cohort.records.frame
    answers = package.predict("run", frame)
    assert list(answers) == ["benign", "malignant"]
    called = load_model("run").predict(frame)
    assert (called == "malignant").tolist() == (answers["malignant"] >= 0.5).tolist()


def test_each_student_of_a_sweep_has_its_own_and_keeps_it_when_it_is_picked(meddistill):
    swept = ("threshold=youden", "seed=0,1", "loss=ce", "hydra.sweep.dir=sweep")
    assert meddistill(RUN[0], "-m", *RUN[1:], *swept)[0] == 0
    frame = pd.read_csv("sweep/sweep.csv")
    assert frame["val/threshold"].nunique() == 2
    assert set(frame["threshold"]) == {"youden"}
    assert meddistill("pick", "sweep", "seed=1", "--to", "picked")[0] == 0
    own = frame.set_index("seed").loc[1]
    assert load_model("picked").card.threshold == pytest.approx(own["val/threshold"])
    found = metrics("picked")["student"]["test"]
    assert found["sensitivity"] == pytest.approx(own["test/sensitivity"])


@pytest.mark.parametrize("wrong", ["yuden", "sensitivity:2", "2"])
def test_a_wrong_threshold_is_refused_before_anything_is_read(wrong, meddistill):
    code, _, err = meddistill(*RUN, f"threshold={wrong}")
    assert code == 2
    assert f"threshold={wrong}" in err
