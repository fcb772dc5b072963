"""Bytes to a frame of raw cells, each mistake in the file named with its place."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import pandas as pd
import pyarrow as pa

from meddistill.errors import SettingError, UserError


def read_table(path: Path, separator: str, decimal: str, encoding: str) -> pd.DataFrame:
    """The raw cells of a CSV or Parquet file; its index is the row's number in the file.

    A CSV row's number is its line where no cell holds a line break (the header is line 1);
    a Parquet row is counted from 1.

    Raises:
        UserError: The file is missing, empty, cut, of another encoding or separator, has a column
            name twice or no row.
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
    except (pa.ArrowException, OSError, ValueError) as error:
        raise SettingError("data.path", path, f"can't be read as Parquet ({error})") from error
    frame = frame.reset_index(drop=isinstance(frame.index, pd.RangeIndex))
    frame.columns = frame.columns.map(str)
    _check_names(path, list(frame.columns))
    dates = [column for column in frame if pd.api.types.is_datetime64_any_dtype(frame[column])]
    if dates:
        raise UserError(
            f"{path}: column '{dates[0]}' holds dates: turn them into numbers (an age, days since "
            f"admission) or leave them out with data.drop={dates}"
        )
    return frame.set_axis(pd.RangeIndex(1, len(frame) + 1))


def _read_csv(path: Path, separator: str, decimal: str, encoding: str) -> pd.DataFrame:
    separator = "\t" if path.suffix == ".tsv" and separator == "," else separator
    try:
        header = _header(path, separator, encoding)
        _check_separator(path, header, separator)
        _check_names(path, header)
        frame = pd.read_csv(
            path, sep=separator, decimal=decimal, encoding=encoding, dtype="object",
            index_col=False, skip_blank_lines=False, on_bad_lines="error",
        )  # fmt: skip
    except (UnicodeDecodeError, LookupError) as error:
        raise UserError(
            f"{path}: not readable as {encoding} ({error}): set data.encoding "
            "(data.encoding=latin-1 for many older files)"
        ) from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, csv.Error, OSError, EOFError) as error:
        raise SettingError("data.path", path, f"can't be read as CSV ({error})") from error
    frame.columns = pd.Index([str(column).strip() for column in frame.columns])
    if decimal != ".":
        frame = frame.map(lambda cell: _dotted(cell, decimal))
    frame = frame.set_axis(pd.RangeIndex(2, len(frame) + 2))
    return frame.dropna(how="all")


def _header(path: Path, separator: str, encoding: str) -> list[str]:
    opened = (gzip.open if path.suffix == ".gz" else open)(
        path, "rt", encoding=encoding, newline=""
    )
    with opened as file:
        names = [name.strip() for name in next(csv.reader(file, delimiter=separator), [])]
    return [name.removeprefix("\ufeff") for name in names]


def _check_separator(path: Path, header: list[str], separator: str) -> None:
    if len(header) > 1:
        return
    for other in (";", "\t", "|", ","):
        if other != separator and header and other in header[0]:
            shown = {"\t": "'\\t'"}.get(other, f'"{other}"')
            raise UserError(
                f"{path}: the header is one column, {header[0][:60]!r}, so the cells are not "
                f"separated by {separator!r}: set data.separator={shown}"
            )
    raise UserError(f"{path}: the table has one column; a target and a feature are needed")


def _check_names(path: Path, header: list[str]) -> None:
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise UserError(f"{path}: column name {twice[0]!r} stands twice in the header: rename one")


def _dotted(cell: object, decimal: str) -> object:
    if isinstance(cell, str) and cell.replace(decimal, "", 1).lstrip("+-").isdigit():
        return cell.replace(decimal, ".")
    return cell
