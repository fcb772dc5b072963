"""What is odd about new rows is said once a kind, by column, counted, in the cells' spelling."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from frames import remarks_on
from meddistill.data.tables.cells import Notation
from meddistill.data.tables.fitting import fit_preprocessing
from meddistill.data.tables.remarks import refuse_unknown
from meddistill.data.tables.schema import Schema
from meddistill.errors import UserError

ROWS = 60
CODES = tuple(f"diag_{number}" for number in range(14))
SCHEMA = Schema(
    ("age", "smoker", "sex", "share", "weight"), CODES, (),
    {"weight": Notation(",", ".", "kg")},
)  # fmt: skip


def training() -> pd.DataFrame:
    number = np.arange(ROWS)
    codes = {code: np.array(["v10", "e11"], dtype=object)[number % 2] for code in CODES}
    return pd.DataFrame({
        "age": number % 50 + 30.5, "smoker": number % 2, "sex": 1 + number % 2,
        "share": number % 11 / 10, "weight": [f"{n % 40 + 45},5 kg" for n in number], **codes,
    })  # fmt: skip


@pytest.fixture(scope="module")
def fitted():
    return fit_preprocessing(SCHEMA, SCHEMA.read(training()), fewest=5)


@pytest.fixture
def said(fitted):
    def of(**cells):
        rows = training().head(4).assign(**cells)
        return remarks_on(fitted, rows)

    return of


def test_training_rows_are_not_odd(fitted):
    rows = training()
    assert remarks_on(fitted, rows) == []
    assert fitted.numbers.two_valued.tolist() == [False, True, True, False, False]


@pytest.mark.parametrize(
    ("cells", "place"),
    [
        ({"smoker": [0, 5, 1, 5]}, "column 'smoker' (2 row(s), first: '5', 0 or 1 in training)"),
        ({"smoker": [0, 1, 1, 0.5]}, "column 'smoker' (1 row(s), first: '0.5', 0 or 1 in tr"),
        ({"sex": [1, 2, 0, 3]}, "column 'sex' (2 row(s), first: '0', 1 or 2 in training)"),
        ({"age": [-4, 40, 50, -1]}, "column 'age' (2 row(s), first: '-4', about 3"),
        ({"share": [0.5, -0.1, 1, 1.3]}, "column 'share' (1 row(s), first: '-0.1', about 0 to 1"),
        (
            {"age": [9e4] * 4, "sex": 7},
            "'90000.0', about 32.5 to 75.5 in training), column 'sex'",
        ),
    ],
)
def test_numbers_that_training_never_had_are_said_by_column(said, cells, place):
    (remark,) = said(**cells)
    assert remark.startswith("numbers outside the training range")
    assert place in remark


def test_a_row_alone_is_as_odd_as_among_others(fitted):
    row = training().head(1).assign(smoker=5, age=-3)
    (remark,) = remarks_on(fitted, row)
    assert "column 'age' (1 row(s), first: '-3'" in remark
    assert "column 'smoker' (1 row(s), first: '5'" in remark


def test_numbers_are_quoted_as_they_are_written_where_a_point_is_between_thousands(said):
    (remark,) = said(weight=["1.189.297 kg", "50,5 kg", "", "51 kg"])
    assert "first: '1.189.297 kg', about 47,5 to 80,5 in training" in remark


@pytest.mark.parametrize("truth", [True, np.True_, "True", "FALSE"])
def test_true_and_false_for_a_measurement_are_said_and_not_for_yes_or_no(said, truth):
    (remark,) = said(age=pd.Series([truth, 40, 41.5, truth], dtype=object), smoker=True)
    assert remark.endswith("had numbers, read as 1 and 0: column 'age' (2 row(s))")
    (whole,) = said(share=[True, False, True, True])
    assert "column 'share' (4 row(s))" in whole
    assert said(share=[1, 0, 1, 0]) == []


def test_many_columns_without_an_input_are_one_message_that_quotes_the_cells(said):
    (remark,) = said(**{code: ["V15", "e11", "V15", "E999"] for code in CODES})
    assert remark.count("no input") == 1
    assert "column 'diag_0' (3 row(s), first: 'V15')" in remark
    assert remark.endswith("and 9 more columns")
    assert "v15" not in remark


def test_a_column_without_one_known_category_is_quoted_as_written(fitted):
    rows = training().head(20).assign(diag_3="V15")
    with pytest.raises(UserError, match=r"'diag_3': not one .* \(first: 'V15'\)"):
        refuse_unknown(fitted, fitted.read(rows).cells, rows)


def test_infinite_cells_are_said_once(said):
    (remark,) = said(age=[np.inf, 1e300, 40, 50], share=[-np.inf, 0, 1, 1])
    assert remark.startswith("columns 'age', 'share': 3 infinite cell(s) read as missing")
