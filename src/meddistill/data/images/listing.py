"""A table that lists pictures: each row's file is there, and each file has one row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from meddistill.config.identity import from_call
from meddistill.data.images.files import pictures_below
from meddistill.data.tables.labels import coded, read_groups, read_ids
from meddistill.data.tables.missing import DEFAULT, Missing
from meddistill.data.tables.reading import read_raw
from meddistill.data.tables.rows import nearest
from meddistill.data.tables.table import check_column
from meddistill.errors import SettingError, UserError, listed, shown

PARTS = {
    "train": "train", "training": "train", "val": "validation", "valid": "validation",
    "validation": "validation", "test": "test", "testing": "test",
}  # fmt: skip
"""Official parts by what people call them."""


@dataclass(frozen=True)
class Listing:
    """Which pictures there are, and what is known of each.

    Attributes:
        files: [pictures] where they lie.
        ids: [pictures] what they are called.
        target: [pictures] class numbers.
        classes: With two, the positive one is the last.
        notes: What was guessed or left out.
        group: [pictures] what they belong to, or None.
        parts: [pictures] official parts, or None.
    """

    files: list[Path]
    ids: NDArray[np.object_]
    target: NDArray[np.int64]
    classes: tuple[str, ...]
    notes: list[str]
    group: NDArray[np.object_] | None = None
    parts: NDArray[np.object_] | None = None


def read_listing(
    folder: Path,
    table: str,
    columns: Mapping[str, str | None],
    positive: object,
    separator: str,
    encoding: str,
) -> Listing:
    """The rows of a table of pictures.

    Args:
        folder: Where their paths begin.
        table: Path of the file.
        columns: Names of its columns by what they hold: `file`, `target`, `id`, `group`, `part`.
        positive: The class to find, or None.
        separator: Of a CSV file.
        encoding: Of a CSV file.

    Raises:
        UserError: The table can't be used; the message names the row or the column.
    """
    frame, notes = _frame(table, separator, encoding)
    if columns["target"] is None:
        raise SettingError(
            "data.target", None, "name the column of the diagnosis in data.table_path"
        )
    for key, name in columns.items():
        if name is not None:
            check_column(f"data.{key}", name, frame)
    column, gone = str(columns["file"]), Missing(DEFAULT)
    files = files_of(frame, column, folder)
    target, classes, of_labels = coded(frame, columns["target"], positive, gone)
    group, of_groups = read_groups(frame, columns["group"], gone)
    ids = read_ids(frame, columns["id"] or column)
    said = [*notes, *of_labels, *of_groups, *_others(folder, files)]
    return Listing(files, ids, target, classes, said, group, _parts(frame, columns["part"]))


def _frame(table: str, separator: str, encoding: str) -> tuple[pd.DataFrame, tuple[str, ...]]:
    try:
        raw = read_raw(from_call(table), separator, ".", encoding)
    except SettingError as error:
        if error.key == "data.path":
            raise SettingError("data.table_path", error.value, error.mend) from error
        raise
    return raw.frame, raw.notes


def files_of(frame: pd.DataFrame, column: str, folder: Path) -> list[Path]:
    """[rows] the file of each.

    Raises:
        UserError: A row has none, or another row's.
    """
    files: list[Path] = []
    absent: list[str] = []
    first: dict[Path, object] = {}
    for row, cell in zip(frame.index, frame[column].tolist(), strict=True):
        if not isinstance(cell, str) or not cell.strip():
            raise UserError(f"column {shown(column)} (data.file) names no file in row {row}")
        file = folder / cell.strip()
        if first.setdefault(file, row) != row:
            raise UserError(
                f"rows {first[file]} and {row} are of one file, {shown(cell)}: keep one of them"
            )
        if not file.is_file():
            absent.append(f"row {row}: {cell.strip()}")
        files.append(file)
    if absent:
        raise UserError(_absent(folder, absent))
    return files


def _absent(folder: Path, absent: list[str]) -> str:
    have = [file.relative_to(folder).as_posix() for file in pictures_below(folder)]
    near = nearest(absent[0].partition(": ")[2], have)
    meant = f"; is {shown(near)} meant?" if near else ""
    return (
        f"{len(absent)} row(s) name files that are not in {folder} (data.path): "
        f"{listed(absent, 3)}{meant}"
    )


def _others(folder: Path, files: list[Path]) -> list[str]:
    known = set(files)
    others = [file.name for file in pictures_below(folder) if file not in known]
    if not others:
        return []
    return [
        f"{len(others)} picture(s) are in no row of the table and left out: {listed(others, 3)}"
    ]


def _parts(frame: pd.DataFrame, column: str | None) -> NDArray[np.object_] | None:
    """[rows] official parts.

    Raises:
        UserError: A cell is none.
    """
    if column is None:
        return None
    parts = []
    for row, cell in zip(frame.index, frame[column].tolist(), strict=True):
        part = PARTS.get(str(cell).strip().lower())
        if part is None:
            raise UserError(
                f"column {shown(column)} (data.part), row {row}: {shown(cell)} is none of train, "
                "validation (val) and test"
            )
        parts.append(part)
    return np.array(parts, dtype=object)
