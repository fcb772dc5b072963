"""Who is in which part, and whose labels are known."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from meddistill.data import source
from meddistill.data.cohort import Cohort, number_rows
from meddistill.data.datamodule import CohortDataModule
from meddistill.data.split import OFFICIAL, PARTS, split_cohort
from meddistill.data.tables.records import TableRecords
from meddistill.data.tables.schema import Schema
from meddistill.errors import SettingError, UserError, typed


def cohort_of(target, marker=None):
    """Rows with one feature, all different unless `marker` says otherwise."""
    target = np.asarray(target)
    schema = Schema(("marker",))
    marker = np.arange(len(target)) if marker is None else marker
    return Cohort(
        name="made up",
        records=TableRecords.prepared(pd.DataFrame({"marker": marker}), schema),
        target=target,
        classes=tuple("abcdefgh"[: target.max() + 1]),
        row=number_rows(len(target)),
    )


def counts(cohort, positions):
    return np.bincount(cohort.target[positions], minlength=len(cohort.classes))


@pytest.fixture(scope="module")
def rare():
    """Three classes of 700, 250 and 50 rows, in random order."""
    return cohort_of(np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [700, 250, 50])))


def test_every_row_is_in_exactly_one_part_and_positions_ascend(rare):
    split = split_cohort(rare)
    parts = [split.part(name) for name in PARTS]
    assert sorted(np.concatenate(parts)) == list(range(len(rare.target)))
    assert all((np.diff(part) > 0).all() for part in parts)


def test_each_class_has_its_share_of_each_part(rare):
    split = split_cohort(rare, test=0.3, validation=0.1)
    assert counts(rare, split.test).tolist() == [210, 75, 15]
    assert counts(rare, split.validation).tolist() == [70, 25, 5]
    assert counts(rare, split.train).tolist() == [420, 150, 30]


shares = st.floats(0.001, 0.8)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(3, 12), min_size=2, max_size=4),
    st.tuples(shares, shares).filter(lambda pair: sum(pair) <= 0.9),
    st.integers(0, 5),
)
def test_every_class_is_in_every_part_whatever_the_shares(sizes, pair, seed):
    cohort = cohort_of(np.repeat(np.arange(len(sizes)), sizes))
    split = split_cohort(cohort, seed, *pair)
    for name in PARTS:
        assert (counts(cohort, split.part(name)) > 0).all(), name


@pytest.mark.parametrize(("test", "validation"), [(0.5, 0.4), (0.4, 0.5), (0.45, 0.45), (0.8, 0.1)])
@pytest.mark.parametrize("rows", [3, 4, 5, 6])
def test_large_shares_leave_a_rare_class_a_row_to_train_on(rows, test, validation):
    cohort = cohort_of(np.repeat([0, 1], [100, rows]))
    split = split_cohort(cohort, 0, test, validation)
    for name in PARTS:
        assert counts(cohort, split.part(name))[1] > 0, name


@pytest.mark.parametrize("rows", [1, 2])
def test_a_class_of_fewer_than_three_rows_is_refused_by_name(rows):
    with pytest.raises(UserError, match=rf"class 'b' has {rows} row\(s\), different ones {rows}"):
        split_cohort(cohort_of(np.repeat([0, 1], [20, rows])))


def test_copies_do_not_count_as_rows_of_a_class():
    marker = [*range(20), *[50] * 10, 51]
    with pytest.raises(UserError, match=r"class 'b' has 11 row\(s\), different ones 2") as caught:
        split_cohort(cohort_of(np.repeat([0, 1], [20, 11]), marker))
    assert "each class needs 3 (train, validation, test)" in str(caught.value)


def test_copies_are_on_one_side_even_where_their_labels_differ():
    random = np.random.default_rng(0)
    marker, target = random.integers(0, 60, 400), random.integers(0, 2, 400)
    cohort = cohort_of(target, marker)
    assert pd.Series(target).groupby(marker).nunique().max() == 2
    for seed in range(10):
        parts = pd.Series(split_cohort(cohort, seed).names()).groupby(marker)
        assert (parts.nunique() == 1).all()


def test_rows_with_the_same_missing_cells_are_copies():
    marker = [np.nan, np.inf, *range(30), np.nan, -np.inf]
    cohort = cohort_of(np.arange(34) % 2, marker)
    for seed in range(5):
        assert len(set(split_cohort(cohort, seed).names()[[0, 1, 32, 33]])) == 1


def test_equal_seeds_give_equal_splits_whatever_was_drawn_before(rare):
    first = split_cohort(rare, split_seed=3)
    np.random.seed(1)
    np.random.rand(100)
    again = split_cohort(rare, split_seed=3)
    assert first.fingerprint == again.fingerprint
    for name in PARTS:
        assert np.array_equal(first.part(name), again.part(name))
    assert np.array_equal(first.turn, again.turn)


def test_other_seeds_give_other_parts_and_other_turns(rare):
    splits = [split_cohort(rare, seed) for seed in range(6)]
    assert len({split.fingerprint for split in splits}) == 6
    assert len({split.test.tobytes() for split in splits}) == 6
    assert len({split.turn.tobytes() for split in splits}) == 6


def test_the_split_is_the_same_on_every_machine():
    split = split_cohort(cohort_of(np.arange(20) % 2))
    assert split.test.tolist() == [3, 6, 13, 18]
    assert split.validation.tolist() == [4, 8, 11, 19]


def test_names_says_of_each_row_which_part_it_is_in(rare):
    split = split_cohort(rare)
    for name in PARTS:
        assert np.array_equal(np.flatnonzero(split.names() == name), split.part(name))


SHARES = (0.001, 0.05, 0.1, 0.5, 0.9, 1.0)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_rows_labelled_at_a_smaller_share_are_labelled_at_every_larger_one(rare, seed):
    split = split_cohort(rare, seed)
    masks = [split.labelled(rare.target, share) for share in SHARES]
    for fewer, more in pairwise(masks):
        assert (more | ~fewer).all()
        assert more.sum() > fewer.sum()
    assert masks[-1].all()


@pytest.mark.parametrize("share", SHARES)
def test_labels_are_drawn_by_class_at_least_one_in_train_and_in_validation(rare, share):
    split = split_cohort(rare)
    labelled = split.labelled(rare.target, share)
    for positions in (split.train, split.validation):
        wanted = np.maximum(1, np.round(share * counts(rare, positions)))
        assert counts(rare, positions[labelled[positions]]).tolist() == wanted.tolist()


@pytest.mark.parametrize("share", SHARES)
def test_test_rows_are_always_labelled(rare, share):
    split = split_cohort(rare)
    assert split.labelled(rare.target, share)[split.test].all()


def test_another_split_seed_labels_other_rows(rare):
    masks = [split_cohort(rare, seed).labelled(rare.target, 0.1) for seed in range(4)]
    assert len({mask.tobytes() for mask in masks}) == 4


@pytest.mark.parametrize("key", ["test", "validation"])
@pytest.mark.parametrize("value", [0, -0.1, 0.81, 1, 20, float("nan"), True, "0.2"])
def test_a_share_out_of_range_is_refused_by_its_key(rare, key, value):
    with pytest.raises(SettingError) as caught:
        split_cohort(rare, **{key: value})
    said = f"data.{key}={typed(value)}: must be a number above 0 and at most 0.8"
    assert str(caught.value) == said


def test_shares_that_leave_nothing_to_train_on_are_refused_together(rare):
    with pytest.raises(SettingError) as caught:
        split_cohort(rare, test=0.5, validation=0.45)
    assert str(caught.value) == "data.test=0.5: with data.validation leaves under a tenth to train"


@pytest.mark.parametrize("seed", [-1, 1.5, True, "0", None])
def test_a_split_seed_that_is_no_whole_number_is_refused_by_its_key(rare, seed):
    said = f"^data.split_seed={typed(seed)}: must be a whole number"
    with pytest.raises(SettingError, match=said):
        split_cohort(rare, split_seed=seed)


@pytest.mark.parametrize("labels", [0, -0.5, 1.01, float("nan"), "all"])
def test_a_share_of_labels_out_of_range_is_refused_by_its_key(rare, labels):
    with pytest.raises(SettingError) as caught:
        CohortDataModule(rare, split_cohort(rare), labels=labels)
    assert str(caught.value) == f"labels={labels}: must be a number above 0 and at most 1"


@pytest.mark.parametrize(("key", "value"), [("batch_size", 0), ("batch_size", 2.5), ("seed", -1)])
def test_a_batch_size_or_seed_out_of_range_is_refused_by_its_key(rare, key, value):
    with pytest.raises(SettingError, match=f"^{key}={value}: must be a whole number of at least"):
        CohortDataModule(rare, split_cohort(rare), **{key: value})


@pytest.mark.parametrize("share", [0.1, 1.0])
def test_the_data_module_validates_on_labelled_rows_and_trains_and_tests_on_all(rare, share):
    split = split_cohort(rare)
    data = CohortDataModule(rare, split, labels=share, batch_size=100)
    labelled = split.labelled(rare.target, share)
    held_out = split.validation[labelled[split.validation]]
    parts = {"train": split.train, "val": held_out, "test": split.test}
    for name, part in parts.items():
        batches = list(getattr(data, f"{name}_dataloader")())
        inputs = torch.cat([batch.inputs for batch in batches])
        weights = torch.cat([batch.label_weight for batch in batches])
        order = inputs[:, 0].argsort() if name == "train" else slice(None)  # the others keep theirs
        by_input = data.rows.inputs[part, 0].argsort() if name == "train" else slice(None)
        assert inputs[order].equal(data.rows.inputs[part][by_input])
        assert (weights[order] > 0).tolist() == torch.from_numpy(labelled[part])[by_input].tolist()
        assert name == "train" or (weights > 0).all()


def test_validation_rows_may_have_more_labels_than_training_rows(cohort):
    usual = split_cohort(cohort)
    more = split_cohort(cohort, validation_labels=1.0)
    few, plenty = (each.labelled(cohort.target, 0.1) for each in (usual, more))
    np.testing.assert_array_equal(few[usual.train], plenty[more.train])
    assert few[usual.validation].mean() < 0.2
    assert plenty[more.validation].all()
    assert usual.fingerprint != more.fingerprint  # a teacher is stopped by other rows
    with pytest.raises(SettingError, match=r"data.validation_labels=2: must be a number"):
        split_cohort(cohort, validation_labels=2)


# Official parts


def with_parts(cohort, *names):
    """Each third of the rows, in turn, was put into one of the parts by the data's maker."""
    names = np.array(names, dtype=object)
    return replace(cohort, parts=names[np.arange(len(cohort.target)) % len(names)])


