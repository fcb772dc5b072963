"""A column read as a whole says what its cells say one by one, whatever its type."""

from __future__ import annotations

import contextlib
import datetime
import decimal
import math
import re
from functools import partial

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from meddistill.data.tables.blocks import read_each
from meddistill.data.tables.cells import Notation, UnreadableError
from meddistill.data.tables.narrow import widened
from meddistill.data.tables.schema import Schema
from meddistill.errors import UserError

HUGE = 2**53 + 1
WORDS = ["yes", None, " YES", "no\0a", "no\0b", "", "?", "1.0", "1", "é", "e\u0301"]
NUMBERS = [1.5, None, -0.0, 1e300, -math.inf, 0.1, -999.0, 3.0]
WHOLE = [1, None, HUGE, -999, 0, 3]


def arrow(values, kind):
    """A column of an Arrow type."""
    return pd.Series(pd.array(pa.array(values, kind), dtype=pd.ArrowDtype(kind)))


def mixed(*values):
    """A column of cells of any types."""
    return pd.Series(list(values), dtype=object)


COLUMNS = {
    "float64": pd.Series(NUMBERS, dtype="float64"),
    "float32": pd.Series([1.5, 0.1, None, -999, math.inf], dtype="float32"),
    "float16": pd.Series(np.array([1.5, 0.1, np.nan], dtype=np.float16)),
    "Float32": pd.Series([1.5, 0.7, None, -999], dtype="Float32"),
    "arrow float": arrow([1.5, 0.7, None], pa.float32()),
    "sparse float32": pd.Series(pd.arrays.SparseArray(np.array([0.7, np.nan], np.float32))),
    "categories of float32": pd.Series(pd.Categorical(np.array([0.7, np.nan], np.float32))),
    "float32 among others": mixed(np.float32(0.7), "0.7", np.float16(0.7), 0.7),
    "longdouble": pd.Series(np.array([1.5, 0.1, np.nan], dtype=np.longdouble)),
    "int64": pd.Series([1, HUGE, -999], dtype="int64"),
    "uint64": pd.Series([1, 2**64 - 1], dtype="uint64"),
    "bool": pd.Series([True, False, True]),
    "Float64": pd.Series(NUMBERS, dtype="Float64"),
    "Int64": pd.Series(WHOLE, dtype="Int64"),
    "UInt64": pd.Series([1, None, 2**64 - 1], dtype="UInt64"),
    "boolean": pd.Series([True, None, False], dtype="boolean"),
    "arrow double": arrow([1.5, None, float("nan"), 1e300], pa.float64()),
    "arrow int64": arrow(WHOLE, pa.int64()),
    "arrow bool": arrow([True, None, False], pa.bool_()),
    "arrow decimal": arrow([decimal.Decimal("1.50"), None], pa.decimal128(5, 2)),
    "arrow duration": arrow([datetime.timedelta(hours=36), None], pa.duration("us")),
    "sparse": pd.Series(pd.arrays.SparseArray([1.5, np.nan, 0.0])),
    "categories of numbers": pd.Series(pd.Categorical([3, None, HUGE], categories=[HUGE, 3, 7])),
    "numbers as text": mixed("1.5", " 2 ", "1e3", "", None, "?", "TRUE", "-999.0"),
    "one value, many types": mixed(1, True, 1.0, "1", np.int64(1), decimal.Decimal(1), b"1"),
    "kinds of nothing": mixed(None, np.nan, pd.NA, pd.NaT, float("nan"), decimal.Decimal("nan")),
    "numbers beside text": mixed("2", 2.0, -999, "-999", None, np.nan),
}
TEXTS = {
    "str": pd.Series(WORDS, dtype="str"),
    "string": pd.Series(WORDS, dtype="string"),
    "string of Python": pd.Series(WORDS, dtype="string[python]"),
    "arrow string": arrow(WORDS, pa.string()),
    "object": mixed(*WORDS),
    "categories": pd.Series(pd.Categorical(WORDS)),
    "dates": pd.Series(pd.to_datetime(["2020-02-02", None, "2021-01-01"])),
}
SCHEMA = Schema(("a",), missing=("?", "-999"))


@pytest.mark.parametrize("kind", COLUMNS)
def test_numbers_of_a_column_are_those_of_its_cells_to_the_last_bit(kind):
    cells = COLUMNS[kind]
    each = widened(cells).tolist()  # a list of float32 says what float64 makes of it
    numbers = np.array([SCHEMA.number("a", cell) for cell in each], dtype=np.float64)
    numbers[np.isinf(numbers)] = np.nan
    read = SCHEMA.read(pd.DataFrame({"a": cells})).numbers[:, 0]
    assert (
        np.where(np.isnan(read), np.nan, read).tobytes()
        == np.where(np.isnan(numbers), np.nan, numbers).tobytes()
    )


