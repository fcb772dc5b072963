"""Folds that are disjoint and whole, and groups that no split cuts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frames import with_frame
from meddistill.data.split import split_cohort
from meddistill.data.tables.table import table
from meddistill.errors import UserError

UNCHANGED = {0: "72a232241945c88e", 7: "c6c1727d6c0c4abc"}
"""Of the first splits that were ever published."""


def grouped(cohort, seed, groups=60):
    """The cohort with groups of very different sizes."""
    random = np.random.default_rng(seed)
    weights = random.dirichlet(np.full(groups, 0.5))
    group = random.choice(groups, len(cohort.target), p=weights).astype(str).astype(object)
    return replace(cohort, group=group)


@pytest.mark.parametrize("seed", UNCHANGED)
def test_splits_without_groups_and_folds_stay_what_they_were(cohort, seed):
    assert split_cohort(cohort, seed).fingerprint.startswith(UNCHANGED[seed])


@given(seed=st.integers(0, 500), folds=st.integers(2, 8))
@settings(max_examples=25, deadline=None)
def test_test_parts_of_folds_are_disjoint_and_hold_every_row(cohort, seed, folds):
    parts = [split_cohort(cohort, seed, fold=[k, folds]).test for k in range(folds)]
    assert sorted(np.concatenate(parts)) == list(range(len(cohort.target)))
    assert max(map(len, parts)) - min(map(len, parts)) <= 2


def test_folds_are_stratified_and_leave_a_fifth_to_validate(cohort):
    for k in range(5):
        split = split_cohort(cohort, 3, fold=[k, 5])
        assert cohort.target[split.test].mean() == pytest.approx(cohort.target.mean(), abs=0.01)
        assert len(split.validation) == pytest.approx(0.2 * len(cohort.target), abs=2)


@given(seed=st.integers(0, 500))
@settings(max_examples=25, deadline=None)
@pytest.mark.parametrize("fold", [None, [1, 4]])
def test_no_group_is_on_two_sides(cohort, fold, seed):
    some = grouped(cohort, seed)
    split = split_cohort(some, seed, fold=fold)
    sides = [set(some.group[rows]) for rows in (split.train, split.validation, split.test)]
    assert not sides[0] & sides[1]
    assert not sides[0] & sides[2]
    assert not sides[1] & sides[2]
    assert sum(map(len, (split.train, split.validation, split.test))) == len(some.target)


def test_parts_hold_about_their_share_of_rows_though_groups_differ_in_size(cohort):
    shares = [len(split_cohort(grouped(cohort, s), s).test) / 569 for s in range(20)]
    assert np.mean(shares) == pytest.approx(0.2, abs=0.04)


def test_copies_of_a_row_join_their_groups(cohort):
    some = grouped(cohort, 0)
    features = some.records.frame.copy()
    features.iloc[1] = features.iloc[0]
    some = with_frame(some, features)
    split = split_cohort(some, 0)
    side = np.asarray(split.names())
    members = np.isin(some.group, [some.group[0], some.group[1]])
    assert len(set(side[members])) == 1


def test_groups_make_another_cohort(cohort):
    assert grouped(cohort, 0).fingerprint != cohort.fingerprint


@pytest.mark.parametrize("fold", [[0, 1], [5, 5], [-1, 5], [0, 21], [0], [0.0, 5], 3, "05"])
def test_a_fold_that_is_none_is_refused(cohort, fold):
    with pytest.raises(UserError, match=r"data\.fold=.*must be \[k, K\]"):
        split_cohort(cohort, fold=fold)


def test_a_class_in_too_few_groups_is_named(cohort):
    group = np.where(cohort.target == 1, "one", np.arange(569).astype(str)).astype(object)
    with pytest.raises(UserError, match="class 'malignant' is in too few groups"):
        split_cohort(replace(cohort, group=group))


@pytest.fixture
def visits(tmp_path):
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"age": random.integers(20, 90, 60), "dose": random.random(60)})
    frame["ill"] = ["yes", "no"] * 30
    frame["patient"] = [str(number // 3) for number in range(60)]
    frame.loc[5, "patient"] = None
    frame.to_csv(tmp_path / "visits.csv", index=False)
    return str(tmp_path / "visits.csv")


def test_a_groups_column_is_no_feature_and_a_row_without_one_is_its_own(visits):
    cohort = table(visits, "ill", group="patient")
    assert list(cohort.records.frame) == ["age", "dose"]
    assert "20 groups by 'patient', none of which is split" in cohort.notes
    assert "1 row(s) without 'patient', each taken for a group" in cohort.notes
    assert cohort.group[5] not in set(np.delete(cohort.group, 5))
    assert len(set(cohort.group[:3])) == 1


@pytest.mark.parametrize(
    ("group", "says"),
    [
        ("wrong", "data.group=wrong: no such column"),
        ("ill", "data.group=ill: is named in data.target too"),
    ],
)
def test_a_column_that_can_not_group_is_refused(visits, group, says):
    with pytest.raises(UserError, match=says):
        table(visits, "ill", group=group)


def test_one_group_can_not_be_split(visits):
    frame = pd.read_csv(visits).assign(patient="same")
    frame.to_csv(visits, index=False)
    with pytest.raises(UserError, match="fewer than three groups"):
        table(visits, "ill", group="patient")
