"""Rows without labels from a file of their own, beside the rows of a cohort."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddistill.config.identity import from_call
from meddistill.data.cohort import UNLABELLED, Cohort
from meddistill.data.records import Records
from meddistill.errors import SettingError, UserError, shown

OF_THE_FILE = ("data.path", "rows")
"""What readers of a file call it."""
Names = NDArray[np.object_]


@dataclass(frozen=True)
class Unlabelled:
    """What a room has read of such a file, by the spec of the data's own rows.

    Attributes:
        records: [rows] as a model of the data reads new rows.
        ids: [rows] what names them, where the data have such names too; None where nothing does.
        groups: [rows] what they belong to, likewise.
        called: [rows] what a message calls a row that has no id; None is by the records' index.
        unread: What of it holds a diagnosis, in words; empty where nothing does.
        notes: What was found in reading.
    """

    records: Records
    ids: Names | None = None
    groups: Names | None = None
    called: Names | None = None
    unread: str = ""
    notes: tuple[str, ...] = ()


def with_unlabelled(cohort: Cohort, path: Any, read: Callable[[Path], Unlabelled]) -> Cohort:
    """A cohort with the rows of a file beside its own, for a teacher to answer; None is no file.

    Args:
        cohort: The data's own.
        path: The setting, as it was given.
        read: The room's reader.

    Raises:
        UserError: It is no one file or folder, or can't be read as new rows are.
    """
    if path is None:
        return cohort
    if not isinstance(path, str):
        mend = "must be one file (of pictures also a folder): put rows of several into one"
        raise SettingError(UNLABELLED, path, f"{mend} (null is none)")
    try:
        found = read(from_call(path))
    except UserError as error:
        raise _of_this_file(error, path) from error
    by_index = np.array([str(each) for each in found.records.index], dtype=object)
    called = by_index if found.called is None else found.called
    more = Cohort(
        name=Path(path).name,
        records=found.records,
        target=np.zeros(len(called), dtype=np.int64),
        classes=cohort.classes,
        row=called if found.ids is None else found.ids,
        has_ids=found.ids is not None,
        group=found.groups,
    )
    notes = _described(found, path), *(f"{UNLABELLED}: {note}" for note in found.notes)
    return replace(cohort, unlabelled=more, notes=(*cohort.notes, *notes))


def lacking(what: str) -> UserError:
    """A file without that by which its rows are compared with the data's own."""
    return UserError(
        f"lacks {what}, without which nobody can tell whether one of its rows is a test row: add it"
    )


def _of_this_file(error: UserError, path: str) -> UserError:
    """The same error, which may speak of the data's own file, of this one."""
    if not isinstance(error, SettingError):
        return SettingError(UNLABELLED, path, str(error))
    if error.key not in OF_THE_FILE:
        return error  # of a setting that both have
    return SettingError(UNLABELLED, path, error.mend)


def _described(found: Unlabelled, path: str) -> str:
    count = len(found.records)
    rows, join = ("row", "joins") if count == 1 else ("rows", "join")
    unread = f"; {found.unread} is not read" if found.unread else ""
    return (
        f"{count} {rows} without labels ({UNLABELLED}: {shown(Path(path).name)}) {join} the "
        f"training part for the teacher to answer{unread}"
    )
