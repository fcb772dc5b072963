"""Anyone's CSV or Parquet file as a cohort: what was guessed or repaired is said."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from meddistill.config.identity import from_call
from meddistill.data.cohort import Cohort
from meddistill.data.tables.cells import Notation
from meddistill.data.tables.labels import coded, read_groups, read_ids
from meddistill.data.tables.missing import DEFAULT, Missing
from meddistill.data.tables.reading import read_raw
from meddistill.data.tables.records import TableRecords
from meddistill.data.tables.roles import Roles, guess_roles
from meddistill.data.tables.rows import nearest
from meddistill.data.tables.unlabelled import read_unlabelled
from meddistill.data.unlabelled import with_unlabelled
from meddistill.errors import SettingError, listed, shown

SHARED = {("id", "group"), ("target", "drop"), ("id", "drop"), ("group", "drop")}
"""Roles that one column can have at once: what is no feature may be dropped as well."""


def table(
    path: str,
    target: str | int,
    positive: str | int | float | bool | None = None,
    id: str | int | None = None,
    group: str | int | None = None,
    drop: Sequence[str] = (),
    numeric: Sequence[str] = (),
    categorical: Sequence[str] = (),
    missing: Sequence[str] = DEFAULT,
    separator: str = ",",
    decimal: str = ".",
    thousands: str | None = None,
    encoding: str = "utf-8",
    unlabelled: str | None = None,
) -> Cohort:
    """Read a table with one row a patient (or visit) and a column that holds the diagnosis.

    Args:
        path: A .csv (also .tsv, .txt; packed as .gz, .bz2, .xz, .zip) or .parquet file.
        target: Column of the diagnosis; two or more classes, spelled in any way.
        positive: With two classes, the one to find; guessed and said where None.
        id: Column that names the row; row numbers otherwise.
        group: Column that says which rows belong together, such as a patient's visits; it is no
            feature, and its rows stay on one side of every split.
        drop: Columns that are no features (other labels, dates, later outcomes).
        numeric: Columns to read as numbers whatever the guess.
        categorical: Columns to read as categories whatever the guess.
        missing: All spellings of a missing cell besides the empty one.
        separator: Between cells of a CSV file.
        decimal: Decimal mark of numbers written as text.
        thousands: Mark between their groups of three digits; found where it is sure.
        encoding: Of a CSV file.
        unlabelled: A file of further rows, written as this one, for a teacher to answer.

    Raises:
        UserError: The file or its content can't be used; the message says where and how to mend.
    """
    read = partial(read_raw, separator=separator, decimal=decimal, encoding=encoding)
    raw = read(from_call(path))
    frame = raw.frame
    lists = {"drop": drop, "numeric": numeric, "categorical": categorical, "missing": missing}
    given = {key: _as_list(f"data.{key}", value) for key, value in lists.items()}
    label, id, group = str(target), _name(id), _name(group)
    _check_named(given, frame, label, id, group)
    gone = Missing(given["missing"])
    classified, classes, of_labels = coded(frame, label, positive, gone)
    no_features = {label, id, group, *given["drop"]}
    features = frame[[column for column in frame.columns if column not in no_features]]
    notation = Notation(decimal, _mark("data.thousands", thousands))
    fixed = Roles(given["numeric"], given["categorical"], tuple(given["missing"]), notation)
    roles = guess_roles(features, fixed, classified)
    records = TableRecords.prepared(features, roles.schema)
    groups, of_groups = read_groups(frame, group, gone)
    cohort = Cohort(
        name=Path(path).name,
        records=records,
        target=classified,
        classes=classes,
        row=read_ids(frame, id),
        has_ids=id is not None,
        notes=(
            *raw.notes,
            *roles.notes,
            *of_labels,
            *_copies(records.frame),
            *of_groups,
        ),
        group=groups,
    )
    return with_unlabelled(
        cohort,
        unlabelled,
        lambda file: read_unlabelled(read(file), roles.schema, label, id, group, gone),
    )


def _name(column: str | int | None) -> str | None:
    """A column's name as text: one called 3 comes as a number."""
    return None if column is None else str(column)


def _as_list(key: str, value: Any) -> list[str]:
    """Names as text: -999 and a column called 3 come as numbers."""
    if isinstance(value, str):
        raise SettingError(key, value, f"must be a list: {key}=[{value}]")
    return [str(name) for name in value]


def _mark(key: str, mark: str | None) -> str:
    if mark is not None and (not isinstance(mark, str) or len(mark) != 1):
        raise SettingError(key, mark, "must be one character")
    return mark or ""


def _check_named(
    lists: dict[str, list[str]], frame: pd.DataFrame, target: str, id: str | None, group: str | None
) -> None:
    """Refuse names of no column, and a column that is to be two things."""
    single = {"target": target, "id": id, "group": group}
    roles = {key: [name] for key, name in single.items() if name is not None}
    roles |= {key: lists[key] for key in ("numeric", "categorical", "drop")}
    for key, columns in roles.items():
        for column in columns:
            check_column(f"data.{key}", column, frame)
    keys: dict[str, str] = {}
    for key, columns in roles.items():
        for column in columns:
            before = keys.setdefault(column, key)
            if before != key and (before, key) not in SHARED:
                raise SettingError(
                    f"data.{key}", column, f"is named in data.{before} too: name it in one of them"
                )  # fmt: skip


def check_column(key: str, column: str, frame: pd.DataFrame) -> None:
    """Refuse a name of no column, with the nearest that is one."""
    if column in frame.columns:
        return
    have = list(frame.columns)
    near = nearest(column, have)
    meant = f"; is {shown(near)} meant? The" if near else "; the"
    raise SettingError(key, column, f"no such column{meant} table has {listed(have, 20)}")


def _copies(prepared: pd.DataFrame) -> list[str]:
    count = int(prepared.duplicated().sum())
    if not count:
        return []
    return [f"{count} row(s) are exact copies of others: copies stay on one side of every split"]
