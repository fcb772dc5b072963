"""A long table, a row a measurement, as read: whose, when, of what, and how much."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from meddistill.data.series.static import number_cells
from meddistill.data.series.times import DATE, NUMBER, read_times
from meddistill.data.series.variables import are_known
from meddistill.data.tables.blocks import read_categories, read_each
from meddistill.data.tables.cells import UnreadableError, spelling_of, value_of
from meddistill.data.tables.missing import DEFAULT, Missing
from meddistill.errors import UserError, listed, shown

USUAL = {
    "id": ("id", "subject_id"), "time": ("time",), "variable": ("variable", "code"),
    "value": ("value", "numeric_value"),
}  # fmt: skip
"""Columns of a long table by what they hold; the second ones are MEDS's."""


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
                f"{where}: no column {called} (data.{role}); there are {listed(frame.columns, 20)}"
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
        time: [measurements] numbers as given; durations in hours, dates in hours since the id's
            first row.
        value: [measurements] NaN where missing.
        row: [measurements] what a message calls the row.
        notes: What was left out.
        time_kind: What times are: numbers, dates or durations.
    """

    ids: list[str]
    variables: list[str]
    id: NDArray[np.int64]
    variable: NDArray[np.int64]
    time: NDArray[np.float64]
    value: NDArray[np.float64]
    row: NDArray[Any]
    notes: tuple[str, ...] = ()
    time_kind: str = NUMBER

    @staticmethod
    def read(
        frame: pd.DataFrame,
        names: Mapping[str, str],
        where: str,
        variables: Sequence[str] | None = None,
        time_kind: str | None = None,
    ) -> Long:
        """Read a table by the columns' names.

        Args:
            frame: The table.
            names: Its columns by what they hold.
            where: What a message calls the table.
            variables: Those of training: rows of others are not read, so no date counts from one.
            time_kind: What times were in training.

        Raises:
            UserError: The table is empty, an id, a time or a variable is missing, a cell is no
                number, or times are of another kind.
        """
        try:
            return _read(frame, names, variables, time_kind)
        except UserError as error:
            raise UserError(f"{where}: {error}") from error

    def at(self, kept: NDArray[np.bool_]) -> Long:
        """The measurements chosen alone."""
        parts = {k: getattr(self, k)[kept] for k in ("id", "variable", "time", "value", "row")}
        return replace(self, **parts)

    def present_variables(self) -> list[str]:
        """Those that some row measures, by name."""
        return sorted(self.variables[place] for place in np.unique(self.variable))


def _read(
    frame: pd.DataFrame,
    names: Mapping[str, str],
    known: Sequence[str] | None,
    time_kind: str | None,
) -> Long:
    if not len(frame):
        raise UserError("the table has no row: every series is empty")
    gone = Missing(DEFAULT)
    id, ids = _named(frame, names["id"])
    variable, variables = _named(frame, names["variable"])
    if known is not None:
        kept = are_known(variables, known)[variable]
        frame, id, variable = frame[kept], id[kept], variable[kept]
    values = _values(frame, names, variable, gone)
    time, kind = read_times(names["time"], frame[names["time"]], id, gone, time_kind)
    rows, timeless = np.asarray(frame.index), np.isnan(time)
    notes = _left_out(names["time"], rows, timeless, kind)
    return Long(ids, variables, id, variable, time, values, rows, notes, kind).at(~timeless)


def _left_out(
    column: str, rows: NDArray[Any], timeless: NDArray[np.bool_], kind: str
) -> tuple[str, ...]:
    """What is said of rows without a time; such as exports have without a date are left out.

    Raises:
        UserError: It has to be there, or is nowhere.
    """
    count = int(timeless.sum())
    if count and (kind != DATE or timeless.all()):
        raise UserError(
            f"column {shown(column)}, row {rows[np.argmax(timeless)]}: a time is missing "
            f"({count} such rows): leave these rows out"
        )
    return (f"{count} row(s) without a date in {shown(column)} are left out",) if count else ()


def _named(frame: pd.DataFrame, column: str) -> tuple[NDArray[np.int64], list[str]]:
    """[rows] place of each cell's name among the different ones, and these."""
    codes, names = read_categories(column, frame[column], _spelled)
    if (codes < 0).any():
        row = frame.index[int(np.argmax(codes < 0))]
        raise UserError(f"column {shown(column)} is empty in row {row}")
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
