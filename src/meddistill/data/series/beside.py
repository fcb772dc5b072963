"""The table that stands beside the series: a row of static columns for each id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from meddistill.data.series.static import Statics, read_statics
from meddistill.data.tables.cells import spelling_of
from meddistill.data.tables.rows import nearest
from meddistill.errors import UserError, listed, shown


def statics_of(
    ids: Sequence[str], frame: pd.DataFrame, id: str, kinds: Mapping[str, str | None]
) -> Statics:
    """[ids] the static columns of a frame with a column (or index) `id`.

    Raises:
        UserError: As for `rows_of`.
    """
    if not kinds:
        return Statics((), np.empty((len(ids), 0), dtype=np.float32), ())
    return read_statics(rows_of(ids, frame, id, list(kinds)), kinds)


def rows_of(
    ids: Sequence[str], frame: pd.DataFrame, id: str, columns: Sequence[str]
) -> pd.DataFrame:
    """[ids] columns of a frame with a column (or index) `id`.

    An id may have several rows, as in a long table, where its columns say the same.

    Raises:
        UserError: A column is absent, an id has no row, or its rows say different things.
    """
    frame = _with_column(frame, id)
    check_columns([id, *columns], frame)
    names = [_text(cell) for cell in frame[id].tolist()]
    places = pd.Series(range(len(names)), index=names)
    first = places[~places.index.duplicated()]
    absent = [name for name in ids if name not in first.index]
    if absent:
        raise UserError(f"no row of static columns for id {listed(absent)}: add it")
    rows = first.loc[list(ids)].to_numpy()
    several = frame[list(columns)].astype(object).groupby(np.array(names, dtype=object)).nunique()
    if (several > 1).any(axis=None):
        column = next(name for name in columns if (several[name] > 1).any())
        name = several.index[several[column] > 1][0]
        raise UserError(f"static column {shown(column)} says different things of id {shown(name)}")
    return frame.iloc[rows]


def check_measured(frame: pd.DataFrame, id: str, measured: Sequence[str]) -> None:
    """Refuse ids that stand beside the series alone: in training there are none such either.

    Raises:
        UserError: It names them.
    """
    frame = _with_column(frame, id)
    check_columns([id], frame)
    known = set(measured)
    names = [_text(cell) for cell in frame[id].tolist()]
    absent = [name for name in dict.fromkeys(names) if name not in known]
    if absent:
        raise UserError(
            f"id {listed(absent)} has static columns and no row in the long table, whose ids are "
            f"such as {shown(measured[0])}: of such nothing was learned; leave them out"
        )


def _with_column(frame: pd.DataFrame, id: str) -> pd.DataFrame:
    named = id not in frame.columns and frame.index.name == id
    return frame.reset_index() if named else frame


def check_columns(wanted: Sequence[str], frame: pd.DataFrame) -> None:
    """Refuse a frame that lacks one of the columns.

    Raises:
        UserError: It names the nearest column.
    """
    for column in wanted:
        if column not in frame.columns:
            near = nearest(column, [name for name in frame.columns if name not in wanted])
            meant = f" (is {shown(near)} meant?)" if near else ""
            raise UserError(
                f"the table of static columns has no column {shown(column)}{meant}; there are "
                f"{listed(frame.columns, 20)}"
            )


def _text(cell: Any) -> str | None:
    text = spelling_of(cell)
    return None if text is None else text.strip()
