"""Bytes to a frame of raw cells, each mistake in the file named with its place."""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from pathlib import Path
from typing import TextIO, cast

import numpy as np
import pandas as pd
import pyarrow as pa

from meddistill.errors import SettingError, UserError

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)


def read_table(path: Path, separator: str, decimal: str, encoding: str) -> pd.DataFrame:
    """The raw cells of a CSV or Parquet file; its index is the row's number in the file.

    A CSV row's number is its line where no cell holds a line break (the header is line 1);
    a Parquet row is counted from 1.

    Raises:
        UserError: The file is missing, empty, cut, of another encoding or separator, has a column
            name twice, a row with more or fewer cells than the header, or no row.
    """
    if not path.is_file():
        raise SettingError("data.path", path, "no such file (it is looked for from where you are)")
    if not path.stat().st_size:
        raise SettingError("data.path", path, "the file is empty")
    if path.suffix == ".parquet":
        frame = _read_parquet(path)
    else:
        frame = _read_csv(path, separator, decimal, encoding)
    if not len(frame):
        raise SettingError("data.path", path, "the table has a header but no rows")
    return frame


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        frame = pd.read_parquet(path)
        numbered = isinstance(frame.index, pd.RangeIndex) and frame.index.name is None
        frame = frame.reset_index(drop=numbered)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise SettingError("data.path", path, f"can't be read as Parquet ({error})") from error
    frame.columns = frame.columns.map(str)
    _check_names(path, list(frame.columns))
    return frame.set_axis(pd.RangeIndex(1, len(frame) + 1))


def check_cells(path: str, frame: pd.DataFrame) -> None:
    """Refuse the columns of a Parquet file that hold dates or lists."""
    dates = [column for column in frame if pd.api.types.is_datetime64_any_dtype(frame[column])]
    if dates:
        raise UserError(
            f"{path}: column '{dates[0]}' holds dates: turn them into numbers (an age, days since "
            f"admission) or leave them out with data.drop={dates}"
        )
    for column in frame.columns:
        first = frame[column].first_valid_index()
        if first is not None and isinstance(frame[column][first], (dict, list, np.ndarray)):
            raise UserError(
                f"{path}: column '{column}' holds a list in each cell: spread it over columns or "
                f"leave it out with data.drop=['{column}']"
            )


def _read_csv(path: Path, separator: str, decimal: str, encoding: str) -> pd.DataFrame:
    separator = "\t" if path.suffix == ".tsv" and separator == "," else separator
    separator = separator.replace("\\t", "\t")  # as it comes from a command line
    for key, mark in {"data.separator": separator, "data.decimal": decimal}.items():
        if len(mark) != 1:
            raise SettingError(key, mark, "must be one character")
    try:
        header = _header(path, separator, encoding)
        _check_separator(path, header, separator)
        _check_names(path, header)
        _check_rows(path, header, separator, encoding)
        frame = pd.read_csv(
            path, sep=separator, decimal=decimal, encoding=encoding, dtype="object",
            index_col=False, skip_blank_lines=False, on_bad_lines="error",
        )  # fmt: skip
    except (UnicodeDecodeError, LookupError) as error:
        raise UserError(
            f"{path}: not readable as {encoding} ({error}): set data.encoding "
            "(data.encoding=latin-1 for many older files)"
        ) from error
    except (
        pd.errors.ParserError, pd.errors.EmptyDataError, csv.Error, OSError, EOFError, zlib.error,
    ) as error:  # fmt: skip
        raise SettingError("data.path", path, f"can't be read as CSV ({error})") from error
    frame.columns = pd.Index([str(column).strip() for column in frame.columns])
    if decimal != ".":
        frame = frame.map(lambda cell: _dotted(cell, decimal))
    frame = frame.set_axis(pd.RangeIndex(2, len(frame) + 2))
    return frame.dropna(how="all")


def _open(path: Path, encoding: str) -> TextIO:
    opened = gzip.open if path.suffix == ".gz" else open
    return cast(TextIO, opened(path, "rt", encoding=encoding, newline=""))


def _header(path: Path, separator: str, encoding: str) -> list[str]:
    with _open(path, encoding) as file:
        names = [name.strip() for name in next(csv.reader(file, delimiter=separator), [])]
    return [name.removeprefix("\ufeff") for name in names]


def _check_separator(path: Path, header: list[str], separator: str) -> None:
    if len(header) > 1:
        return
    for other in (";", "\t", "|", ","):
        if other != separator and header and other in header[0]:
            shown = other.replace("\t", "\\t")
            raise UserError(
                f"{path}: the header is one column, {header[0][:60]!r}, so the cells are not "
                f"separated by {separator!r}: set data.separator=\"'{shown}'\""
            )
    raise UserError(f"{path}: the table has one column; a target and a feature are needed")


def _check_names(path: Path, header: list[str]) -> None:
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise UserError(f"{path}: column name {twice[0]!r} stands twice in the header: rename one")


def _check_rows(path: Path, header: list[str], separator: str, encoding: str) -> None:
    """Pandas fills up a short row, and cuts all rows where the first one is too long."""
    with _open(path, encoding) as file:
        rows = csv.reader(file, delimiter=separator)
        for cells in rows:
            if cells and (len(cells) < len(header) or any(cells[len(header) :])):
                raise UserError(
                    f"{path}: line {rows.line_num} has {len(cells)} cell(s), the header "
                    f"{len(header)}: mend the line (a cell that holds {separator!r} must stand in "
                    "double quotes) or the header"
                )


def _dotted(cell: object, decimal: str) -> object:
    if not isinstance(cell, str):
        return cell
    dotted = cell.strip().replace(decimal, ".", 1)
    return dotted if NUMBER.fullmatch(dotted) else cell
