"""A trial is one run of a logger, with its settings and what each arm came to."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import yaml

from meddistill.trial.logs import measures_of

SMALL = (
    "trial", "teacher=estimator", "teacher.estimator._target_=sklearn.tree.DecisionTreeClassifier",
    "+teacher.estimator.max_depth=3", "teacher.out_of_fold=false", "student=mlp_tiny",
    "trainer.max_epochs=1", "trial.repeats=2", "trial.seeds=1", "hydra.run.dir=run",
    "arm=[teacher,student_alone,distilled]", "arms.distilled.tune={loss.temperature:[1.0]}",
    "arms.student_alone.tune={optimizer.weight_decay:[0.0]}",
)  # fmt: skip


def test_a_trial_logs_its_settings_and_each_arms_measures_and_differences(meddistill):
    loggers = ["csv"]
    try:
        import tensorboard  # noqa: F401

        loggers.append("tensorboard")
    except ImportError:
        pass
    code, out, err = meddistill(*SMALL, f"logger=[{','.join(loggers)}]")
    assert code == 0, err
    assert "one by one" not in out, "students are stacked, whatever logs"
    (file,) = Path("run/logs").rglob("metrics.csv")
    logged = pd.read_csv(file)
    results = json.loads(Path("run/results.json").read_text())["settings"]
    assert logged["step"].tolist() == list(range(len(results))) == [0, 1]
    for setting, row in zip(results, logged.to_dict("records"), strict=True):
        own = setting["arms"]["distilled"]["measures"]["auroc"]["mean"]
        assert row["distilled/auroc"] == pytest.approx(own)
        found = setting["differences"]["distilled"]["auroc"]
        for end in ("low", "high"):
            assert row[f"difference/distilled/auroc_{end}"] == pytest.approx(found[end])
    (params,) = (path for path in Path("run/logs").rglob("hparams.yaml")
                 if (path.parent / "metrics.csv").exists())  # fmt: skip
    assert yaml.safe_load(params.read_text())["trial.repeats"] == 2
    assert len(list(Path("run/logs").rglob("events.*"))) == len(loggers) - 1
    meddistill(*SMALL, f"logger=[{','.join(loggers)}]")
    assert len(list(Path("run/logs").rglob("metrics.csv"))) == 1, "shown again, and not logged so"


def test_a_trials_logger_that_can_not_be_built_is_told_of_before_anything_is_read(meddistill):
    code, _, err = meddistill(*SMALL, "+logger.own._target_=fractions.Fraction", "data=table",
                              "data.path=no.csv", "data.target=x")  # fmt: skip
    assert code == 2
    assert "logger.own._target_=fractions.Fraction: is no Lightning logger" in err


def test_a_callback_that_has_no_logger_in_a_trial_is_refused_before_anything_is_read(meddistill):
    code, _, err = meddistill(*SMALL, "callbacks=learning_rate_monitor", "data=table",
                              "data.path=no.csv", "data.target=x")  # fmt: skip
    assert code == 2
    assert "callbacks.learning_rate_monitor writes to loggers" in err


def test_what_is_not_defined_is_not_logged():
    arms = {"a": {"measures": {"auroc": {"mean": float("nan")}, "kl": {"mean": None},
                               "log_loss": {"mean": 0.5}}}}  # fmt: skip
    assert measures_of({"arms": arms, "differences": {}}) == {"a/log_loss": 0.5}
