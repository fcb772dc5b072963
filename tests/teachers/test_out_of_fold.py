"""Out-of-fold answers: a row's own label plays no part in what it is told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import meddistill.teachers.estimator as room
from frames import with_frame
from meddistill.data.folds import fold_rows
from meddistill.errors import SettingError, UserError
from meddistill.inference.loading import load_model
from meddistill.teachers.checkpoint import CheckpointTeacher
from meddistill.teachers.estimator import EstimatorTeacher
from meddistill.teachers.forest import ForestTeacher
from meddistill.teachers.targets import find_targets

NODES = {
    "tree": {"_target_": "sklearn.tree.DecisionTreeClassifier"},
    "neighbour": {"_target_": "sklearn.neighbors.KNeighborsClassifier", "n_neighbors": 1},
}


def teacher(kind="tree", **changes):
    return EstimatorTeacher(NODES[kind], **{"out_of_fold": True, "calibrate": "none", **changes})


def answers(made, cohort, split, folder):
    folder.mkdir()
    made.fit(cohort, split, folder, {})
    return made.answers(cohort, folder)


def with_label_changed(cohort, row):
    target = cohort.target.copy()
    target[row] = 1 - target[row]
    return replace(cohort, target=target)


@pytest.mark.parametrize("kind", list(NODES))
@pytest.mark.parametrize("place", [0, 100, 200])
def test_a_training_rows_own_label_does_not_move_its_answer(
    kind, place, cohort, split, tmp_path, monkeypatch
):
    row = split.train[place]
    folds = fold_rows(cohort, split.train, 5, 0)
    monkeypatch.setattr(room, "fold_rows", lambda *_: folds)  # they are stratified by labels
    before = answers(teacher(kind), cohort, split, tmp_path / "before")
    poisoned = with_label_changed(cohort, row)
    after = answers(teacher(kind), poisoned, split, tmp_path / "after")
    assert np.array_equal(before[row], after[row])
    inside = np.isin(split.train, split.train[folds == folds[place]])
    assert np.array_equal(before[split.train[inside]], after[split.train[inside]])
    in_sample = teacher(kind, out_of_fold=False)
    told = answers(in_sample, poisoned, split, tmp_path / "in sample")[row]
    assert told.argmax() == poisoned.target[row]  # without folds the label is all it is told


def test_another_rows_label_may_move_it(cohort, split, tmp_path, monkeypatch):
    folds = fold_rows(cohort, split.train, 5, 0)
    monkeypatch.setattr(room, "fold_rows", lambda *_: folds)
    before = answers(teacher(), cohort, split, tmp_path / "before")
    poisoned = cohort
    for row in split.train[folds == 0][:20]:
        poisoned = with_label_changed(poisoned, row)
    after = answers(teacher(), poisoned, split, tmp_path / "after")
    assert not np.array_equal(before[split.train[folds == 1]], after[split.train[folds == 1]])


@pytest.mark.parametrize("part", ["validation", "test"])
def test_no_label_of_another_part_moves_an_out_of_fold_answer(part, cohort, split, tmp_path):
    target = cohort.target.copy()
    target[split.part(part)] = 1 - target[split.part(part)]
    made = teacher(calibrate="temperature")
    before = answers(made, cohort, split, tmp_path / "before")
    after = answers(made, replace(cohort, target=target), split, tmp_path / "after")
    assert np.array_equal(before, after)


def test_no_row_but_labelled_training_rows_is_ever_fitted(cohort, split, tmp_path, monkeypatch):
    fitted, original = [], EstimatorTeacher.fit_rows

    def watch(self, data, rows):
        fitted.append(rows)
        return original(self, data, rows)

    monkeypatch.setattr(EstimatorTeacher, "fit_rows", watch)
    answers(teacher(labels=0.5), cohort, split, tmp_path / "a")
    known = split.train[split.labelled(cohort.target, 0.5)[split.train]]
    assert [len(rows) < len(known) for rows in fitted] == 5 * [True] + [False]
    assert all(np.isin(rows, known).all() for rows in fitted)
    assert sum(len(known) - len(rows) for rows in fitted) == len(known)


def test_rows_without_labels_and_held_out_rows_are_answered_by_the_full_model(
    cohort, split, tmp_path
):
    made = teacher(labels=0.3)
    found = answers(made, cohort, split, tmp_path / "a")
    full = load_model(tmp_path / "a").log_probabilities(cohort.records.frame)
    fitted = np.zeros(len(cohort.target), dtype=bool)
    fitted[split.train] = split.labelled(cohort.target, 0.3)[split.train]
    assert np.array_equal(found[~fitted], full[~fitted])
    assert not np.array_equal(found[fitted], full[fitted])
    assert (full[fitted].argmax(axis=1) == cohort.target[fitted]).all()
    assert (found[fitted].argmax(axis=1) == cohort.target[fitted]).mean() < 1


def test_a_groups_rows_and_copies_of_a_row_are_in_one_fold(cohort, split):
    group = np.array([f"patient {row // 3}" for row in range(len(cohort.target))], dtype=object)
    grouped = replace(cohort, group=group)
    rows = np.arange(len(group))
    folds = fold_rows(grouped, rows, 5, 0)
    assert all(len(np.unique(folds[group == name])) == 1 for name in np.unique(group))
    features = cohort.records.frame.copy()
    features.iloc[1] = features.iloc[0]
    folds = fold_rows(with_frame(cohort, features), rows, 5, 3)
    assert folds[0] == folds[1]


def test_folds_are_stratified_of_about_one_size_and_drawn_by_the_seed(cohort, split):
    folds = fold_rows(cohort, split.train, 5, 0)
    assert np.ptp(np.bincount(folds)) <= 2
    positive = np.bincount(folds, weights=cohort.target[split.train])
    assert np.ptp(positive) <= 1
    assert np.array_equal(folds, fold_rows(cohort, split.train, 5, 0))
    assert not np.array_equal(folds, fold_rows(cohort, split.train, 5, 1))


def test_a_class_of_one_row_is_the_lowest_probability_in_its_own_fold(cohort, split, tmp_path):
    target = np.where(np.arange(569) == split.train[0], 2, cohort.target)
    rare = replace(cohort, classes=("benign", "malignant", "rare"), target=target)
    found = answers(teacher(), rare, split, tmp_path / "a")
    assert np.isfinite(found).all()
    assert np.exp(found[split.train[0], 2]) < 1.001e-3


def test_rows_of_one_group_cannot_be_cut_into_folds(cohort, split, tmp_path):
    one = replace(cohort, group=np.full(len(cohort.target), "a", dtype=object), fewest=1)
    with pytest.raises(UserError, match=r"out_of_fold=true.*one group.*out_of_fold=false"):
        answers(teacher(), one, split, tmp_path / "a")


def test_a_folder_teaches_again_with_its_out_of_fold_answers(cohort, split, tmp_path):
    made = find_targets(ForestTeacher(trees=5, out_of_fold=True), cohort, split, tmp_path, {})
    turned = CheckpointTeacher(str(made.folder))
    again = find_targets(turned, cohort, split, tmp_path, {})
    assert np.array_equal(again.log_probabilities, made.log_probabilities)
    in_sample = load_model(made.folder).log_probabilities(cohort.records.frame)
    assert not np.allclose(in_sample[split.train], made.log_probabilities[split.train], atol=1e-3)


def test_out_of_fold_is_a_switch_and_folds_are_two_at_least():
    with pytest.raises(SettingError, match=r"out_of_fold=often: must be true, false or null"):
        teacher(out_of_fold="often")
    with pytest.raises(SettingError, match=r"folds=1: must be a whole number of at least 2"):
        teacher(folds=1)
