"""What each column is: a number, a category, or nothing a model should read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from meddistill.data.tables import findings
from meddistill.data.tables.cells import LARGEST, Notation
from meddistill.data.tables.columns import Column, Key
from meddistill.data.tables.findings import KEEP, Doubt, Findings
from meddistill.data.tables.looks import (
    FEWEST,
    NEARLY,
    are_days,
    are_pairs,
    is_code,
    naming,
    numbering,
    stand_ins,
    tells_classes,
)
from meddistill.data.tables.missing import DEFAULT, LIKE_MISSING, Missing
from meddistill.data.tables.notation import FEWEST_MEASURED, POINT, describe, find_notation
from meddistill.data.tables.schema import Schema, too_large
from meddistill.data.tables.spellings import find_spellings
from meddistill.errors import UserError, listed, shown

PADDED = (
    ": digits of one width with zeros before them, read as numbers; if they are codes, "
    "data.categorical={columns} reads them as categories"
)
BESIDE_TEXT = (
    ": different numbers beside more text, read as categories; where the text stands for a missing "
    "value, data.missing can name it"
)
STRAY_SHARE = 0.5
"""A column with some text is numeric with strays while under this share of its cells is text."""


@dataclass(frozen=True)
class Roles:
    """What the user fixed.

    Attributes:
        numeric: Columns to read as numbers.
        categorical: Columns to read as categories.
        missing: The spellings of a missing cell.
        notation: Decimal mark and mark of thousands.
    """

    numeric: Sequence[str] = ()
    categorical: Sequence[str] = ()
    missing: tuple[str, ...] = ()
    notation: Notation = field(default_factory=Notation)


@dataclass(frozen=True)
class Guess:
    """The schema found, and a sentence for whatever was decided."""

    schema: Schema
    notes: list[str]


def guess_roles(
    features: pd.DataFrame, fixed: Roles, target: NDArray[np.int64] | None = None
) -> Guess:
    """Sort the columns into numbers and categories; leave out ids and constants, and say so.

    Args:
        features: [rows] raw cells.
        fixed: What the user said.
        target: [rows] class numbers, by which a numbering that gives them away is found.

    Raises:
        UserError: A column can't be read for sure, or no column is left.
    """
    gone = Missing(fixed.missing)
    columns = [Column(name, features[name].tolist(), gone) for name in features.columns]
    return _Sorter(columns, fixed, features.index, target).guess()


class _Sorter:
    """Sorts the columns of one table, one after the other."""

    def __init__(
        self,
        columns: Sequence[Column],
        fixed: Roles,
        rows: pd.Index[Any],
        target: NDArray[np.int64] | None,
    ) -> None:
        self.columns, self.fixed, self.rows, self.target = columns, fixed, rows, target
        self.points = any(POINT.fullmatch(text) for column in columns for text in _some(column))
        self.numeric: list[str] = []
        self.categorical: list[str] = []
        self.notation: dict[str, Notation] = {}
        self.literal: list[str] = []
        self.spelled: list[str] = []
        self.infinite: dict[str, int] = {}
        self.found = Findings()

    def guess(self) -> Guess:
        for column in self.columns:
            self._sort(column)
        self.found.refuse_doubts()
        notes = self.found.notes()
        if not self.numeric and not self.categorical:
            raise UserError("no feature column is left:\n  " + "\n  ".join(notes))
        schema = Schema(
            tuple(self.numeric), tuple(self.categorical), self.fixed.missing, self.notation,
            tuple(self.literal), tuple(self.spelled),
        )  # fmt: skip
        large = [too_large(self.infinite)] if self.infinite else []
        return Guess(schema, [_summary(schema), *notes, *large])

    def _sort(self, column: Column) -> None:
        self.found.add_missing(column.name, column.missing_words)
        if column.lists:
            self._ask(column, findings.LISTS, [])
        elif column.name in self.fixed.categorical:
            self._as_category(column)
        elif column.name in self.fixed.numeric:
            self._number(column, free=False)
        elif left_out := _constant(column):
            self.found.note(column.name, f" left out: {left_out}")
        else:
            self._number(column, free=True)

    def _number(self, column: Column, free: bool) -> None:
        """Read a column as numbers in the notation that fits; as text where none does."""
        notation, example = self.fixed.notation, ""
        numbers, others = column.read(notation)
        if free and 2 * column.dates(others) > column.known:
            return self._ask(column, findings.DATES, [])
        if others and all(isinstance(key[1], str) for key in others):
            found = find_notation(column.texts(), notation, self.points)
            if isinstance(found, Doubt):
                return self._ask(column, found, others)
            if found:
                example, notation = str(others[0][1]), found
                numbers, others = column.read(notation)
        if others and free:
            return self._text(column, others)
        values = column.values(numbers)
        if free and are_days(values):
            return self._ask(column, findings.DAYS_AS_NUMBERS, [])
        if reason := column.are_codes(numbers):
            as_told = "some of them are one as numbers" if not free else "read as categories"
            self.found.note(column.name, f": {reason}, {as_told}")
            if free:
                return self._text(column, list(column.counts))
        if free and (reason := numbering(column.name, values, len(column.cells))):
            return self.found.note(column.name, f" left out: {reason}{KEEP}")
        if free and self._tells_classes(values):
            return self._ask(column, findings.TELLS, [])
        return self._as_number(column, numbers, notation, example)

    def _tells_classes(self, values: NDArray[np.float64]) -> bool:
        if self.target is None or len(values) != len(self.target):
            return False
        return tells_classes(values, self.target)

    def _as_number(
        self, column: Column, numbers: Mapping[Key, float], notation: Notation, example: str
    ) -> None:
        self.numeric.append(column.name)
        if notation != Notation():
            self.notation[column.name] = notation
        if example:
            self.found.note(column.name, f": {describe(notation, example)}")
        if column.has_durations():
            self.found.note(column.name, ": durations read as days")
        if column.is_padded() and column.name not in self.fixed.numeric:
            self.found.note(column.name, PADDED)
        values = column.values(numbers)
        for number in stand_ins(values):
            count = int((values == number).sum())
            self.found.add_stand_in(column.name, str(int(number)), count)
        large = column.total(key for key, number in numbers.items() if abs(number) > LARGEST)
        if large:
            self.infinite[column.name] = large

    def _text(self, column: Column, others: Sequence[Key]) -> None:
        """Sort a column of text, or of text and numbers."""
        if are_pairs([key[1] for key in others]):
            return self._ask(column, findings.PAIRS, others)
        if len(others) == len(column.counts) and (reason := _names_rows(column)):
            return self.found.note(column.name, f" left out: {reason}{KEEP}")
        if column.total(others) < STRAY_SHARE * column.known:
            texts = {str(key[1]).strip() for key in others}
            if not all(map(is_code, texts)):
                return self._ask_about_strays(column, others, texts)
            self.found.note(column.name, ": codes with letters beside numbers, read as categories")
        elif len(column.counts) - len(others) >= FEWEST_MEASURED:
            self.found.note(column.name, BESIDE_TEXT)
        return self._as_category(column)

    def _ask_about_strays(self, column: Column, others: Sequence[Key], texts: set[str]) -> None:
        if all(text.lower() in LIKE_MISSING for text in texts):
            self.found.missing |= texts
            return self._ask(column, findings.LIKE_MISSING, others)
        return self._ask(column, findings.STRAYS, others)

    def _as_category(self, column: Column) -> None:
        self.categorical.append(column.name)
        if words := sorted(set(DEFAULT) & column.texts().keys()):
            kept = f": {listed(words)} is read as a category, since data.missing is without it"
            self.found.note(column.name, kept)
        marks = Notation(self.fixed.notation.decimal)
        if marks != Notation():
            self.notation[column.name] = marks
        found = find_spellings(column, marks, self.rows)
        if found.literal:
            self.literal.append(column.name)
            self.found.note(column.name, ": numbers of one value stay apart by their spelling")
        for names in found.merged:
            one = listed(names).replace("{columns}", "")
            self.found.note(column.name, f": {one} are one category")
        if found.spelled:
            self.spelled.append(column.name)

    def _ask(self, column: Column, doubt: Doubt, keys: Sequence[Key]) -> None:
        place = column.place(keys[0] if keys else next(iter(column.counts), None))
        cell, count = column.cells[place], column.total(keys)
        self.found.doubt(column.name, doubt, self.rows[place], cell, count)


def _some(column: Column) -> list[str]:
    """Different texts of a column, enough to see how its numbers are written."""
    return [key[1].strip() for key in list(column.counts)[:100] if isinstance(key[1], str)]


def _constant(column: Column) -> str | None:
    if not column.counts:
        return "every cell is empty"
    if len(column.counts) == 1 and column.known == len(column.cells):
        return f"constant ({shown(next(iter(column.counts))[1])} in every row)"
    return None


def _names_rows(column: Column) -> str | None:
    """Why a column of text tells rows or patients apart, or None."""
    if column.known >= FEWEST and len(column.counts) > NEARLY * column.known:
        return "text that differs in nearly every row, like an id or free text"
    return naming(column.name, len(column.counts), column.known)


def _summary(schema: Schema) -> str:
    parts = [f"numeric ({len(schema.numeric)}): {listed(schema.numeric, 40) or 'none'}"]
    parts += [f"categorical ({len(schema.categorical)}): {listed(schema.categorical, 40)}"]
    return "columns read as " + "; ".join(parts[: 2 if schema.categorical else 1])
