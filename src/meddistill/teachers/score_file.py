"""An outside system's probabilities in a file: read, matched to rows, and checked."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from meddistill.data.tables.blocks import check_read, read_each
from meddistill.data.tables.cells import NUMBER, Notation, UnreadableError, spelling_of, value_of
from meddistill.data.tables.csv_file import read_csv
from meddistill.data.tables.reading import read_table
from meddistill.errors import SettingError, UserError, shown

SUM_TOLERANCE = 0.01
"""How far a row's probabilities may be from 1 together: files hold rounded numbers."""
ROUNDING = 1e-6
"""How far a probability may lie outside of 0 and 1: float32 rounds."""
NO_SEPARATOR = "\x1f"
READERS_KEY = re.compile(r"\bdata\.(?=path|separator|decimal|encoding)")


def read_scores(path: Path, separator: str, decimal: str, encoding: str) -> pd.DataFrame:
    """The raw cells of a CSV or Parquet file, as `read_table` gives them; one column is enough.

    Raises:
        UserError: As of `read_table`; settings are called `teacher.*`.
    """
    frame = _one_column(path, encoding)
    try:
        frame = read_table(path, separator, decimal, encoding) if frame is None else frame
    except SettingError as error:  # the reader speaks of data.*
        raise SettingError(READERS_KEY.sub("", error.key), error.value, error.mend) from None
    except UserError as error:
        raise UserError(READERS_KEY.sub("teacher.", str(error))) from None
    return frame if decimal == "." else frame.map(partial(_dotted, Notation(decimal)))


def _dotted(notation: Notation, cell: object) -> object:
    plain = notation.plain(cell.strip()) if isinstance(cell, str) else ""
    return plain if NUMBER.fullmatch(plain) else cell


def match_rows(frame: pd.DataFrame, column: str, wanted: Sequence[str], path: Path) -> pd.DataFrame:
    """The file's lines of the ids `wanted`, in their order; other lines are left out.

    Raises:
        SettingError: An id is in the file more than once, or not at all.
    """
    check_column(frame, column, "teacher.id", path)
    cells = frame[column].tolist()
    names = read_each(cells, spelling_of)
    check_read(column, frame.index, cells, names)
    ids = pd.Series(names, index=frame.index, dtype=object).dropna()
    again = ids[ids.duplicated()]
    if len(again):
        raise SettingError(
            "teacher.id", column, f"{path} holds {again.iloc[0]!r} more than once, again in row "
            f"{again.index[0]} ({len(again)} such rows): leave one line for each id",
        )  # fmt: skip
    place_of = {name: place for place, name in zip(ids.index, ids, strict=True)}
    absent = [row for row in wanted if row not in place_of]
    if absent:
        raise SettingError(
            "teacher.path", path, f"column '{column}' lacks {len(absent)} of the data's "
            f"{len(wanted)} ids, first {_listed(absent)}; its own begin with {_listed(list(ids))}: "
            "add their lines, or name the column with the data's ids (teacher.id)",
        )  # fmt: skip
    return frame.loc[[place_of[row] for row in wanted]]


def read_probabilities(
    frame: pd.DataFrame, columns: Sequence[str], path: Path
) -> NDArray[np.float64]:
    """[rows, classes] of a column a class, each row summing to 1.

    Raises:
        UserError: A column is absent, a cell is no probability, or a row's sum is not 1.
    """
    values = np.stack([read_column(frame, name, path) for name in columns], axis=1)
    sums = values.sum(axis=1)
    wrong = np.flatnonzero(np.abs(sums - 1) > SUM_TOLERANCE)
    if len(wrong):
        raise SettingError(
            "teacher.path", path, f"row {frame.index[wrong[0]]}: the columns "
            f"{', '.join(columns)} sum to {sums[wrong[0]]:g}, not to 1 ({len(wrong)} such rows): "
            "mend the rows, or name the right columns (teacher.column)",
        )  # fmt: skip
    normalised: NDArray[np.float64] = values / sums[:, None]
    return normalised


def read_column(frame: pd.DataFrame, name: str, path: Path) -> NDArray[np.float64]:
    """[rows] Probabilities of one column; a `SettingError` names the first cell that is none."""
    check_column(frame, name, "teacher.column", path)
    cells = frame[name].tolist()
    read = read_each(cells, value_of)
    unreadable = np.array([isinstance(number, UnreadableError) for number in read])
    numbers = pd.Series(np.where(unreadable, np.nan, read), dtype=np.float64)
    for wrong, what in (
        (numbers.isna() & ~unreadable, "is empty: fill it in"),
        (unreadable, "is no number: mend it"),
        (~numbers.between(-ROUNDING, 1 + ROUNDING), "is no probability (percent / 100 is one)"),
    ):
        first = np.flatnonzero(wrong)
        if len(first):
            raise SettingError(
                "teacher.path", path, f"column '{name}', row {frame.index[first[0]]}: "
                f"{shown(cells[first[0]])} {what} ({len(first)} such cells)",
            )  # fmt: skip
    return np.asarray(numbers.clip(0, 1), dtype=np.float64)


def check_column(frame: pd.DataFrame, name: str, key: str, path: Path) -> None:
    """Refuse a column that the file lacks; close names are shown first."""
    if name in frame.columns:
        return
    close = difflib.get_close_matches(name, frame.columns, n=3)
    meant = f"; did you mean {', '.join(close)}?" if close else "."
    have = ", ".join(frame.columns[:20])
    more = f" and {len(frame.columns) - 20} more" if len(frame.columns) > 20 else ""
    raise SettingError(key, name, f"no such column in {path}{meant} It has {have}{more}")


def _one_column(path: Path, encoding: str) -> pd.DataFrame | None:
    """A CSV file of a single column, which no table of patients can be; None of any other."""
    if path.suffix == ".parquet" or not path.is_file():
        return None
    try:
        frame, _ = read_csv(path, NO_SEPARATOR, encoding, alone=True)
    except UserError:
        return None  # read_table says what is wrong
    several = len(frame.columns) != 1 or any(mark in frame.columns[0] for mark in ",;\t|")
    return None if several or not len(frame) else frame


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names[:3])
