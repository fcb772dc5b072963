"""The forest as a teacher: what it was fitted on, the classes it answers for, its folder."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from frames import with_frame
from meddistill.data.datamodule import CohortDataModule
from meddistill.errors import SettingError, UserError
from meddistill.inference.loading import load_model, predict
from meddistill.teachers.checkpoint import CheckpointTeacher
from meddistill.teachers.forest import ForestTeacher
from meddistill.teachers.targets import find_targets


def forest(**changes):
    return ForestTeacher(**{"trees": 10, **changes})


@pytest.fixture(scope="module")
def targets(cohort, split, tmp_path_factory):
    return find_targets(forest(), cohort, split, tmp_path_factory.mktemp("store"), {})


def test_a_forest_as_it_is_answers_as_scikit_learns_does(cohort, split, tmp_path):
    found = answers(forest(out_of_fold=False, calibrate="none"), cohort, split, tmp_path / "a")
    inputs = CohortDataModule(cohort, split).rows.inputs.numpy()
    plain = RandomForestClassifier(10, min_samples_leaf=2, random_state=0)
    plain.fit(inputs[split.train], cohort.target[split.train])
    raised = plain.predict_proba(inputs).clip(1e-3)
    assert np.allclose(np.exp(found), raised / raised.sum(axis=1, keepdims=True), atol=1e-12)


def answers(teacher, cohort, split, folder):
    folder.mkdir()
    teacher.fit(cohort, split, folder, {})
    return teacher.answers(cohort, folder)


@pytest.mark.parametrize("part", ["validation", "test"])
def test_labels_outside_of_the_training_rows_do_not_matter_to_a_forest(
    part, cohort, split, tmp_path
):
    target = cohort.target.copy()
    target[split.part(part)] = 1 - target[split.part(part)]
    before = answers(forest(), cohort, split, tmp_path / "before")
    after = answers(forest(), replace(cohort, target=target), split, tmp_path / "after")
    assert np.array_equal(before, after)


@pytest.mark.parametrize("part", ["validation", "test"])
def test_cells_outside_of_the_training_rows_do_not_matter_to_a_forest(
    part, cohort, split, tmp_path
):
    features = cohort.records.frame.copy()
    features.iloc[split.part(part)] *= 100
    before = answers(forest(), cohort, split, tmp_path / "before")
    after = answers(forest(), with_frame(cohort, features), split, tmp_path / "after")
    assert np.array_equal(before[split.train], after[split.train])


def test_a_training_row_more_or_less_does_matter_to_a_forest(cohort, split, tmp_path):
    before = answers(forest(), cohort, split, tmp_path / "before")
    after = answers(forest(labels=0.5), cohort, split, tmp_path / "after")
    assert not np.array_equal(before, after)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_class_without_a_training_row_has_a_column_with_the_lowest_probability(
    place, cohort, split, tmp_path
):
    names = np.insert(["benign", "malignant"], place, "rare")
    others = np.delete(np.arange(3), place)
    wider = replace(cohort, classes=tuple(names), target=others[cohort.target])
    found = np.exp(answers(forest(), wider, split, tmp_path / "wider"))
    assert found.shape == (569, 3)
    assert found[:, place].max() <= 1e-3
    assert ((found[:, others[1]] > 0.5) == (cohort.target == 1))[split.test].mean() > 0.9


@pytest.mark.parametrize("seed", [0, 1])
def test_equal_seeds_grow_equal_forests_and_others_do_not(seed, targets, cohort, split, tmp_path):
    again = find_targets(forest(seed=seed), cohort, split, tmp_path, {})
    assert np.array_equal(again.log_probabilities, targets.log_probabilities) == (seed == 0)


def test_a_forest_read_again_answers_as_it_did(targets, cohort, split):
    shuffled = cohort.records.frame.sample(frac=1, random_state=0)
    found = predict(targets.folder, shuffled).loc[cohort.records.frame.index]
    new = np.concatenate([split.validation, split.test])
    stored = np.exp(targets.log_probabilities)
    assert np.allclose(found.to_numpy()[new], stored[new], atol=1e-7)
    assert list(found.columns) == ["benign", "malignant"]


def test_a_forests_parts_are_its_trees_and_a_tree_has_none(targets, cohort):
    model = targets.model()
    parts = model.parts()
    trees = model.network.estimator.estimators_
    assert [part.num_parameters for part in parts] == [tree.tree_.node_count for tree in trees]
    assert parts[0].log_probabilities(cohort.records.frame).shape == (569, 2)
    assert parts[0].parts() == []


def test_a_damaged_forest_is_no_finished_model(targets, tmp_path):
    shutil.copytree(targets.folder, tmp_path / "copy")
    file = tmp_path / "copy" / "estimator.skops"
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(UserError, match="copy holds no finished model"):
        load_model(tmp_path / "copy")


def test_a_forests_folder_teaches_again_on_the_same_split(targets, cohort, split, tmp_path):
    found = find_targets(CheckpointTeacher(str(targets.folder)), cohort, split, tmp_path, {})
    assert np.array_equal(found.log_probabilities, targets.log_probabilities)


@pytest.mark.parametrize("value", [0.0, 1.5, True, "all"])
def test_a_share_of_inputs_that_no_forest_can_try_is_refused(value):
    with pytest.raises(SettingError, match=r"max_features=.*must be"):
        forest(max_features=value)


def test_a_live_forest_is_refused_before_anything_is_trained(meddistill, tmp_path):
    code, _, err = meddistill("distill", "teacher=forest", "answers=live")
    assert code == 2
    assert "answers=live: this teacher is no network" in err
    assert "answers=stored" in err
    assert not (tmp_path / "store").exists()


def test_a_live_checkpoint_of_a_forest_is_refused_too(meddistill, targets):
    path = f"teacher.path={targets.folder}"
    code, _, err = meddistill("distill", "teacher=checkpoint", path, "answers=live")
    assert code == 2
    assert "answers=stored" in err


def test_a_live_forest_is_refused_in_a_job_of_many_students(meddistill, tmp_path):
    small = ("teacher.trees=5", "trainer.max_epochs=1", "stack.axes=['seed=0,1']")
    code, _, err = meddistill("distill", "teacher=forest", "answers=live", *small)
    assert code == 2
    assert "answers=stored" in err
    assert not (tmp_path / "store").exists()


def test_a_network_folder_of_before_there_were_forests_still_answers(meddistill, cohort):
    small = ("teacher.network.width=8", "teacher.trainer.max_epochs=1", "hydra.run.dir=run")
    meddistill("teacher", "teacher=mlp", *small)
    before = predict("run", cohort.records.frame)
    file = Path("run/model.json")
    card = json.loads(file.read_text())
    del card["kind"], card["clamp"]
    file.write_text(json.dumps(card))
    assert predict("run", cohort.records.frame).equals(before)
    assert load_model("run").parts() == []


def test_the_parts_of_an_ensemble_are_its_networks(meddistill, cohort):
    small = ("teacher.network.width=8", "teacher.trainer.max_epochs=1", "teacher.members=3")
    meddistill("teacher", *small, "hydra.run.dir=run")
    model = load_model("run")
    parts = [np.exp(part.log_probabilities(cohort.records.frame)) for part in model.parts()]
    assert [3 * part.num_parameters for part in model.parts()] == [model.num_parameters] * 3
    whole = np.exp(model.log_probabilities(cohort.records.frame))
    assert np.allclose(np.mean(parts, axis=0), whole, atol=1e-9)
    assert not np.allclose(parts[0], whole, atol=1e-3)
