"""The contract of all ways of making rows of training rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from meddistill.data.cohort import Cohort, number_rows
from meddistill.data.datamodule import CohortDataModule
from meddistill.data.split import split_cohort
from meddistill.data.tables.generator import changed
from meddistill.data.tables.gibbs import Gibbs
from meddistill.data.tables.mixup import Mixup
from meddistill.data.tables.munge import Munge
from meddistill.data.tables.noise import Noise
from meddistill.data.tables.records import TableRecords
from meddistill.data.tables.schema import Schema
from meddistill.errors import SettingError, UserError
from meddistill.teachers.teaching import with_unlabelled_rows

WAYS = {"munge": Munge, "gibbs": Gibbs, "mixup": Mixup, "noise": Noise}
SCHEMA = Schema(("marker", "age", "smoker", "sodium", "potassium"), ("sex", "ward"))
ROWS = 150


@pytest.fixture(scope="module")
def frame():
    """Numbers, whole ones, one of two values, a panel that is missing together, text."""
    random = np.random.default_rng(0)
    age = random.integers(20, 90, ROWS).astype(np.float64)
    made = pd.DataFrame({
        "marker": age / 30 + random.normal(size=ROWS), "age": age,
        "smoker": random.integers(0, 2, ROWS).astype(np.float64),
        "sodium": random.normal(140, 5, ROWS).round(1), "potassium": random.normal(4, 1, ROWS),
        "sex": random.choice(["f", "m"], ROWS).astype(object),
        "ward": random.choice(["A", "B", "C"], ROWS).astype(object),
    })  # fmt: skip
    made.loc[::4, ["sodium", "potassium"]] = np.nan
    made.loc[::9, "sex"] = np.nan
    return made


def cohort_of(frame):
    return Cohort("made", TableRecords(frame, SCHEMA), np.arange(len(frame)) % 2, ("no", "yes"),
                  number_rows(len(frame)))  # fmt: skip


def made_of(way, frame, **settings):
    """The made rows of a frame, and the rows that they were made of."""
    inputs = frame[["marker", "age"]].to_numpy(dtype=np.float32)
    generator = WAYS[way](copies=3, **settings)
    made = generator(TableRecords(frame, SCHEMA), inputs).frame
    return made, pd.concat([frame] * 3, ignore_index=True)


@pytest.mark.parametrize("way", WAYS)
def test_cells_are_such_as_their_columns_have(way, frame):
    made, parents = made_of(way, frame)
    assert made.dtypes.tolist() == frame.dtypes.tolist()
    assert len(made) == len(parents)
    for column in ("smoker", "sex", "ward"):
        assert set(made[column].dropna()) == set(frame[column].dropna())
    assert (made["age"] % 1 == 0).all()
    for column in SCHEMA.numeric:
        assert made[column].min() >= frame[column].min()
        assert made[column].max() <= frame[column].max()
    assert all((made[column] != parents[column]).any() for column in made)


@pytest.mark.parametrize("way", WAYS)
def test_cells_are_missing_where_they_are_in_a_row_that_it_was_made_of(way, frame):
    made, parents = made_of(way, frame)
    if way != "munge":  # by which a missing cell is exchanged as any other is
        pd.testing.assert_frame_equal(made.isna(), parents.isna())
    assert made.isna().mean().to_numpy() == pytest.approx(frame.isna().mean().to_numpy(), abs=0.06)


@pytest.mark.parametrize("way", WAYS)
def test_the_share_of_changed_cells_is_reported(way, frame, caplog):
    with caplog.at_level("INFO"):
        made, parents = made_of(way, frame)
    same = (made == parents) | (made.isna() & parents.isna())
    share = 1 - same.to_numpy().mean()
    assert changed(parents, dict(made.items())) == pytest.approx(share)
    assert 0.05 < share < 0.95
    assert (
        f"synthetic={way}: {100 * share:.0f} % of the cells are not those of the row" in caplog.text
    )


@pytest.mark.parametrize("way", WAYS)
def test_rows_that_a_split_holds_back_have_no_part_in_them(way, frame):
    cohort = cohort_of(frame)
    split = split_cohort(cohort)
    other = frame.copy()
    held = np.concatenate([split.validation, split.test])
    other.loc[held, "marker"] = 99.0
    other.loc[held, "ward"] = "Z"
    moved = replace(cohort, records=TableRecords(other, SCHEMA))
    node = {"_target_": f"{WAYS[way].__module__}.{WAYS[way].__qualname__}"}
    one, two = (
        with_unlabelled_rows(node, CohortDataModule(each, split)).unlabelled[0].frame
        for each in (cohort, moved)
    )
    pd.testing.assert_frame_equal(one, two)
    assert len(one) == 4 * len(split.train)


@pytest.mark.parametrize("way", WAYS)
def test_the_seed_decides_the_rows(way, frame):
    first, again, other = (made_of(way, frame, seed=seed)[0] for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first, again)
    assert not first.equals(other)


@pytest.mark.parametrize("way", WAYS)
def test_rows_in_which_there_is_nothing_to_change_are_refused(way, frame):
    alike = pd.concat([frame.iloc[[1]]] * 20, ignore_index=True)
    with pytest.raises(SettingError, match=f"synthetic={way}: changes no cell of these rows"):
        made_of(way, alike)


@pytest.mark.parametrize(
    ("way", "settings", "says"),
    [
        (Gibbs, {"rounds": 0}, "rounds=0: must be a whole number of at least 1"),
        (Gibbs, {"trees": 0}, "trees=0"),
        (Gibbs, {"leaf": 0}, "leaf=0"),
        (Mixup, {"alpha": 0}, "alpha=0: must be a number above 0"),
        (Noise, {"scale": -1}, "scale=-1"),
        (Noise, {"swap": 1.1}, "swap=1.1"),
        (Noise, {"scale": 0, "swap": 0}, "synthetic.scale=0 and synthetic.swap=0 change nothing"),
        (Noise, {"copies": 0}, "copies=0"),
        (Mixup, {"seed": -1}, "seed=-1"),
    ],
)
def test_a_setting_that_changes_nothing_is_refused(way, settings, says):
    with pytest.raises(UserError) as caught:
        way(**settings)
    assert says in str(caught.value)


def test_a_mixed_row_lies_between_its_own_and_another_nearer_to_its_own(frame):
    made, parents = made_of("mixup", frame)
    ends = np.array([0.0, 1.0])
    moved = (made["marker"] - parents["marker"]).abs()
    assert moved.max() <= np.ptp(frame["marker"]) / 2
    small, _ = made_of("mixup", frame, alpha=0.01)
    assert (small["marker"] - parents["marker"]).abs().mean() < moved.mean() / 5
    two = frame.assign(marker=ends[np.arange(ROWS) % 2] + 0.5 * (np.arange(ROWS) == 0))
    assert (made_of("mixup", two)[0]["ward"] == parents["ward"]).mean() > 0.7


def test_noise_is_as_large_as_asked(frame):
    for scale in (0.05, 0.2):
        made, parents = made_of("noise", frame, scale=scale, swap=0.0)
        assert (made["potassium"] - parents["potassium"]).std() == pytest.approx(
            scale * frame["potassium"].std(), rel=0.2
        )
        assert made["ward"].equals(parents["ward"])
