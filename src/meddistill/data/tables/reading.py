"""A file to a frame of raw cells, each mistake in the file named with its place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from meddistill.data.tables.csv_file import read_csv
from meddistill.data.tables.narrow import widened
from meddistill.data.tables.rows import check_names, clean_name
from meddistill.errors import SettingError

FOREIGN = {
    ".xlsx": "a spreadsheet", ".xls": "a spreadsheet", ".ods": "a spreadsheet", ".sav": "SPSS's",
    ".dta": "Stata's", ".sas7bdat": "SAS's", ".rds": "R's", ".feather": "Feather", ".json": "JSON",
    ".pkl": "a pickle",
}  # fmt: skip


@dataclass(frozen=True)
class Raw:
    """What stands in a file.

    Attributes:
        frame: Cells as they are: text of a CSV file, typed ones of a Parquet file. Its index is the
            row's line in a CSV file (the header is line 1), its number from 1 in a Parquet file.
        notes: What was left out, and how many rows were read of how many lines.
    """

    frame: pd.DataFrame
    notes: tuple[str, ...] = ()


def read_raw(path: Path, separator: str, decimal: str, encoding: str) -> Raw:
    """The raw cells of a CSV or Parquet file, by the file's ending.

    Raises:
        UserError: The file is missing, empty, cut, of another kind, encoding or separator, has a
            column name twice, a row with more or fewer cells than the header, or no row.
    """
    if path.is_dir():
        mend = "is a folder, and a table is one file: name the file (CSV or Parquet)"
        raise SettingError("data.path", path, mend)
    if not path.is_file():
        raise SettingError("data.path", path, "no such file (it is looked for from where you are)")
    if not path.stat().st_size:
        raise SettingError("data.path", path, "the file is empty")
    kind = FOREIGN.get(path.suffix.lower())
    if kind:
        raise SettingError("data.path", path, f"{kind} file is not read: save it as CSV or Parquet")
    if path.suffix.lower() in (".parquet", ".pq"):
        for key, value, usual in (("separator", separator, ","), ("encoding", encoding, "utf-8")):
            if value != usual:
                raise SettingError(f"data.{key}", value, "a Parquet file has none: leave it out")
        raw = Raw(_read_parquet(path))
    else:
        for key, mark in {"data.separator": separator, "data.decimal": decimal}.items():
            if len(mark.replace("\\t", "\t")) != 1:
                raise SettingError(key, mark, "must be one character")
        raw = Raw(*read_csv(path, separator.replace("\\t", "\t"), encoding))
    if not len(raw.frame):
        raise SettingError("data.path", path, "the table has a header but no rows")
    return raw


def read_table(path: Path, separator: str, decimal: str, encoding: str) -> pd.DataFrame:
    """The frame of `read_raw`."""
    return read_raw(path, separator, decimal, encoding).frame


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        table = pq.ParquetFile(path).read()
        check_names(path, [clean_name(name) for name in table.column_names])
        frame = table.to_pandas(integer_object_nulls=True)
    except (pa.ArrowException, OSError, ValueError, TypeError, KeyError) as error:
        raise SettingError("data.path", path, f"can't be read as Parquet ({error})") from error
    if frame.columns.nlevels > 1:
        raise SettingError(
            "data.path", path, "its columns have names in several levels: give each one"
        )
    numbered = isinstance(frame.index, pd.RangeIndex) and frame.index.name is None
    names = [clean_name(name) for name in frame.columns]
    if not numbered:
        levels = [clean_name(name or f"index {k}") for k, name in enumerate(frame.index.names)]
        check_names(path, [*levels, *names])
        frame, names = frame.reset_index(names=levels), [*levels, *names]
    frame.columns = pd.Index(names)
    columns = {name: widened(cells) for name, cells in frame.items()}
    return pd.DataFrame(columns, frame.index).set_axis(pd.RangeIndex(1, len(frame) + 1))
