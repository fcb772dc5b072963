"""Classes, groups and ids: names as they are written, never through a float."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from meddistill.data.cohort import number_rows
from meddistill.data.tables.blocks import check_read, read_each
from meddistill.data.tables.cells import NUMBER, folded, spelling_of
from meddistill.data.tables.findings import as_list
from meddistill.data.tables.missing import Missing
from meddistill.data.tables.rows import clean_name
from meddistill.errors import SettingError, UserError, listed, shown

POSITIVE_SPELLINGS = ("yes", "y", "true", "positive", "pos", "malignant", "case", "disease")
HEALTHY_SPELLINGS = ("no", "n", "false", "negative", "neg", "benign", "control",
                     "healthy", "normal")  # fmt: skip
MOST_CLASSES = 50


Coded = tuple[NDArray[np.int64], tuple[str, ...], list[str]]
"""[rows] class numbers, the classes with the positive one last of two, and notes."""


def coded(frame: pd.DataFrame, target: str, positive: object, missing: Missing) -> Coded:
    """The classes in a column, and each row's.

    Raises:
        UserError: As for `read_labels` and `name_classes`.
    """
    labels, merged = read_labels(frame, target, missing)
    classes, guessed = name_classes(labels, target, positive)
    codes = {name: code for code, name in enumerate(classes)}
    numbers = np.array([codes[label] for label in labels], dtype=np.int64)
    return numbers, classes, [*merged, *guessed]


def read_labels(frame: pd.DataFrame, target: str, missing: Missing) -> tuple[list[str], list[str]]:
    """[rows] the class of each, and what was found.

    Spellings that differ in case or Unicode form alone are one class, called by the commonest.

    Raises:
        UserError: A label is missing or no name, or there are too many classes.
    """
    names = _names(frame, target)
    empty = [row for row, cell in enumerate(frame[target].tolist()) if missing.covers(cell)]
    if empty:
        raise UserError(_empty_target(frame, target, empty, missing))
    labels = [clean_name(name) for name in names]
    spellings: dict[str, Counter[str]] = defaultdict(Counter)
    for label in labels:
        spellings[folded(label)][label] += 1
    different = len(spellings)
    if different > min(MOST_CLASSES, max(2, len(labels) // 3)):
        raise SettingError(
            "data.target", target, f"has {different} different values in {len(labels)} rows, which "
            "is a measurement or an id, not a diagnosis; choose a column with few classes",
        )  # fmt: skip
    called = {key: min(counts.items(), key=_commonest)[0] for key, counts in spellings.items()}
    notes = [
        f"class {shown(called[key])}: {listed(sorted(names))} are one"
        for key, names in spellings.items()
        if len(names) > 1
    ]
    return [called[folded(label)] for label in labels], notes


def _commonest(counted: tuple[str, int]) -> tuple[int, str]:
    return -counted[1], counted[0]


def _empty_target(frame: pd.DataFrame, target: str, empty: Sequence[int], missing: Missing) -> str:
    cell = frame[target].tolist()[empty[0]]
    word = cell.strip() if isinstance(cell, str) else ""
    kept = as_list(sorted(missing.spellings - {word}))
    or_class = (
        f", or if {shown(word)} is a class, say what is missing without it: data.missing={kept}"
    )
    return (
        f"column {shown(target)} (data.target) is empty in {len(empty)} row(s), first in row "
        f"{frame.index[empty[0]]}: fill in the diagnosis or leave these rows out of the file "
        "(in one of their own, data.unlabelled, the teacher can answer them)"
        f"{or_class if word else ''}"
    )


def name_classes(
    labels: Sequence[str], target: str, positive: object
) -> tuple[tuple[str, ...], list[str]]:
    """The classes, the positive one last of two, and how it was chosen.

    Raises:
        SettingError: There is one class alone, or `positive` is none.
    """
    names = sorted(set(labels), key=_numeric_order)
    if len(names) < 2:
        raise SettingError(
            "data.target", target, f"has one class only ({shown(names[0])}): a diagnosis needs two"
        )
    if len(names) > 2:
        if positive is not None:
            raise SettingError(
                "data.positive", positive, f"there are {len(names)} classes, so none is positive"
            )
        return tuple(names), []
    if positive is not None:
        chosen, note = _as_class(positive, names), []
    else:
        chosen, why = _guess_positive(labels, names)
        note = [f"positive class: {shown(chosen)}, guessed by {why} (data.positive sets it)"]
    return tuple(sorted(names, key=lambda name: name == chosen)), note


def _guess_positive(labels: Sequence[str], names: Sequence[str]) -> tuple[str, str]:
    likely = [name for name in names if name.lower() in POSITIVE_SPELLINGS]
    likely += ["1"] if list(names) == ["0", "1"] else []  # beside a 2, 1 may be the healthy ones
    if len(likely) == 1:
        return likely[0], "its spelling"
    others = [name for name in names if name.lower() not in HEALTHY_SPELLINGS]
    if len(others) == 1:
        return others[0], "the spelling of the other one"
    counts = Counter(labels)
    return min(sorted(names), key=lambda name: counts[name]), "the rarer class"


def _as_class(positive: object, names: Sequence[str]) -> str:
    spelled = folded(clean_name(spelling_of(positive) or ""))
    fits = [name for name in names if folded(name) == spelled]
    if len(fits) != 1:
        raise SettingError("data.positive", positive, f"is no class; the classes are {list(names)}")
    return fits[0]


def _numeric_order(name: str) -> tuple[float, str]:
    return (float(name) if NUMBER.fullmatch(name) else float("inf")), name


def read_groups(
    frame: pd.DataFrame, group: str | None, missing: Missing
) -> tuple[NDArray[np.object_] | None, list[str]]:
    """[rows] the group of each, a row without one by itself; what was found."""
    if group is None:
        return None, []
    names, gone = group_names(frame, group, missing, "row")
    different = len(set(names.tolist())) - gone
    if different + gone < 3:
        raise SettingError("data.group", group, "has fewer than three groups: none could be split")
    notes = [f"{different} groups by {shown(group)}, none of which is split"]
    if gone:
        notes.append(f"{gone} row(s) without {shown(group)}, each taken for a group")
    return names, notes


def group_names(
    frame: pd.DataFrame, group: str, missing: Missing, alone: str
) -> tuple[NDArray[np.object_], int]:
    """[rows] the group of each, or `alone` and the row's number; how many have none."""
    gone = [missing.covers(cell) for cell in frame[group].tolist()]
    rows = zip(_names(frame, group), gone, frame.index, strict=True)
    named = [f"{alone} {number}" if none else name for name, none, number in rows]
    return np.array(named, dtype=object), sum(gone)


def read_ids(frame: pd.DataFrame, id: str | None) -> NDArray[np.object_]:
    """[rows] the id of each, or its number from 0.

    Raises:
        UserError: An id is empty, or stands twice.
    """
    if id is None:
        return number_rows(len(frame))
    names = _names(frame, id)
    if None in names:
        row = frame.index[names.index(None)]
        raise UserError(
            f"column {shown(id)} (data.id) is empty in row {row}: every row needs an id"
        )
    counts = Counter(names)
    twice = next((name for name, count in counts.items() if count > 1), None)
    if twice is not None:
        raise UserError(
            f"column {shown(id)} (data.id) holds {shown(twice)} more than once: an id names one "
            f"row; leave data.id out and put {shown(id)} in data.drop"
        )
    return np.array(names, dtype=object)


def _names(frame: pd.DataFrame, column: str) -> list[Any]:
    cells = frame[column].tolist()
    names = read_each(cells, spelling_of)
    check_read(column, frame.index, cells, names)
    return names
