"""The same cell says the same, whatever type pandas, Arrow or a CSV file gave it."""

from __future__ import annotations

import datetime
import decimal
import math

import numpy as np
import pandas as pd
import pytest

from meddistill.data.tables.cells import (
    LARGEST,
    Notation,
    UnreadableError,
    spelling_of,
    text_of,
    value_of,
)

HUGE = 999000011000000103


@pytest.mark.parametrize(
    "cell",
    ["2.5", " 2.5 ", "+2.50", "25e-1", 2.5, np.float32(2.5), decimal.Decimal("2.50"), b"2.5",
     pd.Timedelta(days=2.5), np.timedelta64(60, "h"), "2 days 12:00:00"],
)  # fmt: skip
def test_a_number_is_the_same_in_every_type(cell):
    assert value_of(cell) == 2.5


@pytest.mark.parametrize("cell", [True, np.True_, "TRUE", "True", "true", 1, "1", "1.0", "01"])
def test_true_counts_as_1_where_a_number_is_needed(cell):
    assert value_of(cell) == 1


@pytest.mark.parametrize("cell", [None, math.nan, np.float32("nan"), pd.NA, pd.NaT, "", "  "])
def test_an_empty_cell_is_no_number_and_no_category(cell):
    assert math.isnan(value_of(cell))
    assert text_of(cell) is None
    assert spelling_of(cell) is None


@pytest.mark.parametrize(
    "cell",
    ["inf", "-Infinity", math.inf, 1e300, "1e300", "-1.797e308", "1e999", 10**400, -(10**39)],
)
def test_what_float32_can_not_hold_is_beyond_its_largest_number(cell):
    assert abs(value_of(cell)) > LARGEST
    assert value_of(LARGEST) == LARGEST


@pytest.mark.parametrize("cell", ["12 mg", "1,5", "1 2", "٣", "0x10", "1_000", [1], {"a": 1},
                                  datetime.date(2020, 1, 1), pd.Timestamp("2020"), 1j, b"\xff"],
                         ids=repr)  # fmt: skip
def test_what_is_no_number_is_refused(cell):
    with pytest.raises(UnreadableError):
        value_of(cell)


@pytest.mark.parametrize(
    ("cell", "notation", "number"),
    [
        ("1,5", Notation(decimal=","), 1.5),
        ("1.200,5", Notation(decimal=",", thousands="."), 1200.5),
        ("2,133", Notation(thousands=","), 2133),
        ("1 234 567", Notation(thousands=" "), 1234567),
        ("\u22125", Notation(), -5),
        ("42%", Notation(unit="%"), 42),
        ("<5 mg/dl", Notation(unit="mg/dl", bounds=True), 5),
        (">= 200", Notation(bounds=True), 200),
        (42.0, Notation(unit="%"), 42),
    ],
)
def test_a_number_is_read_in_the_notation_of_its_column(cell, notation, number):
    assert value_of(cell, notation) == number


@pytest.mark.parametrize(
    ("cell", "notation"),
    [("1.5", Notation(decimal=",")), ("2,13", Notation(thousands=",")), ("<5", Notation()),
     ("0,133", Notation(thousands=",")), ("1,2,3", Notation(decimal=",")),
     ("42 kg", Notation(unit="g"))],
)  # fmt: skip
def test_a_number_in_another_notation_is_refused(cell, notation):
    with pytest.raises(UnreadableError):
        value_of(cell, notation)


@pytest.mark.parametrize(
    ("spellings", "category"),
    [
        (["TRUE", "True", "true", True, np.True_], "true"),
        (["1", "01", "1.0", "+1", 1, 1.0, np.int8(1), decimal.Decimal("1.0"), b"1"], "1"),
        (["250.8", "250.80", 250.8, decimal.Decimal("250.80")], "250.8"),
        ([str(HUGE), f"0{HUGE}", f"{HUGE}.0", HUGE, np.uint64(HUGE)], str(HUGE)),
        (["yes", "Yes", " YES "], "yes"),
        (["caf\u00e9", "cafe\u0301", "CAF\u00c9"], "caf\u00e9"),
        (["0", "-0.0", 0, -0.0], "0"),
        (["1e-05", "0.00001", 1e-5], "1e-05"),
        (["0.1234567890123456", math.nextafter(0.1234567890123456, 1)], "0.123456789012346"),
    ],
)  # fmt: skip
def test_spellings_that_mean_the_same_are_one_category(spellings, category):
    assert {text_of(cell) for cell in spellings} == {category}


def test_a_literal_category_keeps_the_spelling_of_its_number_and_refuses_a_bare_number():
    assert [text_of(cell, literal=True) for cell in ("01", "1", "1.0", "V1")] == [
        "01",
        "1",
        "1",
        "v1",
    ]
    with pytest.raises(UnreadableError, match="spelling is lost"):
        text_of(1, literal=True)


@pytest.mark.parametrize("cell", ["P07", "007", "v1.0", "1.20", str(HUGE), "None"])
def test_a_name_is_kept_as_written(cell):
    assert spelling_of(f" {cell} ") == cell


@pytest.mark.parametrize("number", [math.inf, float(2**53), 9.99e17, -1e16, np.float64(HUGE)])
@pytest.mark.parametrize("read", [text_of, spelling_of])
def test_a_float_that_has_merged_codes_is_refused_as_a_name(read, number):
    with pytest.raises(UnreadableError, match=r"have become one|spelling is lost"):
        read(number)


@pytest.mark.parametrize("cell", [[1], {"a": 1}, np.ones(2), 10**400, b"\xff"], ids=str)
@pytest.mark.parametrize("read", [text_of, spelling_of])
def test_what_is_no_name_is_refused(read, cell):
    with pytest.raises(UnreadableError):
        read(cell)
