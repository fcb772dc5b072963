"""What an answer takes: from raw rows, as everybody asks, and beside it from prepared inputs."""

from __future__ import annotations

import time

import pytest

from meddistill.data.datamodule import CohortDataModule
from meddistill.inference.model import Model
from meddistill.report.trial_tables import LATENCIES, costs_table
from meddistill.stack.tables import Table
from meddistill.teachers.forest import ForestTeacher
from meddistill.teachers.targets import find_targets
from meddistill.trial import costs as module
from meddistill.trial.answers import Answers
from meddistill.trial.arms import EstimatorArm, StudentArm, TeacherArm
from meddistill.trial.costs import costs
from meddistill.trial.rivals import teacher_answers

SLEEP = 0.004
LOGISTIC = {"_target_": "sklearn.linear_model.LogisticRegression", "C": 1.0}
STUDENT = {"_target_": "meddistill.models.mlp.MLP", "width": 4, "depth": 1, "dropout": 0.0}


@pytest.fixture(scope="module")
def found(cohort, split, tmp_path_factory):
    """Costs of teacher, student and baseline, reading a raw row made slow."""
    teacher = ForestTeacher(trees=2, out_of_fold=False, calibrate="none")
    targets = find_targets(teacher, cohort, split, tmp_path_factory.mktemp("store"), {})
    unset = {"trial": {"hide": None}, "preprocessing": {}, "missing": {}}
    settings = {"student": STUDENT, "seed": 0, **unset}
    table = Table(settings, CohortDataModule(cohort, split), targets)
    arms = {
        "teacher": TeacherArm("teacher"),
        "logistic": EstimatorArm("logistic", estimator=LOGISTIC),
        "student": StudentArm("student"),
    }
    whole = teacher_answers(0, "teacher", table)
    every = [Answers(0, name, [{}], whole.scores, whole.probabilities) for name in arms]
    read = Model.probabilities

    def slow(self, rows):
        time.sleep(SLEEP)
        return read(self, rows)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Model, "probabilities", slow)
        patch.setattr(module, "SECONDS", 0.0)
        return costs(arms, every, table)


@pytest.mark.parametrize("arm", ["teacher", "logistic", "student"])
def test_an_answer_is_measured_from_raw_rows_for_every_arm_alike(found, arm):
    for what in ("row", "batch"):
        assert found[arm][f"raw_{what}_ms"] > 1e3 * SLEEP
        assert 0 < found[arm][f"prepared_{what}_ms"] < found[arm][f"raw_{what}_ms"]
    assert found[arm]["batch"] == 1024


def test_the_table_names_both_ways_of_measuring(found):
    arms = {name: {"label": name} for name in found}
    table = costs_table({"arms": arms, "costs": found})
    assert [name for name in table.columns if name.endswith("ms")] == list(LATENCIES.values())
    assert "one raw row, ms" in table.columns
    assert "one prepared row, ms" in table.columns
    assert "from raw rows as predict takes them" in " ".join(table.notes)
