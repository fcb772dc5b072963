"""The columns that are needed out of any rows, found by name; or one message of what is wrong."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from meddistill.data.tables.cells import folded
from meddistill.errors import UserError, columns_named, listed, shown

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
UNSEEN = re.compile(r"[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff]+")


def clean_name(name: object) -> str:
    """A column's or a class's name: one line, in one Unicode form, without what can't be seen."""
    text = str(name)
    if not text.isascii():
        text = unicodedata.normalize("NFC", UNSEEN.sub("", text))
    return CONTROL.sub(" ", text).strip()


def nearest(name: str, names: Sequence[str]) -> str | None:
    """The one of `names` that is nearest to one that is absent; None where none is near."""
    by_case = [other for other in names if folded(other) == folded(name)]
    close = by_case or difflib.get_close_matches(name, names, n=1, cutoff=0.75)
    return close[0] if close else None


def check_names(path: object, names: Sequence[str]) -> None:
    """Refuse a name that stands twice in a file's header."""
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise UserError(
            f"{path}: column name {shown(twice[0])} stands twice in the header: rename one"
        )


def find_columns(rows: Any, columns: Sequence[str]) -> list[pd.Series[Any]]:
    """The columns named, in this order, from a frame's columns or else its index.

    They are views, and may be called otherwise by their own name.

    Raises:
        UserError: There is no frame, or a column is absent or there twice.
    """
    if not isinstance(rows, pd.DataFrame):
        raise UserError(
            "rows come as a pandas.DataFrame with a column for each input, not as "
            f"{type(rows).__name__}: one patient is pd.DataFrame([{{'age': 63, ...}}])"
        )
    if rows.columns.nlevels > 1:
        raise UserError("these rows have names of columns in several levels: give each one name")
    names = [clean_name(name) for name in rows.columns]
    _check_twice(names, columns)
    found = dict(zip(names, (cells for _, cells in rows.items()), strict=True))
    if not all(column in found for column in columns):
        _add_index(found, rows, columns)
    return [found[column] for column in columns]


def with_empty(rows: pd.DataFrame, columns: Iterable[str]) -> pd.DataFrame:
    """The rows and empty columns: all at once, since pandas warns of many one by one."""
    empty = pd.DataFrame(dict.fromkeys(columns), index=rows.index, dtype=object)
    return pd.concat([rows, empty], axis=1)


def _check_twice(names: Sequence[str], columns: Sequence[str]) -> None:
    if len(set(names)) == len(names):
        return
    counts = Counter(names)
    twice = sorted(name for name in set(columns) if counts[name] > 1)
    if twice:
        raise UserError(f"these rows have {columns_named(twice)} more than once: leave one of each")


def _add_index(
    found: dict[str, pd.Series[Any]], rows: pd.DataFrame, columns: Sequence[str]
) -> None:
    for level, name in enumerate(rows.index.names):
        if name is not None and clean_name(name) not in found:
            cells = rows.index.get_level_values(level)
            found[clean_name(name)] = pd.Series(cells, index=rows.index)
    absent = [column for column in columns if column not in found]
    if absent:
        others = [name for name in found if name not in columns]
        close = next(filter(None, (nearest(name, others) for name in absent)), None)
        near = f" (is {shown(close)} meant?)" if close else ""
        raise UserError(
            f"these rows lack {columns_named(absent)}, which the model was trained with{near}: "
            f"add the columns (their cells may be empty); there are {listed(found)}"
        )
