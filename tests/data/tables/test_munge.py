"""Synthetic rows: cells of training rows, put together anew."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import cdist

from meddistill.data.tables import munge
from meddistill.data.tables.munge import Munge
from meddistill.data.tables.records import TableRecords
from meddistill.data.tables.schema import Schema
from meddistill.errors import SettingError


@pytest.fixture
def rows():
    """[90, 5]: numbers, whole numbers, text, and cells that are missing; inputs are the numbers."""
    random = np.random.default_rng(0)
    inputs = random.normal(size=(90, 3)).astype(np.float32)
    features = pd.DataFrame(inputs.astype(np.float64), columns=["a", "b", "c"])
    features["age"] = random.integers(20, 90, 90).astype(np.float64)
    features["sex"] = random.choice(["m", "f"], 90)
    features.loc[::7, "age"] = np.nan
    features.loc[::9, "sex"] = np.nan
    return features, inputs


def munged(features, inputs, **settings):
    """The made rows as a frame."""
    records = TableRecords(features, Schema(("a", "b", "c", "age"), ("sex",)))
    made = Munge(**settings)(records, inputs)
    assert made.schema is records.schema
    return made.frame


def test_every_cell_is_the_rows_own_or_that_of_its_nearest_row(rows):
    features, inputs = rows
    made = munged(features, inputs, copies=3, exchange=0.4)
    assert len(made) == 3 * len(features)
    assert list(made.columns) == list(features.columns)
    distances = cdist(inputs, inputs)
    np.fill_diagonal(distances, np.inf)
    nearest = distances.argmin(axis=1)
    for number, row in enumerate(made.itertuples(index=False)):
        own = number % len(features)
        for column, cell in zip(made.columns, row, strict=True):
            allowed = features[column].iloc[[own, nearest[own]]]
            assert (pd.isna(cell) and allowed.isna().any()) or cell in set(allowed)


def test_cells_are_exchanged_as_often_as_asked(rows):
    features, inputs = rows
    made = munged(features, inputs, copies=40, exchange=0.2)
    own = pd.concat([features] * 40, ignore_index=True)
    for column in "abc":  # no two rows have one of these numbers in common
        assert (made[column] != own[column]).mean() == pytest.approx(0.2, abs=0.03)


def test_columns_keep_their_kind(rows):
    features, inputs = rows
    made = munged(features, inputs)
    assert made.dtypes.tolist() == features.dtypes.tolist()
    assert set(made["sex"].dropna()) == {"m", "f"}
    assert 0 < made["age"].isna().mean() < 0.5


def test_a_copy_of_a_row_is_not_its_similar_row(rows):
    features, inputs = rows
    twice = pd.concat([features, features], ignore_index=True)
    made = munged(twice, np.concatenate([inputs, inputs]), copies=20, exchange=0.5)
    own = pd.concat([twice] * 20, ignore_index=True)
    assert (made["a"] != own["a"]).mean() == pytest.approx(0.5, abs=0.05)


def test_several_neighbours_are_all_drawn(rows):
    features, inputs = rows
    made = munged(features, inputs, copies=60, exchange=0.5, neighbours=3)
    seen = made["a"].iloc[:: len(features)].unique()  # those of the first row
    nearest = np.argsort(cdist(inputs[:1], inputs)[0])[:4]
    assert set(seen) == set(features["a"].iloc[nearest])


def test_among_many_rows_neighbours_are_looked_for_in_a_part(rows, monkeypatch):
    features, inputs = rows
    monkeypatch.setattr(munge, "CANDIDATES", 10)
    made = munged(features, inputs, copies=30, exchange=0.5)
    own = pd.concat([features] * 30, ignore_index=True)
    foreign = made["a"][made["a"] != own["a"]]
    assert foreign.nunique() <= 10
    assert len(foreign) / len(made) == pytest.approx(0.5, abs=0.05)


def test_the_seed_decides_the_rows(rows):
    features, inputs = rows
    first, again, other = (munged(features, inputs, seed=seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first, again)
    assert not first.equals(other)


@pytest.mark.parametrize("count", [1, 4])
def test_rows_that_are_all_alike_are_refused(rows, count):
    features, inputs = (part[:1] for part in rows)
    alike = pd.concat([features] * count, ignore_index=True)
    with pytest.raises(SettingError, match="synthetic=munge: changes no cell of these rows"):
        munged(alike, np.repeat(inputs, count, axis=0), copies=2)


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ({"copies": 0}, "copies=0: must be a whole number of at least 1"),
        ({"exchange": 0}, "exchange=0: must be a number above 0 and at most 0.5"),
        ({"exchange": 0.6}, "exchange=0.6"),
        ({"neighbours": 0}, "neighbours=0"),
        ({"seed": -1}, "seed=-1"),
    ],
)
def test_a_setting_out_of_its_range_is_refused(setting, says):
    with pytest.raises(SettingError, match=says):
        Munge(**setting)
