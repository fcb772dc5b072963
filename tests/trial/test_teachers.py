"""A trial with every teacher of conf/teacher: it is judged, and its costs are counted."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kinds import layout_of_teacher, rows_for, save_gmt
from meddistill.config.confdir import choices

TRIAL = ("trial", "trainer.max_epochs=2", "trial.repeats=2", "trial.seeds=1",
         "trial.few_labels=null", "arm=[teacher,student_alone,distilled]",
         "arms.student_alone.tune={optimizer.weight_decay:[0.0]}",
         "arms.distilled.tune={loss.temperature:[1.0],loss.alpha:[0.5]}",
         "hydra.run.dir=trial")  # fmt: skip
SHORT = ["teacher.trainer.max_epochs=1"]
NARROW = [*SHORT, "teacher.network.width=4"]
SMALL = {
    "boosting": ["teacher.estimator.max_iter=3", "teacher.folds=2"],
    "estimator": ["teacher.estimator._target_=sklearn.naive_bayes.GaussianNB", "teacher.folds=2"],
    "forest": ["teacher.trees=5", "teacher.folds=2"],
    "scores": ["teacher.path=scores.csv"],
    "several": ["teacher.of.forest.trees=5", "teacher.of.forest.folds=2",
                "teacher.of.mlp_ensemble.trainer.max_epochs=1"],
    "several_series": ["teacher.of.boosting.estimator.max_iter=3", "teacher.of.boosting.folds=2",
                       "teacher.of.gru_ensemble.network.width=4",
                       "teacher.of.gru_ensemble.trainer.max_epochs=1"],
    "monai_densenet": [*NARROW, "teacher.network.blocks=[1,1]"],
}  # fmt: skip
OF_PACKAGE = {"ft_transformer": "rtdl_revisiting_models", "resnet": "rtdl_revisiting_models",
              "monai_densenet": "monai"}  # fmt: skip
NOT_COUNTED = {"boosting", "estimator", "forest", "scores", "several", "several_series"}

ALIKE = {"lstm", "gru_d", "gru_ensemble", "tcn", "monai_densenet"}
"""Networks whose rows another teacher here reads; that they teach, `test_configs.py` shows."""
TEACHERS = [name for name in choices("teacher") if name not in {"checkpoint", *ALIKE}]


@pytest.mark.slow
@pytest.mark.parametrize("teacher", TEACHERS)
def test_a_trial_ends_with_verdicts_and_costs(teacher, meddistill, tmp_path, cohort):
    if teacher in OF_PACKAGE:
        pytest.importorskip(OF_PACKAGE[teacher], reason="is an extra")
    layout = layout_of_teacher(teacher)
    rows = rows_for(layout, tmp_path) or ["student=mlp_tiny"]
    if teacher == "scores":
        chances = np.random.default_rng(0).uniform(0.1, 0.9, 569)
        pd.DataFrame({"benign": chances, "malignant": 1 - chances}).to_csv(
            "scores.csv", index=False
        )
    if teacher == "pathway":
        rows += [f"teacher.network.gmt={save_gmt(tmp_path, cohort.records.columns)}"]
    usual = SHORT if layout == "vector" else NARROW
    code, _, err = meddistill(*TRIAL, *rows, f"teacher={teacher}", *SMALL.get(teacher, usual))
    assert code == 0, err
    found = json.loads(Path("trial/results.json").read_text())
    assert found["settings"][0]["differences"]["distilled"]["log_loss"]["word"]
    costs = found["trial"]["costs"]["teacher"]
    assert (costs.get("raw_row_ms") is None) == (teacher == "scores")
    assert (costs.get("multiply_adds") is None) == (teacher in NOT_COUNTED)


def test_a_checkpoint_of_another_split_is_no_teacher_of_a_trial(meddistill):
    assert meddistill("teacher", "teacher=mlp", *SHORT, "hydra.run.dir=taught")[0] == 0
    code, _, err = meddistill(
        *TRIAL, "student=mlp_tiny", "teacher=checkpoint", "teacher.path=taught"
    )
    assert code == 2
    assert "rows that are test rows now, so its answers there would be no test" in err