def official(cohort, **more):
    return split_cohort(cohort, split=OFFICIAL, **more)


def test_official_parts_are_kept_by_every_seed(rare):
    cohort = with_parts(rare, *PARTS)
    for seed in (0, 1):
        split = official(cohort, split_seed=seed)
        assert split.names().tolist() == cohort.parts.tolist()
    assert official(cohort, split_seed=0).turn.tolist() != split.turn.tolist()  # of the labels


def test_without_a_validation_part_a_fifth_of_the_training_part_validates_by_class(rare):
    cohort = with_parts(rare, "train", "test")
    split = official(cohort)
    given = np.flatnonzero(cohort.parts == "train")
    assert split.test.tolist() == np.flatnonzero(cohort.parts == "test").tolist()
    assert sorted([*split.train, *split.validation]) == given.tolist()
    wanted = counts(cohort, given) * 0.2
    assert np.abs(counts(cohort, split.validation) - wanted).max() <= 1
    assert official(cohort, split_seed=1).validation.tolist() != split.validation.tolist()
    more = official(cohort, validation=0.5).validation
    assert len(more) == pytest.approx(len(given) / 2, abs=2)


def test_groups_and_copies_stay_together_where_validation_rows_are_drawn():
    target = np.arange(300) % 2
    marker = np.where(np.arange(300) < 40, np.arange(300) % 2, np.arange(300))  # forty of two kinds
    group = (np.arange(300) // 6).astype(str).astype(object)
    cohort = replace(with_parts(cohort_of(target, marker), "train", "train", "test"), group=group)
    split = official(cohort)
    assert len(split.validation) == pytest.approx(0.2 * 200, abs=41)
    for kept in (group, marker):
        assert not set(kept[split.train]) & set(kept[split.validation])


@pytest.mark.parametrize(
    ("names", "setting", "says"),
    [
        (PARTS, {"test": 0.2}, "data.test=0.2: the parts are the official ones: leave it out, or"),
        (PARTS, {"fold": [0, 5]}, "data.fold=[0,5]: the parts are the official ones"),
        (PARTS, {"validation": 0.2}, "data.validation=0.2: the parts are the official ones"),
        (("train", "test"), {"test": 0.2}, "data.test=0.2: the parts are the official ones"),
        (("train", "test"), {"fold": [0, 5]}, "data.fold=[0,5]: the parts are the official ones"),
    ],
)
def test_what_would_draw_official_parts_anew_is_refused_beside_them(rare, names, setting, says):
    with pytest.raises(SettingError) as caught:
        official(with_parts(rare, *names), **setting)
    assert str(caught.value).startswith(says)
    assert "data.split=random" in str(caught.value)
    split_cohort(with_parts(rare, *names), **setting)  # by which they may be drawn


def test_parts_that_did_not_come_are_refused_and_a_split_of_no_such_name(rare):
    with pytest.raises(SettingError, match=r"came without parts: data.split=random draws them"):
        official(rare)
    with pytest.raises(SettingError, match=r"data.split=oficial: must be random or official"):
        split_cohort(rare, split="oficial")


def test_random_parts_are_those_of_rows_without_official_ones(rare):
    drawn = split_cohort(with_parts(rare, *PARTS))
    assert drawn.fingerprint == split_cohort(rare).fingerprint


def test_an_official_part_without_a_class_is_refused_by_both_names(rare):
    parts = np.where(rare.target == 2, "train", with_parts(rare, *PARTS).parts).astype(object)
    with pytest.raises(UserError, match=r"class 'c'"):
        official(replace(rare, parts=parts))


def test_official_parts_that_are_not_kept_are_said(rare, monkeypatch, caplog):
    cohort = with_parts(rare, *PARTS)
    monkeypatch.setattr(source, "build", lambda node, key: cohort)
    settings = {"data": {"split": "random"}, "privacy": {"fewest": 1}, "threshold": 0.5}
    with caplog.at_level("INFO", logger="meddistill"):
        source.read_cohort(settings)
    assert "official parts" in caplog.text
    assert "data.split=official keeps them" in caplog.text
    caplog.clear()
    with caplog.at_level("INFO", logger="meddistill"):
        source.read_cohort({**settings, "data": {"split": "official"}})
    assert "official parts" not in caplog.text
