"""A file of rows without labels, read as the data's own file is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from meddistill.config.identity import from_call
from meddistill.data.cohort import UNLABELLED, Cohort
from meddistill.data.tables.labels import group_names, read_ids
from meddistill.data.tables.missing import Missing
from meddistill.data.tables.reading import Raw
from meddistill.data.tables.records import TableRecords
from meddistill.data.tables.schema import Schema
from meddistill.errors import SettingError, UserError, shown


def read_unlabelled(
    path: str,
    read: Callable[[Path], Raw],
    schema: Schema,
    classes: tuple[str, ...],
    target: str,
    id: str | None,
    group: str | None,
    missing: Missing,
) -> Cohort:
    """Rows for a teacher to answer, by the schema of the data's own.

    Args:
        path: Their file, of the same kind as the data's.
        read: The reader of such files.
        schema: The columns that are read.
        classes: The data's.
        target: Column of the diagnosis; where the file has it, it is not read.
        id: Column that names a row, or None.
        group: Column that says which rows belong together, or None.
        missing: Spellings of a group that is not known.

    Raises:
        UserError: It is no one file, can't be read, lacks a column, or a cell is not what its
            column needs.
    """
    if not isinstance(path, str):
        mend = "must be one file: put rows of several into one (null is none)"
        raise SettingError(UNLABELLED, path, mend)
    try:
        raw = read(from_call(path))
        frame = raw.frame
        _check_named(frame, {"data.id": id, "data.group": group}, path)
        lines = np.array([str(line) for line in frame.index], dtype=object)
        rows = lines if id is None else read_ids(frame, id)
        groups = None if group is None else group_names(frame, group, missing, "unlabelled row")[0]
        records = TableRecords.prepared(frame, schema, called=f"{UNLABELLED}: ")
    except UserError as error:
        raise _of_this_file(error, path) from error
    return Cohort(
        name=Path(path).name,
        records=records,
        target=np.zeros(len(frame), dtype=np.int64),
        classes=classes,
        row=rows,
        has_ids=id is not None,
        notes=(_described(frame, path, target), *(f"{UNLABELLED}: {note}" for note in raw.notes)),
        group=groups,
    )


def _check_named(frame: pd.DataFrame, named: dict[str, str | None], path: str) -> None:
    """Refuse a file without the columns by which its rows are compared with the data's own."""
    for key, column in named.items():
        if column is not None and column not in frame.columns:
            raise SettingError(
                UNLABELLED, path, f"lacks column {shown(column)} ({key}), without which nobody can "
                "tell whether one of its rows is a test row: add it",
            )  # fmt: skip


def _of_this_file(error: UserError, path: str) -> UserError:
    """The same error, which speaks of the data's own file, of this one."""
    if isinstance(error, SettingError) and error.key != "data.path":
        return error  # of this file already, or of a setting that both have
    return SettingError(
        UNLABELLED, path, error.mend if isinstance(error, SettingError) else str(error)
    )


def _described(frame: pd.DataFrame, path: str, target: str) -> str:
    unread = f"; their column {shown(target)} is not read" if target in frame.columns else ""
    rows, join = ("row", "joins") if len(frame) == 1 else ("rows", "join")
    return (
        f"{len(frame)} {rows} without labels ({UNLABELLED}: {shown(Path(path).name)}) {join} the "
        f"training part for the teacher to answer{unread}"
    )
