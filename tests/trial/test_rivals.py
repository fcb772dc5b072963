"""The teacher pruned: its parts asked on rows that are prepared once."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from meddistill.data.datamodule import CohortDataModule
from meddistill.data.tables.preprocessing import TablePreprocessing
from meddistill.inference.network import MeanOfProbabilities, NetworkModel
from meddistill.stack.tables import Table
from meddistill.teachers.forest import ForestTeacher
from meddistill.teachers.targets import find_targets
from meddistill.trial.answers import validation_log_loss
from meddistill.trial.arms import EstimatorArm
from meddistill.trial.costs import of_model
from meddistill.trial.results import _mostly
from meddistill.trial.rivals import _described, pruned_answers, rows_of


@pytest.fixture(scope="module")
def table(cohort, split, tmp_path_factory):
    teacher = ForestTeacher(trees=40, out_of_fold=False, calibrate="none")
    targets = find_targets(teacher, cohort, split, tmp_path_factory.mktemp("store"), {})
    return Table({}, CohortDataModule(cohort, split), targets)


def test_a_forest_is_pruned_to_small_forests_by_validation_rows(table):
    found = pruned_answers(0, "pruned_teacher", table)
    trees = [attempt["trees"] for attempt in found.tries]
    assert {size: trees.count(size) for size in trees} == {1: 10, 3: 10, 10: 4, 30: 1}
    assert trees[found.chosen] > 1, "a single tree is no pruned forest"
    single = found.scores[:10].min()
    assert found.scores[found.chosen, 0] < single


def test_a_small_forest_answers_with_the_mean_of_its_trees(table):
    model, inputs = table.targets.model(), table.data.rows.inputs.numpy()
    small = model.pruned()[11]  # the second of three trees
    trees = model.network.estimator.estimators_[3:6]
    expected = np.mean([tree.predict_proba(inputs) for tree in trees], axis=0)
    assert np.allclose(small.network.estimator.predict_proba(inputs), expected)
    assert small.num_parameters == sum(part.num_parameters for part in model.parts()[3:6])
    assert model.network.estimator.n_estimators == 40, "the forest itself stays whole"
    rows = table.data.cohort.records.take(np.arange(2))
    assert of_model(small, rows)["parameters"] == small.num_parameters


def test_the_table_is_prepared_once_for_all_parts(table, monkeypatch):
    prepare, calls = TablePreprocessing.__call__, []

    def counted(self, rows):
        calls.append(len(rows))
        return prepare(self, rows)

    monkeypatch.setattr(TablePreprocessing, "__call__", counted)
    found = pruned_answers(0, "pruned_teacher", table)
    tried_out, rows = len(table.data.preprocessing.probe()), len(table.data.cohort.target)
    assert calls == [tried_out, rows]
    best = found.probabilities.astype(np.float64)
    assert validation_log_loss(best, table) == pytest.approx(found.scores[found.chosen], abs=1e-6)


def test_the_size_of_the_pruned_teacher_is_said_and_not_the_number_of_a_part(table):
    found = pruned_answers(0, "pruned_teacher", table)
    lines = [
        {"setting": 0, "split": "0", "arm": found.arm, "try": k, "chosen": k == 12,
         "val/log_loss": 1.0, "epochs": None, **attempt} for k, attempt in enumerate(found.tries)
    ]  # fmt: skip
    assert _mostly(pd.DataFrame(lines)) == {"trees": 3.0}


def test_the_size_of_a_network_of_an_ensemble_is_its_parameters(table):
    network = MeanOfProbabilities([torch.nn.Linear(30, 2)])
    part = NetworkModel(table.targets.model().card, network, table.data.preprocessing)
    assert _described(part, 4) == {"part": 4, "parameters": 62}


def test_a_classifier_reads_the_usual_inputs_where_the_students_are_no_lists(cohort, split):
    bands = {"_target_": "meddistill.data.tables.bands.Bands"}
    arm = EstimatorArm(
        "logistic", estimator={"_target_": "sklearn.linear_model.LogisticRegression"}
    )
    usual = CohortDataModule(cohort, split)
    read = rows_of(arm, CohortDataModule(cohort, split, preprocessing=bands))
    assert np.array_equal(read.inputs_at(split.test), usual.inputs_at(split.test))
