"""Long tables: bins, dates and MEDS's names; each bad cell with its row and variable."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest

from made_series import as_long, made_arrays, made_spec
from meddistill.data.series.reading import read_records
from meddistill.errors import UserError


def visits(*rows):
    return pd.DataFrame(rows, columns=["id", "time", "variable", "value"])


SPEC = made_spec(variables=["HR", "pH"], static={}, step=None)


def test_rows_in_any_order_are_put_in_order_of_time():
    long, static = as_long(made_arrays())
    mixed = long.sample(frac=1, random_state=0)
    one, other = (read_records((each, static), made_spec()) for each in (long, mixed))
    assert sorted(one.hashes()) == sorted(other.hashes())


def test_irregular_times_are_kept_or_averaged_in_bins():
    long = visits(
        ("a", 0.5, "HR", 60), ("a", 0.9, "HR", 80), ("a", 4.2, "pH", 7), ("b", 3, "HR", 9)
    )
    kept = read_records(long, SPEC)
    assert kept.times[0].tolist() == pytest.approx([0.5, 0.9, 4.2])
    binned = read_records(long, SPEC | {"step": 2.0})
    assert binned.times[0].tolist() == [0, 4]
    assert binned.values[0, 0, 0] == 70
    assert binned.lengths.tolist() == [2, 1]
    assert binned.times[1, 0] == 2


def test_dates_are_hours_since_an_ids_first_row_and_rows_without_one_are_left_out():
    days = ["2020-01-01 00:00", "2020-01-01 06:00", None, "2021-05-05 12:00"]
    long = pd.DataFrame({
        "subject_id": [1, 1, 1, 2],
        "time": pd.to_datetime(days),
        "code": ["HR", "pH", "SEX", "HR"],
        "numeric_value": [60.0, 7.0, np.nan, 70.0],
    })  # fmt: skip
    records = read_records(long, SPEC | {"variables": ["HR", "pH"]})
    assert records.times[0].tolist() == [0, 6]
    assert records.times[1, 0] == 0
    written = long.assign(time=days).astype({"time": object})
    again = read_records(written, SPEC)
    assert np.array_equal(records.hashes(), again.hashes())


@pytest.mark.parametrize(
    ("long", "said"),
    [
        (visits(), "has no row: every series is empty"),
        (visits(("a", 0, "HR", "high")), "row 0: 'high' is no number (1 such cells)"),
        (visits(("a", 0, "HR", "high")), "(variable 'HR')"),
        (visits(("a", 0, "HR", 1), ("a", np.nan, "HR", 1)), "row 1: a time is missing"),
        (visits(("a", 0, "HR", 1), ("a", 0, "HR", 2)), "row 1: 'HR' of id 'a' has a second value"),
        (visits(("a", "2020-01-02", "HR", 1), ("a", "02/01/2020", "HR", 1)), "row 1: '02/01/2020'"),
        (visits(("a", 0, "HR", 1), ("b", 0, "novel", 1)), "id 'b' has no row that is read"),
        (visits((None, 0, "HR", 1)), "column 'id' is empty in row 0"),
        (visits(("a", 0, None, 1)), "column 'variable' is empty in row 0"),
        (visits(("a", 0, "hr", 1)), "'hr' (is 'HR' meant?) was there in training"),
        (visits(("a", 0, "HR", 1)).drop(columns="value"), "no column 'value' or 'numeric_value'"),
    ],
)
def test_what_is_wrong_in_a_long_table_is_named(long, said):
    with pytest.raises(UserError) as error:
        read_records(long, SPEC)
    assert said in str(error.value)


def test_a_variable_unseen_in_training_is_named_and_not_read(caplog):
    long = visits(("a", 0, "HR", 1), ("a", 0, "novel", 5))
    with caplog.at_level(logging.WARNING):
        records = read_records(long, SPEC)
    assert "not there in training are not read: 'novel'" in caplog.text
    assert records.values.shape == (1, 1, 2)


def test_static_columns_must_be_there_for_each_id_and_say_one_thing():
    long, static = as_long(made_arrays())
    with pytest.raises(UserError, match="no row of static columns for id '100'"):
        read_records((long, static[1:]), made_spec())
    with pytest.raises(UserError, match=r"no column 'unit' \(is 'units' meant\?\)"):
        read_records((long, static.rename(columns={"unit": "units"})), made_spec())
    twice = pd.concat([static, static[:1].assign(age=1.0)])
    with pytest.raises(UserError, match="'age' says different things of id '100'"):
        read_records((long, twice), made_spec())


def test_a_text_among_values_that_are_spelled_as_missing_is_missing():
    records = read_records(visits(("a", 0, "HR", "NA"), ("a", 0, "pH", "7.1")), SPEC)
    assert np.isnan(records.values[0, 0, 0])
    assert records.values[0, 0, 1] == pytest.approx(7.1)
