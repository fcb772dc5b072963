"""When each measurement was taken: numbers as they are, dates and durations in hours."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from meddistill.data.series.static import number_cells
from meddistill.data.tables.looks import is_date
from meddistill.data.tables.missing import Missing
from meddistill.errors import UserError, shown

NUMBER, DATE, DURATION = "number", "date", "duration"
MENDS = {
    NUMBER: "give numbers, in the unit of the training times",
    DATE: "give dates as 2020-12-31 14:00, which count in hours from the first row of their id",
    DURATION: "give durations (timedelta), which count in hours",
}
"""What times may be, and how others become such."""
EXAMPLES = {DATE: "date as 2020-12-31 14:00", DURATION: "duration"}
HOUR = np.timedelta64(1, "h")


def read_times(
    column: str,
    cells: pd.Series[Any],
    id: NDArray[np.int64],
    gone: Missing,
    trained: str | None = None,
) -> tuple[NDArray[np.float64], str]:
    """[rows] times, NaN where missing, and what they are: numbers, dates or durations.

    Args:
        column: Its name.
        cells: [rows] the column.
        id: [rows] whose row it is; dates count from the first one of each.
        gone: What counts as missing.
        trained: What times were in training.

    Raises:
        UserError: Times are of another kind than in training, or a cell is no number among
            numbers, no date among dates, or the like.
    """
    kind = _kind_of(cells, gone) or trained or NUMBER
    check_kind(f"column {shown(column)}", kind, trained or kind)
    if kind == NUMBER:
        return number_cells(column, cells, gone), kind
    points = cells if cells.dtype.kind in "mM" else _points(column, cells, kind, gone)
    if kind == DATE:
        points = points - points.groupby(id).transform("min")
    return (points.to_numpy() / HOUR).astype(np.float64), kind


def check_kind(what: str, kind: str, trained: str) -> None:
    """Refuse times of another kind than in training, whose unit nothing tells.

    Raises:
        UserError: It says how to mend them.
    """
    if kind != trained:
        raise UserError(f"{what} holds {kind}s, and held {trained}s in training: {MENDS[trained]}")


def _kind_of(cells: pd.Series[Any], gone: Missing) -> str | None:
    """What times are by their type, or by the first that is not missing; None where none is."""
    by_type = {"M": DATE, "m": DURATION}.get(cells.dtype.kind)
    if by_type or cells.dtype.kind in "fiub":
        return by_type or NUMBER
    first = next((cell for cell in cells.tolist() if not gone.covers(cell)), None)
    if first is None or isinstance(first, datetime.timedelta):
        return None if first is None else DURATION
    return DATE if is_date(first) else NUMBER


def _points(column: str, cells: pd.Series[Any], kind: str, gone: Missing) -> pd.Series[Any]:
    """[rows] points in time, NaT where missing; written ones begin with the year.

    Raises:
        UserError: A cell is none; it is named with its row.
    """
    of_type = (str, datetime.date) if kind == DATE else (datetime.timedelta,)
    fitting = cells.where(cells.map(lambda cell: isinstance(cell, of_type)))
    points: pd.Series[Any]
    if kind == DATE:
        points = pd.to_datetime(fitting, errors="coerce", format="ISO8601", utc=True)
    else:
        points = pd.to_timedelta(fitting, errors="coerce")
    lost = np.flatnonzero(points.isna()).tolist()
    wrong = [row for row in lost if not gone.covers(cells.iloc[row])]
    if wrong:
        raise UserError(
            f"column {shown(column)}, row {cells.index[wrong[0]]}: {shown(cells.iloc[wrong[0]])} "
            f"is no {EXAMPLES[kind]} ({len(wrong)} such cells)"
        )
    return points
