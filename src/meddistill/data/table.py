"""Anyone's CSV or Parquet file as a cohort: what was guessed or repaired is said."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from meddistill.data.cohort import Cohort, number_rows
from meddistill.data.reading import check_cells, read_table
from meddistill.data.roles import Roles, guess_roles
from meddistill.data.schema import as_text, blank, to_numbers
from meddistill.errors import SettingError, UserError

POSITIVE_SPELLINGS = ("yes", "y", "true", "positive", "pos", "malignant", "case", "disease")
MOST_CLASSES = 50


def table(
    path: str,
    target: str,
    positive: str | int | float | bool | None = None,
    id: str | None = None,
    group: str | None = None,
    drop: Sequence[str] = (),
    numeric: Sequence[str] = (),
    categorical: Sequence[str] = (),
    missing: Sequence[str] = ("?",),
    separator: str = ",",
    decimal: str = ".",
    encoding: str = "utf-8",
) -> Cohort:
    """Read a table with one row a patient (or visit) and a column that holds the diagnosis.

    Args:
        path: A .csv (also .csv.gz, .tsv, .txt) or .parquet file.
        target: Column of the diagnosis; two or more classes, spelled in any way.
        positive: With two classes, the one to find; guessed and said where None.
        id: Column that names the row; row numbers otherwise.
        group: Column that says which rows belong together, such as a patient's visits; it is no
            feature, and its rows stay on one side of every split.
        drop: Columns that are no features (other labels, dates, later outcomes).
        numeric: Columns to read as numbers whatever the guess.
        categorical: Columns to read as categories whatever the guess.
        missing: Spellings of a missing cell besides the empty one.
        separator: Between cells of a CSV file.
        decimal: Decimal mark in a CSV file.
        encoding: Of a CSV file.

    Raises:
        UserError: The file or its content can't be used; the message says where and how to mend.
    """
    frame = read_table(Path(path), separator, decimal, encoding)
    lists = {"drop": drop, "numeric": numeric, "categorical": categorical, "missing": missing}
    for key, value in lists.items():
        if isinstance(value, str):
            raise SettingError(f"data.{key}", value, f"must be a list: data.{key}=[{value}]")
    drop, numeric, categorical = list(drop), list(numeric), list(categorical)
    missing = [str(spelling) for spelling in missing]  # -999 comes as a number
    named = {"target": [target], "id": [id] if id else [], "drop": drop}
    named |= {"group": [group] if group else []}
    named |= {"numeric": numeric, "categorical": categorical}
    for key, columns in named.items():
        _check_columns(f"data.{key}", columns, frame)
    check_cells(path, frame.drop(columns=drop))
    labels = _labels(frame, target, missing)
    classes, note = _classes(labels, target, positive)
    no_features = [target, *(name for name in (id, group) if name), *drop]
    features = frame.drop(columns=no_features, errors="ignore")
    roles = guess_roles(features, Roles(numeric, categorical), tuple(missing))
    prepared = roles.schema.prepare(features)
    groups, of_groups = _groups(frame, group, target, missing)
    notes = [*roles.notes, *note, *_copies(prepared), *of_groups]
    codes = {name: code for code, name in enumerate(classes)}
    return Cohort(
        name=Path(path).name,
        features=prepared.reset_index(drop=True),
        target=np.asarray(labels.map(codes), dtype=np.int64),
        classes=classes,
        schema=roles.schema,
        row=_ids(frame, id),
        has_ids=id is not None,
        notes=tuple(notes),
        group=groups,
    )


def _check_columns(key: str, columns: Sequence[str], frame: pd.DataFrame) -> None:
    for column in columns:
        if column not in frame.columns:
            have = ", ".join(map(str, frame.columns[:20]))
            more = f" and {len(frame.columns) - 20} more" if len(frame.columns) > 20 else ""
            raise SettingError(key, column, f"no such column; the table has {have}{more}")


def _labels(frame: pd.DataFrame, target: str, missing: Sequence[str]) -> pd.Series[Any]:
    cells = blank(frame[target], missing)
    empty = cells.index[cells.isna()]
    if len(empty):
        raise UserError(
            f"column '{target}' (data.target) is empty in {len(empty)} row(s), first in row "
            f"{empty[0]}: fill in the diagnosis or leave these rows out of the file"
        )
    labels = as_text(_plain_numbers(cells))
    if labels.nunique() > min(MOST_CLASSES, max(2, len(labels) // 3)):
        raise SettingError(
            "data.target",
            target,
            f"has {labels.nunique()} different values in {len(labels)} rows, which is a "
            "measurement or an id, not a diagnosis; choose a column with few classes",
        )
    return labels


def _plain_numbers(cells: pd.Series[Any]) -> pd.Series[Any]:
    """1, 1.0 and "1.0" are one class where all labels are numbers."""
    numbers = to_numbers(cells)
    plain = numbers.notna().all() and not pd.api.types.is_bool_dtype(cells)
    return numbers if plain else cells


def _classes(
    labels: pd.Series[Any], target: str, positive: object
) -> tuple[tuple[str, ...], list[str]]:
    names = sorted(labels.unique(), key=_numeric_order)
    if len(names) < 2:
        raise SettingError(
            "data.target", target, f"has one class only ('{names[0]}'): a diagnosis needs two"
        )
    if len(names) > 2:
        if positive is not None:
            raise SettingError(
                "data.positive", positive, f"there are {len(names)} classes, so none is positive"
            )
        return tuple(names), []
    note = []
    if positive is None:
        likely = [name for name in names if name.lower() in POSITIVE_SPELLINGS]
        likely += ["1"] if names == ["0", "1"] else []  # beside a 2, 1 may be the healthy ones
        chosen = likely[0] if len(likely) == 1 else labels.value_counts().sort_index().idxmin()
        why = "its spelling" if len(likely) == 1 else "the rarer class"
        note = [f"positive class: '{chosen}', guessed by {why} (data.positive sets it)"]
    else:
        chosen = _as_class(positive, names)
    return tuple(sorted(names, key=lambda name: name == chosen)), note


def _as_class(positive: object, names: Sequence[str]) -> str:
    spelled = str(as_text(pd.Series([positive])).iloc[0])
    fits = [name for name in names if name == spelled]
    fits = fits or [name for name in names if name.lower() == spelled.lower()]
    if len(fits) != 1:
        raise SettingError("data.positive", positive, f"is no class; the classes are {list(names)}")
    return fits[0]


def _numeric_order(name: str) -> tuple[float, str]:
    try:
        return float(name), name
    except ValueError:
        return float("inf"), name


def _copies(prepared: pd.DataFrame) -> list[str]:
    count = int(prepared.duplicated().sum())
    if not count:
        return []
    return [f"{count} row(s) are exact copies of others: copies stay on one side of every split"]


def _groups(
    frame: pd.DataFrame, group: str | None, target: str, missing: Sequence[str]
) -> tuple[NDArray[np.object_] | None, list[str]]:
    """[rows] the group of each, a row without one by itself; what was found."""
    if group is None:
        return None, []
    if group == target:
        raise SettingError("data.group", group, "is the target: a group is a patient or a family")
    cells = blank(frame[group], missing)
    names = as_text(_plain_numbers(cells.dropna())).reindex(cells.index)
    if names.nunique() + names.isna().sum() < 3:
        raise SettingError("data.group", group, "has fewer than three groups: none could be split")
    notes = [f"{names.nunique()} groups by '{group}', none of which is split"]
    if names.isna().any():
        notes.append(f"{names.isna().sum()} row(s) without '{group}', each taken for a group")
    alone = pd.Series([f"row {number}" for number in cells.index], index=cells.index)
    groups: NDArray[np.object_] = names.where(names.notna(), alone).to_numpy(dtype=object)
    return groups, notes


def _ids(frame: pd.DataFrame, id: str | None) -> NDArray[np.object_]:
    if id is None:
        return number_rows(len(frame))
    cells = blank(frame[id], ())
    if cells.isna().any():
        first = cells.index[cells.isna()][0]
        raise UserError(f"column '{id}' (data.id) is empty in row {first}: every row needs an id")
    ids = as_text(cells)
    if ids.duplicated().any():
        raise UserError(
            f"column '{id}' (data.id) holds {ids[ids.duplicated()].iloc[0]!r} more than once: an "
            f"id names one row; leave data.id out and put '{id}' in data.drop"
        )
    rows: NDArray[np.object_] = ids.to_numpy(dtype=object)
    return rows
