"""New rows in every form are the same records, and what doesn't fit is named with its row."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from made_series import as_long, made_arrays, made_records, made_spec
from meddistill.data.series.choices import Channels
from meddistill.data.series.reading import read_records
from meddistill.errors import UserError


def same(one, other):
    return np.array_equal(one.hashes(), other.hashes())


def test_a_file_arrays_a_long_table_and_records_are_the_same_rows(tmp_path):
    arrays = made_arrays()
    records = read_records(arrays, made_spec())
    np.savez(tmp_path / "new.npz", **arrays)
    long, static = as_long(arrays)
    assert same(records, read_records(tmp_path / "new.npz", made_spec()))
    assert same(records, read_records(str(tmp_path / "new.npz"), made_spec()))
    assert same(records, read_records((long, static), made_spec()))
    long.to_csv(tmp_path / "long.csv", index=False)
    static.to_parquet(tmp_path / "static.parquet")
    files = tmp_path / "long.csv", str(tmp_path / "static.parquet")
    assert same(records, read_records(files, made_spec()))
    assert same(records, read_records(records.raw(), made_spec()))
    assert same(records, read_records(long.merge(static), made_spec()))
    assert read_records(records, made_spec()) is records


def test_variables_are_found_by_name_in_any_order():
    arrays = made_arrays()
    turned = arrays | {"X": arrays["X"][:, :, ::-1], "variables": arrays["variables"][::-1]}
    assert same(read_records(arrays, made_spec()), read_records(turned, made_spec()))


def test_a_model_that_reads_until_a_time_reads_no_later_step_of_records_either():
    until = made_spec(until=4)
    assert same(read_records(made_records(), until), read_records(made_arrays(), until))


def test_a_static_column_of_another_kind_is_refused():
    kinds = made_spec(static={"age": "number", "unit": "number"})
    with pytest.raises(UserError, match="'unit' is a category here, and was a number in training"):
        read_records(made_records(), kinds)


def test_series_longer_than_in_training_are_cut_to_their_last_steps_and_it_is_said(caplog):
    arrays = made_arrays(steps=12)
    arrays["lengths"][:] = 12
    read = Channels().fit(made_records()).read(arrays)
    assert read.times[0].tolist() == list(range(4, 12))
    assert "60 row(s) of more than the 8 steps of training: the last 8 are read" in caplog.text
    assert "(up to 4 of a row)" in caplog.text


def test_an_empty_tail_of_longer_arrays_takes_no_place_of_values(caplog):
    arrays = made_arrays()
    del arrays["lengths"]
    fitted = Channels().fit(read_records(arrays, made_spec()))
    tail = np.full_like(arrays["X"][:, :4], np.nan)
    longer = {**arrays, "X": np.concatenate([arrays["X"], tail], axis=1)}
    assert same(fitted.read(arrays), fitted.read(longer))
    assert "60 row(s) end in steps without any value beyond the 8 of training" in caplog.text
    longer["X"][0, 9] = 80
    assert fitted.read(longer).times[0].tolist() == list(range(2, 10))
    assert same(
        fitted.read(arrays).take(np.arange(1, 60)), fitted.read(longer).take(np.arange(1, 60))
    )
    told = {**longer, "lengths": np.full(60, 12)}
    assert fitted.read(told).times[0].tolist() == list(range(4, 12))


def test_variables_of_arrays_that_are_all_unknown_are_named_as_those_of_a_long_table():
    arrays = made_arrays() | {"variables": np.array(["hr", "ph", "seldom"])}
    long, static = as_long(arrays)
    for rows in (arrays, (long, static)):
        with pytest.raises(UserError, match=r"'hr', '.*' \(is 'HR' meant\?\) was there in"):
            read_records(rows, made_spec())


def test_a_variable_unseen_in_training_is_named_and_left(caplog):
    arrays = made_arrays()
    more = arrays | {
        "X": np.concatenate([arrays["X"], arrays["X"][:, :, :1]], axis=2),
        "variables": np.array([*arrays["variables"], "novel"]),
    }
    assert same(read_records(arrays, made_spec()), read_records(more, made_spec()))
    assert "not there in training are not read: 'novel'" in caplog.text


def damage(name, value):
    def change(arrays):
        arrays[name] = value(arrays[name])

    return change


def put(array, place, value):
    array = array.copy()
    array[place] = value
    return array


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (damage("X", lambda x: x[:0]), "shape (0, 8, 3)"),
        (damage("X", lambda x: x.astype(str)), "row 0, step 0, variable 0"),
        (damage("X", lambda x: x[:, :, :2]), "3 names of 2 variables"),
        (damage("lengths", lambda n: put(n, 7, 9)), "row 7: length 9 is beyond the 8 steps"),
        (damage("lengths", lambda n: put(n, 7, 0)), "row 7: length 0 is an empty series"),
        (damage("lengths", lambda n: put(n, 7, -1)), "row 7: length -1 is no length"),
        (damage("lengths", lambda n: n[:5]), "a whole number for each of 60 rows"),
        (damage("lengths", lambda n: n + 0.5), "a whole number for each of 60 rows"),
        (damage("variables", lambda v: np.array(["HR", "HR", "pH"])), "names 'HR' twice"),
        (damage("variables", lambda v: np.array(["hr", "pH", "rare"])), "lack variables"),
        (damage("age", lambda a: a[:4]), "array 'age' has shape (4,)"),
        (damage("age", lambda a: put(a.astype(object), 3, "old")), "row 3: 'old'"),
        (lambda arrays: arrays.pop("unit"), "no array 'unit' (a static column)"),
        (lambda arrays: arrays.pop("X"), "no array 'X' (the series)"),
    ],
)
def test_what_does_not_fit_is_named(change, said):
    arrays = made_arrays()
    change(arrays)
    with pytest.raises(UserError) as error:
        read_records(arrays, made_spec())
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ((2, 1), 0.0, "row 2, step 1: time 0 is not after the step before it"),
        ((2, 1), -4.0, "row 2, step 1: time -4 is not after the step before it"),
        ((2, 1), np.nan, "row 2, step 1: time nan is missing"),
    ],
)
def test_unsorted_duplicate_and_missing_times_are_named(place, value, said):
    arrays = made_arrays()
    arrays["times"] = put(np.tile(np.arange(8.0), (60, 1)), place, value)
    with pytest.raises(UserError) as error:
        read_records(arrays, made_spec())
    assert said in str(error.value)


def test_times_that_are_one_in_single_precision_are_refused():
    arrays = made_arrays()
    arrays["times"] = np.tile(1.7e9 + np.arange(8.0), (60, 1))
    with pytest.raises(UserError, match=r"row 0: times 1700000000 and 1700000001 are one in"):
        read_records(arrays, made_spec())


def test_times_beyond_a_rows_length_are_not_read():
    arrays = made_arrays()
    arrays["lengths"][2] = 3
    arrays["times"] = put(np.tile(np.arange(8.0), (60, 1)), (2, 5), -9.0)
    assert same(made_records(), read_records(made_arrays(), made_spec()))
    assert read_records(arrays, made_spec()).lengths[2] == 3


def test_infinite_cells_are_missing_and_a_series_of_one_variable_may_be_flat():
    arrays = {"X": np.array([[1.0, np.inf, 2.0]])}
    spec = made_spec(variables=["sound"], static={}, steps=3)
    values = read_records(arrays, spec).values
    assert np.isnan(values[0, 1, 0])
    assert values.shape == (1, 3, 1)


def test_nothing_later_than_the_prediction_is_read():
    arrays = made_arrays()
    cut = read_records(arrays, made_spec(until=4))
    arrays["X"][:, 5:] = 1000
    assert same(cut, read_records(arrays, made_spec(until=4)))
    assert cut.lengths.max() == 5
    long, static = as_long(made_arrays())
    assert same(cut, read_records((long, static), made_spec(until=4)))
    with pytest.raises(UserError, match="row 0 has no step until -1"):
        read_records(arrays, made_spec(until=-1))


@pytest.mark.parametrize(
    "raw",
    [None, 3, [1, 2], pd.Series([1]), (pd.DataFrame(), 3)],
    ids=lambda raw: type(raw).__name__,
)
def test_rows_in_no_form_that_is_read_are_refused_with_the_forms(raw):
    with pytest.raises(UserError, match=r"an \.npz file, a mapping of arrays, a long table"):
        read_records(raw, made_spec())


def test_a_file_that_is_none_or_holds_objects_is_named(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        read_records(tmp_path / "absent.npz", made_spec())
    (tmp_path / "torn.npz").write_bytes(b"PK\x03\x04 torn")
    np.savez(tmp_path / "objects.npz", X=np.array([{}], dtype=object))
    for name in ("torn", "objects"):
        with pytest.raises(
            UserError, match=f"{name}.npz: can't be read as a file of NumPy's plain arrays"
        ):
            read_records(tmp_path / f"{name}.npz", made_spec())
