"""Rows say the same in training and afterwards, whichever way pandas or Arrow reads the file."""

from __future__ import annotations

import datetime
import decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from frames import inputs_of
from meddistill.data.datamodule import CohortDataModule
from meddistill.data.split import split_cohort
from meddistill.data.tables.table import table
from meddistill.errors import UserError

ROWS = 48
HUGE = 999000011000000103
CSV_WAYS = {
    "plain": {},
    "text": {"dtype": str},
    "text with empty cells": {"dtype": str, "keep_default_na": False},
    "object": {"dtype": object},
    "nullable": {"dtype_backend": "numpy_nullable"},
    "arrow": {"dtype_backend": "pyarrow"},
    "arrow's reader": {"engine": "pyarrow"},
}
PARQUET_WAYS = {
    "plain": {},
    "nullable": {"dtype_backend": "numpy_nullable"},
    "arrow": {"dtype_backend": "pyarrow"},
}


def each(*values):
    """A column that repeats `values`."""
    return [values[row % len(values)] for row in range(ROWS)]


SPELLED = {
    "whole": each(*range(7)),
    "number": each("1.5", "2.25", "-3.125", "1e-3", "1.10"),
    "holes": each("1", "", "3", "NA", "5"),
    "truth": each("TRUE", "FALSE", "TRUE"),
    "truth with holes": each("True", "", "False", "True"),
    "small truth": each("true", "false"),
    "initials": each("T", "F", "F"),
    "case": each("Yes", "no", "yes", " YES", "No"),
    "accents": each("café", "cafe\u0301", "thé"),
    "codes": each("250.83", "250.80", "401", "V57", "E932"),
    "zeros": each("01", "02", "10", "", "02"),
    "zeros as categories": each("01", "02", "10", "", "02"),
    "points as categories": each("1.0", "2.0", "3.0"),
    "mixed points as categories": each("1", "1.0", "2", "3"),
    "snomed as categories": each(HUGE, HUGE + 28, HUGE + 3),
    "percent": each("42%", "59.5 %", "7%", ""),
    "thousands": each("2,133", "834", "1,200", "12,000"),
    "bounds": each("<5", "7", "12.5", ">200", "31"),
    "huge": each("1e300", "2.5", "-1.797e308", "inf", "4"),
    "stay": each("1 days", "3 days 12:00:00", "2 days"),
}
CATEGORICAL = [name for name in SPELLED if name.endswith("as categories")]


@pytest.fixture(scope="module")
def csv(tmp_path_factory):
    """A file with all kinds of columns, and its cohort."""
    path = tmp_path_factory.mktemp("csv") / "all.csv"
    frame = pd.DataFrame(SPELLED).assign(ill=each(1, 0, 0, 1, 0))
    frame.to_csv(path, index=False)
    return path, table(str(path), "ill", categorical=CATEGORICAL)


def typed():
    """Columns of every type that Arrow has for numbers, words and truth."""
    whole = each(1, 2, None, 4, 7)
    words = each("a", None, "b", "c")
    truth = each(True, False, None)
    decimals = each(decimal.Decimal("1.50"), None, decimal.Decimal("-2.25"))
    return {
        **{f"{kind}": pa.array(whole, kind) for kind in map(str, (
            pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint64()))},
        "float": pa.array(each(1.5, None, float("nan"), 4.0), pa.float32()),
        "double": pa.array(each(1.5, None, 1e300, float("-inf"), 0.1)),
        "bool": pa.array(truth),
        "full bool": pa.array(each(True, False, False)),
        "string": pa.array(words),
        "large_string": pa.array(words, pa.large_string()),
        "binary": pa.array([None if word is None else word.encode() for word in words]),
        "dictionary": pa.array(words).dictionary_encode(),
        "dictionary of numbers": pa.array(whole).dictionary_encode(),
        "decimal": pa.array(decimals),
        "huge as categories": pa.array(each(HUGE, HUGE + 28, HUGE + 3), pa.int64()),
        "unsigned as categories": pa.array(each(2**64 - 1, 2**64 - 3), pa.uint64()),
        "decimal as categories": pa.array(each(*map(decimal.Decimal, (HUGE, HUGE + 28)))),
        "duration": pa.array(each(datetime.timedelta(hours=36), None, datetime.timedelta(2))),
        "half": pa.array(np.array(each(0.5, 1.5, 2.0), dtype=np.float16)),
    }  # fmt: skip


@pytest.fixture(scope="module")
def parquet(tmp_path_factory):
    """A Parquet file with all types, and its cohort."""
    path = tmp_path_factory.mktemp("parquet") / "all.parquet"
    columns = typed()
    pq.write_table(pa.table({**columns, "ill": pa.array(each(1, 0, 0, 1, 0))}), path)
    categorical = [name for name in columns if name.endswith("as categories")]
    return path, table(str(path), "ill", categorical=categorical)


def same(cohort, rows):
    """Whether raw rows are prepared, and become inputs, as they did in training."""
    prepared = cohort.records.schema.prepare(rows).reset_index(drop=True)
    pd.testing.assert_frame_equal(prepared, cohort.records.frame, check_exact=True)
    data = CohortDataModule(cohort, split_cohort(cohort))
    wanted = data.rows.inputs.numpy()
    assert inputs_of(data.preprocessing, rows).tobytes() == wanted.tobytes()


@pytest.mark.parametrize("way", CSV_WAYS)
def test_a_csv_file_says_the_same_by_every_way_of_reading(csv, way):
    path, cohort = csv
    assert set(cohort.records.schema.columns) == set(SPELLED)
    same(cohort, pd.read_csv(path, **CSV_WAYS[way]))


