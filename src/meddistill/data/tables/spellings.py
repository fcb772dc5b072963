"""The spellings of a column of categories: which are one, and which only look so."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import pandas as pd

from meddistill.data.tables.cells import Notation, UnreadableError, spelling_of, text_of
from meddistill.data.tables.columns import Column
from meddistill.data.tables.findings import as_list
from meddistill.data.tables.missing import PANDAS
from meddistill.errors import UserError, shown


@dataclass(frozen=True)
class Spellings:
    """What was found.

    Attributes:
        literal: Whether numbers of one value stay apart by their spelling, as 01 and 1.
        merged: Names of each category that is spelled in several ways.
        spelled: Whether a category is a word that pandas reads as missing, and no cell is empty.
    """

    literal: bool
    merged: list[list[str]]
    spelled: bool


def find_spellings(column: Column, marks: Notation, rows: pd.Index[Any]) -> Spellings:
    """The spellings of a column that is read as categories.

    Args:
        column: Its cells.
        marks: How numbers among them are written.
        rows: What each row is called, for messages.

    Raises:
        UserError: A cell is no category.
    """
    by_value: dict[str, set[str]] = defaultdict(set)
    by_spelling: dict[str, set[str]] = defaultdict(set)
    for key in column.counts:
        try:
            value, written = text_of(key[1], marks), spelling_of(key[1])
        except UnreadableError as error:
            raise UserError(
                f"column {shown(column.name)}, row {rows[column.place(key)]}: {shown(key[1])} "
                f"{error}: write the column as text, or leave it out with "
                f"data.drop={as_list([column.name])}"
            ) from error
        if value is not None and written is not None:
            literal = text_of(written, marks, literal=True) or ""
            by_value[value].add(literal)
            by_spelling[literal].add(written)
    words = {key[1].strip() for key in column.counts if isinstance(key[1], str)}
    return Spellings(
        literal=any(len(different) > 1 for different in by_value.values()),
        merged=[sorted(names) for names in by_spelling.values() if len(names) > 1],
        spelled=bool(words & set(PANDAS)) and not column.has_nulls,
    )
