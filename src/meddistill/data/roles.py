"""What each column is: a number, a category, or nothing a model should read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from meddistill.data.schema import Schema, as_numbers, blank, to_numbers
from meddistill.errors import UserError

STRAY_SHARE = 0.5
"""A column with some text is numeric with strays while under this share of its cells is text."""
ID_NAME = re.compile(r"(^|[_\W])(id|nr|nbr|number|mrn|index|unnamed: \d+)$", re.IGNORECASE)
DECIMAL_COMMA = r"[+-]?\d+,\d+"
FEWEST_FOR_ID = 20


@dataclass(frozen=True)
class Roles:
    """Columns whose role the user fixed."""

    numeric: Sequence[str]
    categorical: Sequence[str]


@dataclass(frozen=True)
class Guess:
    """The schema found, and a sentence for whatever was decided."""

    schema: Schema
    notes: list[str]


def guess_roles(features: pd.DataFrame, fixed: Roles, missing: tuple[str, ...]) -> Guess:
    """Sort the columns into numbers and categories; leave out ids and constants, and say so.

    Raises:
        UserError: Text stands in a column of numbers, or no column is left.
    """
    numeric: list[str] = []
    categorical: list[str] = []
    notes: list[str] = []
    strays: list[str] = []
    for column in features.columns:
        cells = blank(features[column], missing)
        free = column not in (*fixed.numeric, *fixed.categorical)
        text = cells[to_numbers(cells).isna() & cells.notna()]
        if free:
            _check_decimal(str(column), text)
        reason = _useless(cells) if free else None
        if reason:
            notes.append(f"column '{column}' left out: {reason}")
        elif column in fixed.categorical:
            categorical.append(column)
        elif column in fixed.numeric:
            as_numbers(cells)
            numeric.append(column)
        else:
            if 0 < len(text) < STRAY_SHARE * cells.notna().sum():
                strays.append(_stray(str(column), text))
            (categorical if len(text) else numeric).append(column)
        notes += _infinite(str(column), cells) if column in numeric else []
    if strays:
        raise UserError("text where numbers were:\n  " + "\n  ".join(strays))
    if not numeric and not categorical:
        raise UserError("no feature column is left:\n  " + "\n  ".join(notes))
    schema = Schema(tuple(numeric), tuple(categorical), missing)
    return Guess(schema, [_summary(schema), *notes])


def _check_decimal(column: str, text: pd.Series[Any]) -> None:
    """Numbers with decimal commas would pass for categories, or for an id."""
    commas = text[text.astype(str).str.fullmatch(DECIMAL_COMMA)]
    if len(commas) > STRAY_SHARE * max(1, len(text)):
        raise UserError(
            f"column '{column}', row {commas.index[0]}: {commas.iloc[0]!r} has a decimal comma "
            f"({len(commas)} such cells): set data.decimal=\"','\", or read the column as "
            f"categories (data.categorical=['{column}'])"
        )


def _useless(cells: pd.Series[Any]) -> str | None:
    known = cells.dropna()
    if known.empty:
        return "every cell is empty"
    if known.nunique() == 1 and len(known) == len(cells):
        return f"constant ('{known.iloc[0]}' in every row)"
    if len(known) < FEWEST_FOR_ID:
        return None
    keep = f"; it is kept by data.numeric=['{cells.name}'] or data.categorical=['{cells.name}']"
    numbers = to_numbers(known)
    if numbers.isna().all() and known.nunique() > 0.9 * len(known):
        return f"text that differs in nearly every row, like an id or free text{keep}"
    whole = numbers.notna().all() and bool((numbers % 1 == 0).all())
    counts = bool((numbers.diff().dropna() == 1).all())
    if whole and known.nunique() == len(cells) and (counts or ID_NAME.search(str(cells.name))):
        return f"a different whole number in every row, like an id{keep}"
    return None


def _stray(column: str, text: pd.Series[Any]) -> str:
    return (
        f"column '{column}', row {text.index[0]}: {text.iloc[0]!r} ({len(text)} such cells): mend "
        f"the cells, name the spelling of a missing value (data.missing=['{text.iloc[0]}']), or "
        f"read the column as categories (data.categorical=['{column}'])"
    )


def _infinite(column: str, cells: pd.Series[Any]) -> list[str]:
    numbers = to_numbers(cells).abs()
    count = int((numbers == float("inf")).sum())
    return [f"column '{column}': {count} infinite cell(s) read as missing"] if count else []


def _summary(schema: Schema) -> str:
    parts = [f"numeric ({len(schema.numeric)}): {', '.join(schema.numeric[:40]) or 'none'}"]
    parts += [f"categorical ({len(schema.categorical)}): {', '.join(schema.categorical[:40])}"]
    return "columns read as " + "; ".join(parts[: 2 if schema.categorical else 1])