@pytest.mark.parametrize("way", PARQUET_WAYS)
def test_a_parquet_file_says_the_same_by_every_way_of_reading(parquet, way):
    path, cohort = parquet
    assert set(cohort.records.schema.columns) == set(typed())
    same(cohort, pd.read_parquet(path, **PARQUET_WAYS[way]))


def test_python_values_say_the_same_as_the_file_they_came_from(parquet):
    _path, cohort = parquet
    values = {name: column.to_pylist() for name, column in typed().items()}
    same(cohort, pd.DataFrame({name: pd.Series(v, dtype=object) for name, v in values.items()}))


def test_a_table_kept_as_csv_and_as_parquet_is_the_same_cohort(tmp_path):
    frame = pd.DataFrame({"a": each(1, 2, 3.5), "flag": each(True, False), "ill": each(0, 1)})
    frame = frame.assign(word=each("x", "y", None), stay=pd.to_timedelta(each(1, 2.5, 4), "D"))
    frame.to_csv(tmp_path / "p.csv", index=False)
    frame.to_parquet(tmp_path / "p.parquet")
    read = [table(str(tmp_path / name), "ill") for name in ("p.csv", "p.parquet")]
    assert read[0].fingerprint == read[1].fingerprint


def test_columns_are_found_in_a_named_index_under_spaces_and_by_a_number(tmp_path):
    frame = pd.DataFrame({"age": each(1, 2, 3.5), 7: each(1.5, 2, 7), "ill": each(0, 1)})
    frame["ward"] = each("a", "b", "c")
    frame.columns = frame.columns.map(str)
    frame.set_index(["ward", "age"]).to_parquet(tmp_path / "p.parquet")
    cohort = table(str(tmp_path / "p.parquet"), "ill")
    assert set(cohort.records.schema.columns) == {"ward", "age", "7"}
    rows = pd.read_parquet(tmp_path / "p.parquet")
    assert rows.index.names == ["ward", "age"]
    prepared = cohort.records.schema.prepare(rows.rename(columns={"7": 7}))
    assert prepared.to_numpy().tolist() == cohort.records.frame.to_numpy().tolist()
    spaced = rows.reset_index().rename(columns={"age": " age ", "7": 7})
    assert cohort.records.schema.prepare(spaced).equals(cohort.records.frame)


def literal(tmp_path):
    path = tmp_path / "p.csv"
    frame = pd.DataFrame({"code": each("01", "1", "02"), "ill": each(0, 1)})
    frame.assign(age=np.arange(ROWS) / 7).round(3).to_csv(path, index=False)
    return path, table(str(path), "ill", categorical=["code"])


def test_codes_that_differ_by_a_zero_stay_apart_and_are_said_to(tmp_path):
    path, cohort = literal(tmp_path)
    assert cohort.records.frame["code"].tolist() == each("01", "1", "02")
    assert any("'code'" in note and "apart by their spelling" in note for note in cohort.notes)
    same(cohort, pd.read_csv(path, dtype=str))


def test_codes_that_pandas_made_numbers_of_are_refused_where_that_lost_them(tmp_path):
    path, cohort = literal(tmp_path)
    with pytest.raises(UserError, match=r"'code', row 0: '1' is a number whose .*dtype=str"):
        cohort.records.schema.prepare(pd.read_csv(path))


def test_long_codes_that_went_through_a_float_are_refused(tmp_path):
    path = tmp_path / "p.csv"
    codes = each(HUGE, HUGE + 28, "")
    frame = pd.DataFrame({"code": codes, "ill": each(0, 1)})
    frame.assign(age=np.arange(ROWS) / 7).round(3).to_csv(path, index=False)
    cohort = table(str(path), "ill", categorical=["code"])
    assert set(cohort.records.frame["code"].dropna()) == {str(HUGE), str(HUGE + 28)}
    with pytest.raises(UserError, match=r"codes next to each other have become one.*dtype=str"):
        cohort.records.schema.prepare(pd.read_csv(path))
    same(cohort, pd.read_csv(path, dtype_backend="numpy_nullable"))


@pytest.mark.parametrize("settings", [{}, {"thousands": "."}], ids=["found", "set"])
def test_decimal_commas_beside_points_between_thousands_say_the_same_when_read_again(
    tmp_path, settings
):
    path = tmp_path / "p.csv"
    frame = pd.DataFrame({"cells": each("1.200,5", "834,25", "12.000", ""), "ill": each(0, 1)})
    frame.assign(age=[f"{row},5" for row in range(ROWS)]).to_csv(path, sep=";", index=False)
    cohort = table(str(path), "ill", separator=";", decimal=",", **settings)
    assert cohort.records.frame["cells"].fillna(-1).tolist() == each(1200.5, 834.25, 12000, -1)
    data = CohortDataModule(cohort, split_cohort(cohort))
    raw = pd.read_csv(path, sep=";", dtype=str)
    cohort.records.schema.check_raw(raw)
    assert (inputs_of(data.preprocessing, raw) == data.rows.inputs.numpy()).all()


def test_a_table_of_float32_is_the_same_cohort_as_its_csv_file(tmp_path):
    dose, number = np.arange(40) / 10 + 0.1, np.resize([1.1, 2.2], 40)
    frame = pd.DataFrame({"dose": dose, "number": number}, dtype="float32")
    frame["ill"] = np.resize([0, 0, 1, 1, 1], 40)
    frame.to_csv(tmp_path / "p.csv", index=False)
    frame.to_parquet(tmp_path / "p.parquet")
    read = [table(str(tmp_path / f"p.{end}"), "ill", categorical=["number"])
            for end in ("csv", "parquet")]  # fmt: skip
    assert read[0].fingerprint == read[1].fingerprint
    same(read[0], frame)