@pytest.mark.parametrize(
    "dtype",
    ["float32", "float16", "Float32", pd.ArrowDtype(pa.float32()), pd.SparseDtype("float32")],
    ids=str,
)
@pytest.mark.parametrize("rows", [1, 3])
def test_narrow_floats_are_read_as_the_decimals_that_a_csv_file_has(dtype, rows):
    written = ["0.7", "1.3", "-39.9"][:rows]
    narrow, text = pd.Series(map(float, written)).astype(dtype), pd.Series(written)
    schema = Schema(("a",), ("b",))
    one, other = (schema.read(pd.DataFrame({"a": each, "b": each})) for each in (narrow, text))
    assert one.numbers.tobytes() == other.numbers.tobytes()
    assert one.categories.texts(0).tolist() == other.categories.texts(0).tolist()


def test_a_narrow_cell_of_a_column_of_any_types_is_read_as_its_decimal():
    for cell in (np.float32(0.7), np.float16(0.7)):
        rows = pd.DataFrame({"a": [cell, "x"]}, dtype=object).head(1)
        assert Schema(("a",)).read(rows).numbers.tolist() == [[0.7]]
        assert Schema((), ("a",)).read(rows).categories.texts(0).tolist() == ["0.7"]


def test_every_float32_keeps_its_value_when_it_is_widened():
    bits = np.random.default_rng(0).integers(0, 2**32, 2000, dtype=np.uint32).view(np.float32)
    wide = widened(pd.Series(bits))
    assert wide.dtype == np.float64
    np.testing.assert_array_equal(wide.to_numpy().astype(np.float32), bits)


@pytest.mark.parametrize("kind", [*TEXTS, *COLUMNS])
def test_categories_of_a_column_are_those_of_its_cells(kind):
    cells = {**COLUMNS, **TEXTS}[kind]
    schema = Schema((), ("a",), missing=("?", "-999"))
    wanted = read_each(widened(cells).tolist(), partial(schema.category, "a"))
    wrong = [result for result in wanted if isinstance(result, UnreadableError)]
    if wrong:
        with pytest.raises(UserError, match=re.escape(str(wrong[0]))):
            schema.read(pd.DataFrame({"a": cells}))
        return
    categories = schema.read(pd.DataFrame({"a": cells})).categories
    assert [None if text != text else text for text in categories.texts(0)] == [
        None if text != text else text for text in wanted
    ]
    assert len(set(categories.names[0])) == len(categories.names[0])


@pytest.mark.parametrize("kind", [*TEXTS, *COLUMNS])
@pytest.mark.parametrize("schema", [SCHEMA, Schema((), ("a",), ("?", "-999"))], ids=["123", "abc"])
def test_a_row_alone_says_what_it_says_among_others(kind, schema):
    rows = pd.DataFrame({"a": {**COLUMNS, **TEXTS}[kind], "text": "x", "whole": 2**60})
    for place in range(len(rows)):
        alone = schema.one_row(rows.iloc[[place]])
        if alone is not None:  # else it is read as many are
            two = schema.read(rows.iloc[[place, place]])
            assert alone.numbers.tobytes() == two.numbers[:1].tobytes()
            for column in range(len(schema.categorical)):
                texts = alone.categories.texts(column), two.categories.texts(column)[:1]
                assert texts[0].tolist() == texts[1].tolist() or texts[0] != texts[0]


@pytest.mark.parametrize("kind", [float, object])
def test_a_number_whose_grouping_is_lost_is_refused_in_raw_rows_and_not_in_prepared_ones(kind):
    schema = Schema(("a",), notation={"a": Notation(",", ".")})
    schema.check_raw(pd.DataFrame({"a": [1.0, None, 2.0]}, dtype=kind))
    written = pd.DataFrame({"a": ["1.200,5", "1,2"]})
    schema.check_raw(written)
    prepared = schema.prepare(written)
    assert prepared["a"].tolist() == [1200.5, 1.2]
    pd.testing.assert_frame_equal(schema.prepare(prepared), prepared)
    with pytest.raises(UserError, match=r"row 1: '1.2' is a number whose spelling is lost"):
        schema.check_raw(pd.DataFrame({"a": [1.0, 1.2]}, dtype=kind))


def test_the_first_cell_that_is_no_number_is_named_and_all_such_are_counted():
    rows = pd.DataFrame({"a": ["1", "x", "2", "y", "x"]}, index=list("pqrst"))
    for frame in (rows, rows.astype("category"), rows.astype(object)):
        with pytest.raises(UserError, match=r"column 'a', row q: 'x' is no number \(3 such cells"):
            SCHEMA.read(frame)


def test_a_category_of_the_type_that_no_cell_has_is_no_fault():
    cells = pd.Categorical(["1", "2"], categories=["1", "2", "x"])
    assert SCHEMA.read(pd.DataFrame({"a": cells})).numbers.tolist() == [[1.0], [2.0]]


@pytest.mark.parametrize("kind", [*TEXTS, *COLUMNS])
def test_the_rows_that_were_handed_in_stay_as_they_were(kind):
    frame = pd.DataFrame({"a": {**COLUMNS, **TEXTS}[kind]})
    before = frame.copy()
    for schema in (SCHEMA, Schema((), ("a",), ("?", "-999"))):
        with contextlib.suppress(UserError):
            schema.read(frame)
        pd.testing.assert_frame_equal(frame, before)
