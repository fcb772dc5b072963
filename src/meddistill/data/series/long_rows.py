"""A long table, a row a measurement, as read: whose, when, of what, and how much."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from meddistill.data.series.static import number_cells
from meddistill.data.tables.blocks import read_categories, read_each
from meddistill.data.tables.cells import UnreadableError, spelling_of, value_of
from meddistill.data.tables.looks import is_date
from meddistill.data.tables.missing import DEFAULT, Missing
from meddistill.errors import UserError, listed, shown

USUAL = {
    "id": ("id", "subject_id"), "time": ("time",), "variable": ("variable", "code"),
    "value": ("value", "numeric_value"),
}  # fmt: skip
"""Columns of a long table by what they hold; the second ones are MEDS's."""
HOUR = np.timedelta64(1, "h")


def column_names(
    frame: pd.DataFrame, given: Mapping[str, str | None], where: str
) -> dict[str, str]:
    """The columns of a long table by what they hold: as given, or the usual ones.

    Raises:
        UserError: A column is absent.
    """
    names = {}
    for role, usual in USUAL.items():
        wanted = given.get(role)
        found = [name for name in ([wanted] if wanted else usual) if name in frame.columns]
        if not found:
            called = shown(wanted) if wanted else " or ".join(map(shown, usual))
            raise UserError(
                f"{where} has no column {called} (data.{role}); there are "
                f"{listed(frame.columns, 20)}"
            )
        names[role] = found[0]
    return names


@dataclass(frozen=True)
class Long:
    """Measurements, a row each.

    Attributes:
        ids: Different ids, in the order in which they first appear.
        variables: Different variables.
        id: [measurements] place among `ids`.
        variable: [measurements] place among `variables`.
        time: [measurements] as given; of dates, hours since the id's first row.
        value: [measurements] NaN where missing.
        row: [measurements] what a message calls the row.
        notes: What was left out, or taken to mean something.
    """

    ids: list[str]
    variables: list[str]
    id: NDArray[np.int64]
    variable: NDArray[np.int64]
    time: NDArray[np.float64]
    value: NDArray[np.float64]
    row: NDArray[Any]
    notes: tuple[str, ...] = ()

    @staticmethod
    def read(frame: pd.DataFrame, names: Mapping[str, str], where: str) -> Long:
        """Read a table by the columns' names.

        Raises:
            UserError: The table is empty, an id, a time or a variable is missing, or a cell is no
                number.
        """
        if not len(frame):
            raise UserError(f"{where} has no row: every series is empty")
        gone = Missing(DEFAULT)
        id, ids = _named(frame, names["id"], where)
        variable, variables = _named(frame, names["variable"], where)
        values = _values(frame, names, variable, gone)
        time, notes = _times(frame, names["time"], id, gone)
        rows = np.asarray(frame.index)
        long = Long(ids, variables, id, variable, time, values, rows, tuple(notes))
        unknown = np.isnan(time)
        if unknown.any() and not notes:
            raise UserError(
                f"column {shown(names['time'])}, row {rows[np.argmax(unknown)]}: a time is missing "
                f"({int(unknown.sum())} such rows): leave these rows out"
            )
        return long.at(~unknown)

    def at(self, kept: NDArray[np.bool_]) -> Long:
        """The measurements chosen alone."""
        parts = {k: getattr(self, k)[kept] for k in ("id", "variable", "time", "value", "row")}
        return replace(self, **parts)

    def present_ids(self) -> list[str]:
        """Those that have a row, in the order in which they first appear."""
        return [self.ids[place] for place in np.unique(self.id)]

    def present_variables(self) -> list[str]:
        """Those that some row measures, by name."""
        return sorted(self.variables[place] for place in np.unique(self.variable))


def _named(frame: pd.DataFrame, column: str, where: str) -> tuple[NDArray[np.int64], list[str]]:
    """[rows] place of each cell's name among the different ones, and these."""
    codes, names = read_categories(column, frame[column], _spelled)
    if (codes < 0).any():
        row = frame.index[int(np.argmax(codes < 0))]
        raise UserError(f"{where}: column {shown(column)} is empty in row {row}")
    return codes.astype(np.int64), names


def _spelled(cell: Any) -> Any:
    text = spelling_of(cell)
    return np.nan if text is None else text.strip()


def _values(
    frame: pd.DataFrame, names: Mapping[str, str], variable: NDArray[np.int64], gone: Missing
) -> NDArray[np.float64]:
    """[rows] the measured numbers.

    Raises:
        UserError: A cell is no number; its row and variable are named.
    """
    cells = frame[names["value"]]
    try:
        return number_cells(names["value"], cells, gone)
    except UserError as error:
        which = shown(frame[names["variable"]].iloc[_first_unreadable(cells, gone)])
        raise UserError(f"{error} (variable {which})") from error


def _first_unreadable(cells: pd.Series[Any], gone: Missing) -> int:
    readings = read_each(
        cells.tolist(), lambda cell: math.nan if gone.covers(cell) else value_of(cell)
    )
    return [isinstance(reading, UnreadableError) for reading in readings].index(True)


def _times(
    frame: pd.DataFrame, column: str, id: NDArray[np.int64], gone: Missing
) -> tuple[NDArray[np.float64], list[str]]:
    """[rows] times, and what is said of dates.

    Raises:
        UserError: A cell is no number among numbers, or no date among dates.
    """
    cells = frame[column]
    first = cells.dropna().head(1).tolist()
    if cells.dtype.kind != "M" and not (first and is_date(first[0])):
        return number_cells(column, cells, gone), []
    dates = _dates(column, cells, gone)
    hours = ((dates - dates.groupby(id).transform("min")).to_numpy() / HOUR).astype(np.float64)
    notes = [f"dates in {shown(column)} are read as hours since the first row of their id"]
    if dates.isna().any():
        count = int(dates.isna().sum())
        notes.append(f"{count} row(s) without a date in {shown(column)} are left out")
    return hours, notes


def _dates(column: str, cells: pd.Series[Any], gone: Missing) -> pd.Series[Any]:
    """[rows] points in time, NaT where missing; written ones begin with the year."""
    if cells.dtype.kind == "M":
        return cells
    dates = pd.to_datetime(cells, errors="coerce", format="ISO8601", utc=True)
    wrong = [
        row for row in np.flatnonzero(dates.isna()).tolist() if not gone.covers(cells.iloc[row])
    ]
    if wrong:
        raise UserError(
            f"column {shown(column)}, row {cells.index[wrong[0]]}: {shown(cells.iloc[wrong[0]])} "
            f"is no date as 2020-12-31 14:00 ({len(wrong)} such cells)"
        )
    return dates
