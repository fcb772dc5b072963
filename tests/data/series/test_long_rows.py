"""Long tables: bins, dates and MEDS's names; each bad cell with its row and variable."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest

from made_series import as_long, made_arrays, made_spec
from meddistill.data.series.long_table import series_table
from meddistill.data.series.reading import read_records
from meddistill.errors import UserError


def visits(*rows):
    return pd.DataFrame(rows, columns=["id", "time", "variable", "value"])


SPEC = made_spec(variables=["HR", "pH"], static={}, step=None)
DATED = SPEC | {"time_kind": "date"}
LASTING = SPEC | {"time_kind": "duration"}


def days(*each):
    return visits(*(("a", day, "HR", 60 + place) for place, day in enumerate(each)))


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
    records = read_records(long, DATED)
    assert records.times[0].tolist() == [0, 6]
    assert records.times[1, 0] == 0
    written = long.assign(time=days).astype({"time": object})
    again = read_records(written, DATED)
    assert np.array_equal(records.hashes(), again.hashes())


@pytest.mark.parametrize("source", ["frame", "file", "training"])
@pytest.mark.parametrize(
    ("times", "said"),
    [
        (("2020-01-02", "02/01/2020"), "row 1: '02/01/2020' is no date as 2020-12-31 14:00"),
        (("02/01/2020", "03/01/2020"), "row 0: '02/01/2020' is no date as 2020-12-31 14:00"),
        (("2020-01-02", "soon"), "row 1: 'soon' is no date"),
        (("NA", "2020-01-02", "soon"), "row 2: 'soon' is no date"),
        ((0, "2020-01-02"), "row 1: '2020-01-02' is no number"),
        (("2020-01-02", 3.5), "row 1: '3.5' is no date"),
    ],
)
def test_a_time_that_is_none_is_refused_with_file_row_and_cell(times, said, source, tmp_path):
    long, path = days(*times), tmp_path / "long.csv"
    long.to_csv(path, index=False)
    outcomes = tmp_path / "outcomes.csv"
    outcomes.write_text("id,died\na,1\n")
    spec = SPEC if said.endswith("number") else DATED
    read = {
        "frame": lambda: read_records(long, spec),
        "file": lambda: read_records(path, spec),
        "training": lambda: series_table(str(path), str(outcomes), target="died"),
    }[source]
    with pytest.raises(UserError) as error:
        read()
    rows = "the rows" if source == "frame" else str(path)
    message = str(error.value)
    assert message.startswith(f"{rows}: column 'time', ")
    row = int(said[4]) + (0 if source == "frame" else 2)
    assert f"row {row}{said[5:]}" in message


@pytest.mark.parametrize("trained", [SPEC, DATED, LASTING], ids=lambda s: s["time_kind"])
@pytest.mark.parametrize("given", ["number", "date", "duration"])
def test_times_of_another_kind_than_in_training_are_refused_with_the_mend(given, trained):
    made = {
        "number": [0.0, 6.0], "date": ["2020-01-01", "2020-01-01 06:00"],
        "duration": pd.to_timedelta([0, 6], unit="h"),
    }  # fmt: skip
    long = days(1, 2).assign(time=made[given])
    if given == trained["time_kind"]:
        assert read_records(long, trained).times[0].tolist() == [0, 6]
        assert read_records(long, trained).spec["time_kind"] == given
        return
    said = f"'time' holds {given}s, and held {trained['time_kind']}s in training: give"
    with pytest.raises(UserError, match=said):
        read_records(long, trained)
    with pytest.raises(UserError, match="the clock of these series holds"):
        read_records(read_records(long, SPEC | {"time_kind": given}), trained)


def test_dates_that_are_none_are_not_asked_for_where_training_had_numbers():
    with pytest.raises(UserError, match="'time' holds dates, and held numbers in training"):
        read_records(days("02/01/2020", "03/01/2020"), SPEC)
    with pytest.raises(UserError, match="row 0: a time is missing"):
        read_records(days(None, "NA"), DATED)


def test_hours_count_from_the_first_row_that_is_read():
    long = days("2020-01-01 06:00", "2020-01-01 09:00")
    order = visits(("a", "2019-12-24", "novel", 1), ("a", "2019-12-25", "novel", "text"))
    records = read_records(pd.concat([order, long], ignore_index=True), DATED)
    assert records.times[0].tolist() == [0, 3]


def test_rows_without_a_date_are_said_to_be_left_out_and_nobody_is_lost_by_it(caplog):
    read_records(days("2020-01-01", None), DATED)
    assert "1 row(s) without a date in 'time' are left out" in caplog.text
    nobody = visits(("a", "2020-01-01", "HR", 1), ("b", None, "HR", 1))
    with pytest.raises(UserError, match="id 'b' has no row that is read"):
        read_records(nobody, DATED)
    with pytest.raises(UserError, match=r"row 0: a time is missing \(1 such rows\)"):
        read_records(days(pd.NaT), DATED)


def test_patients_with_static_columns_and_no_series_are_refused_by_their_ids():
    long, static = as_long(made_arrays())
    with pytest.raises(UserError, match="id '100' has static columns and no row in the long table"):
        read_records((long[long["id"] != 100], static), made_spec())
    turned = read_records((long, static[::-1]), made_spec())
    assert turned.index.tolist() == list(map(str, static["id"]))
    assert turned.index.name == "id"


@pytest.mark.parametrize(
    ("long", "said"),
    [
        (visits(), "has no row: every series is empty"),
        (visits(("a", 0, "HR", "high")), "row 0: 'high' is no number (1 such cells)"),
        (visits(("a", 0, "HR", "high")), "(variable 'HR')"),
        (visits(("a", 0, "HR", 1), ("a", np.nan, "HR", 1)), "row 1: a time is missing"),
        (visits(("a", 0, "HR", 1), ("a", 0, "HR", 2)), "row 1: 'HR' of id 'a' has a second value"),
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
