"""What is odd about new rows: a sentence a kind, whatever the number of columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from meddistill.data.tables.blocks import Cells
from meddistill.data.tables.cells import PLAIN, is_truth
from meddistill.data.tables.encoding import FEWEST_LOST, Fitted
from meddistill.data.tables.rows import find_columns
from meddistill.data.tables.schema import too_large
from meddistill.errors import UserError, columns_named, shown

MOST = 5
"""Columns named in one sentence."""


def refuse_unknown(fitted: Fitted, cells: Cells, rows: pd.DataFrame) -> None:
    """Refuse columns of categories of which no cell is known.

    Raises:
        UserError: It names the columns, and the first cell as it was written.
    """
    lost = dict(fitted.categories.lost(cells.categories))
    if lost:
        first, row = next(iter(lost.items()))
        raise UserError(
            f"{columns_named(lost)}: not one of the categories is known from training (first: "
            f"{_written(rows, first, row)}): spell them as in training, or empty the cells to have "
            "them answered as missing"
        )


def remarks(
    fitted: Fitted, cells: Cells, rows: pd.DataFrame, absent: Sequence[str] = ()
) -> list[str]:
    """What is odd about rows, a sentence a kind: each says what is made of it.

    Args:
        fitted: From training rows.
        cells: As it reads the rows.
        rows: As they came, for cells to be quoted as they were written.
        absent: Columns that the rows came without.
    """
    infinite = [too_large(cells.infinite)] if cells.infinite else []
    places = {
        "categories that the model has no input for, answered like rare ones": [
            f"{_rows(column, count)}, first: {_written(rows, column, first)})"
            for column, count, first in fitted.categories.unknown(cells.categories)
        ],
        "numbers outside the training range (is the unit right, and none a missing value?)": [
            f"{_rows(fitted.numbers.columns[place], len(odd))}, first: "
            f"{_written(rows, fitted.numbers.columns[place], odd[0])}, {_range(fitted, place)})"
            for place, odd in fitted.numbers.outside(cells.numbers)
        ],
        "true or false where training had numbers, read as 1 and 0": [
            f"{_rows(column, count)})" for column, count in _truths(fitted, cells, rows)
        ],
    }
    said = [f"{what}: {_named(each)}" for what, each in places.items() if each]
    return [*infinite, *said, *_all_empty(fitted, cells, absent), *_mostly_empty(fitted, cells)]


def _rows(column: str, count: int) -> str:
    return f"column {shown(column)} ({count} row(s)"


def _named(places: Sequence[str]) -> str:
    more = f", and {len(places) - MOST} more columns" if len(places) > MOST else ""
    return ", ".join(places[:MOST]) + more


def _written(rows: pd.DataFrame, column: str, row: int) -> str:
    """A cell as it stands in the rows."""
    return shown(find_columns(rows, [column])[0].iloc[row])


def _range(fitted: Fitted, place: int) -> str:
    """What training had, in the column's own decimal mark."""
    numbers = fitted.numbers
    marks = fitted.schema.notation.get(numbers.columns[place], PLAIN)
    low, high = marks.written(numbers.lowest[place]), marks.written(numbers.highest[place])
    if numbers.two_valued[place]:
        return f"{low} or {high} in training"
    return f"about {low} to {high} in training"


def _truths(fitted: Fitted, cells: Cells, rows: pd.DataFrame) -> Iterator[tuple[str, int]]:
    """Columns of measurements with cells that are true or false, and how many."""
    values, numbers = cells.numbers, fitted.numbers
    like_truth = ((values == 0) | (values == 1)).any(axis=0)
    measured = like_truth & numbers.known & ~numbers.two_valued & (numbers.highest > numbers.lowest)
    if not measured.any():
        return
    kinds = zip(rows.columns.tolist(), rows.dtypes.tolist(), strict=True)
    typed = {str(name) for name, dtype in kinds if dtype.kind in "iuf"}
    names = [numbers.columns[place] for place in np.flatnonzero(measured)]
    asked = [name for name in names if name not in typed]
    for column, raw in zip(asked, find_columns(rows, asked) if asked else [], strict=True):
        count = sum(map(is_truth, raw.tolist()))
        if count:
            yield column, count


def _all_empty(fitted: Fitted, cells: Cells, absent: Sequence[str]) -> list[str]:
    """Columns without a cell, where there are enough rows for that to be no chance."""
    if len(cells.numbers) < FEWEST_LOST:
        return []
    filled = zip(fitted.schema.columns, cells.known.T, strict=True)
    empty = [name for name, known in filled if not known.any() and name not in absent]
    if not empty:
        return []
    return [f"{columns_named(empty)}: empty in every row, answered as missing"]


def _mostly_empty(fitted: Fitted, cells: Cells) -> list[str]:
    empty: Any = np.isnan(cells.numbers).sum(axis=1) + (cells.categories.codes < 0).sum(axis=1)
    mostly = np.flatnonzero(empty > len(fitted.schema.columns) / 2)
    if not len(mostly):
        return []
    return [
        f"{len(mostly)} row(s) have most of their cells empty (first: row {mostly[0]}, counted "
        "from 0); the answer is then hardly more than that of an average patient"
    ]
