"""A committee of teachers: how it is mixed, what it needs, what its folder answers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from meddistill.data.split import split_cohort
from meddistill.errors import SettingError, UserError
from meddistill.inference.loading import load_model, predict
from meddistill.inference.mixture import MixedModel, mix
from meddistill.inference.model import together
from meddistill.teachers.checkpoint import CheckpointTeacher
from meddistill.teachers.forest import ForestTeacher
from meddistill.teachers.several import SeveralTeacher
from meddistill.teachers.targets import find_targets

FOREST = {"_target_": "meddistill.teachers.forest.ForestTeacher", "trees": 5, "labels": 1.0}
BAYES = {"_target_": "meddistill.teachers.estimator.EstimatorTeacher", "labels": 1.0,
         "estimator": {"_target_": "sklearn.naive_bayes.GaussianNB"}}  # fmt: skip


def several(**changes):
    return SeveralTeacher(**{"of": {"trees": FOREST, "bayes": BAYES}, **changes})


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def targets(store, cohort, split):
    return find_targets(several(), cohort, split, store, {})


def alone(name, cohort, split, store):
    return find_targets(several().teachers[name], cohort, split, store, {}).log_probabilities


def test_the_two_averages_are_what_they_are_called():
    answers = [np.log([[0.9, 0.1]]), np.log([[0.5, 0.5]])]
    linear = np.exp(mix(answers, [0.75, 0.25], "probabilities"))
    assert np.allclose(linear, [[0.8, 0.2]])
    odds = np.exp(0.75 * np.log(9))
    product = np.exp(mix(answers, [0.75, 0.25], "logits"))
    assert np.allclose(product, [[odds / (1 + odds), 1 / (1 + odds)]])


@pytest.mark.parametrize("average", ["probabilities", "logits"])
def test_its_answers_are_the_mix_of_what_each_part_teaches_alone(
    average, store, cohort, split, tmp_path
):
    weights = {"trees": 3, "bayes": 1}
    made = several(weights=weights, average=average)
    found = find_targets(made, cohort, split, tmp_path, {}).log_probabilities
    parts = [alone(name, cohort, split, tmp_path) for name in ("trees", "bayes")]
    expected = mix([part.astype(np.float64) for part in parts], [0.75, 0.25], average)
    assert np.allclose(found, expected, atol=1e-5)


def test_its_parts_are_found_in_the_store_and_not_fitted_again(
    targets, store, cohort, split, monkeypatch
):
    monkeypatch.setattr(ForestTeacher, "fit", lambda *_: pytest.fail("fitted again"))
    again = find_targets(several(weights={"trees": 1, "bayes": 9}), cohort, split, store, {})
    assert again.key != targets.key
    assert alone("trees", cohort, split, store) is not None


def test_its_folder_answers_for_new_rows_and_holds_all_it_needs(targets, cohort, split, tmp_path):
    new = np.concatenate([split.validation, split.test])
    found = predict(targets.folder, cohort.records.frame.iloc[new])
    assert np.allclose(found, np.exp(targets.log_probabilities[new]), atol=1e-6)
    model = targets.model()
    assert isinstance(model, MixedModel)
    assert model.num_parameters == sum(part.num_parameters for part in model.parts())
    assert len(model.parts()) == 2


def test_a_committee_read_again_teaches_with_the_out_of_fold_answers_of_its_parts(
    targets, cohort, split, tmp_path
):
    again = find_targets(CheckpointTeacher(str(targets.folder)), cohort, split, tmp_path, {})
    assert np.allclose(again.log_probabilities, targets.log_probabilities, atol=1e-6)
    with pytest.raises(UserError, match="test rows now"):
        find_targets(
            CheckpointTeacher(str(targets.folder)), cohort, split_cohort(cohort, 1), tmp_path, {}
        )


def test_committees_may_be_parts(cohort, split, tmp_path):
    inner = {"_target_": "meddistill.teachers.several.SeveralTeacher", "of": {"trees": FOREST}}
    outer = several(of={"inner": inner, "bayes": BAYES})
    targets = find_targets(outer, cohort, split, tmp_path, {})
    flat = find_targets(several(), cohort, split, tmp_path, {})
    assert np.allclose(targets.log_probabilities, flat.log_probabilities, atol=1e-6)
    assert np.allclose(
        load_model(targets.folder).log_probabilities(cohort.records.frame)[split.test],
        targets.log_probabilities[split.test],
        atol=1e-6,
    )


def test_a_file_of_scores_is_a_part_that_has_no_answers_for_new_rows(cohort, split, tmp_path):
    pd.DataFrame({"risk": cohort.target * 0.8 + 0.1}).to_csv(tmp_path / "s.csv", index=False)
    scores = {"_target_": "meddistill.teachers.scores.ScoresTeacher",
              "path": str(tmp_path / "s.csv"), "column": "risk"}  # fmt: skip
    made = several(of={"trees": FOREST, "scores": scores})
    targets = find_targets(made, cohort, split, tmp_path, {})
    assert np.isfinite(targets.log_probabilities).all()
    assert targets.model().parts() == []
    with pytest.raises(UserError, match="file of scores"):
        predict(targets.folder, cohort.records.frame)


def test_the_committees_share_of_labels_is_that_of_its_parts(cohort, split):
    made = several(labels=0.5)
    assert {teacher.labels for teacher in made.teachers.values()} == {0.5}
    assert made.identity() != several().identity()


def test_no_label_of_a_test_row_matters(targets, cohort, split, tmp_path):
    target = cohort.target.copy()
    target[split.test] = 1 - target[split.test]
    found = find_targets(several(), replace(cohort, target=target), split, tmp_path, {})
    assert np.array_equal(found.log_probabilities, targets.log_probabilities)


def test_a_committee_costs_what_its_parts_cost_together_where_all_are_known():
    forest = {"parameters": 10, "bytes": 5, "multiply_adds": None}
    found = together([forest, {**forest, "multiply_adds": 7}])
    assert found == {"parameters": 20, "bytes": 10, "multiply_adds": None}
    assert not together([forest, {}]), "a file of scores"


def test_settings_that_no_committee_has_are_refused():
    with pytest.raises(SettingError, match=r"average=votes: must be one of probabilities, logits"):
        several(average="votes")
    with pytest.raises(SettingError, match=r"weights=.*must have one for each of trees, bayes"):
        several(weights={"trees": 1})
    with pytest.raises(SettingError, match=r"weights\.bayes=0: must be a number above 0"):
        several(weights={"trees": 1, "bayes": 0})
    with pytest.raises(SettingError, match=r"of={}: must name at least one teacher"):
        several(of={})
    with pytest.raises(SettingError, match=r"teacher\.of\.trees\.trees=0"):
        several(of={"trees": {**FOREST, "trees": 0}})


def test_a_committee_is_chosen_and_changed_on_the_command_line(meddistill):
    small = ["teacher.of.forest.trees=5", "teacher.of.mlp_ensemble.trainer.max_epochs=1",
             "teacher.of.mlp_ensemble.members=2", "trainer.max_epochs=1"]  # fmt: skip
    code, _, err = meddistill("distill", "teacher=several", "answers=live", *small)
    assert code == 2
    assert "answers=live: this teacher is no network" in err
    other = ["~teacher@teacher.of.mlp_ensemble", "+teacher@teacher.of.boosting=boosting",
             "teacher.of.boosting.estimator.max_iter=5"]  # fmt: skip
    code, _, err = meddistill("distill", "teacher=several", small[0], small[3], *other)
    assert code == 0, err
