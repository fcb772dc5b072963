"""What one cell says: the number, the category or the name that it spells, whatever its type.

pandas, Arrow and a CSV file hand over the same table as text, numbers or booleans of many types.
Every cell passes through these functions, so that the same cell means the same in training and
afterwards.
"""

from __future__ import annotations

import datetime
import math
import re
import unicodedata
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?", re.IGNORECASE)
WHOLE = re.compile(r"([+-]?)0*([0-9]+?)(\.0*)?")
POINT_ZERO = re.compile(r"[+-]?[0-9]+\.0+")
INFINITE = re.compile(r"([+-]?)inf(inity)?", re.IGNORECASE)
DAYS = re.compile(r"(-?[0-9]+) days?(?: \+?([0-9]+):([0-9]{2}):([0-9]{2}(?:\.[0-9]+)?))?")
BOUND = re.compile(r"[<>≤≥]=?\s*")
MINUS = "−"  # noqa: RUF001 - the typographic one
LARGEST = float(np.finfo(np.float32).max)
"""Networks read float32: a number beyond this is infinite to them."""
EXACT = 2**53
"""Whole numbers from here on are merged by float64, so a float there names no code."""
NARROW = (np.float32, np.float16)
"""Read as the shortest decimal that names them, which a CSV file would have."""
SECONDS_A_DAY = 86_400
TRUTH = {"true": 1.0, "false": 0.0}


class UnreadableError(ValueError):
    """A cell is not what its column needs; the message ends a sentence that shows the cell."""


@dataclass(frozen=True)
class Notation:
    """How the numbers of a column are written.

    Attributes:
        decimal: Decimal mark.
        thousands: Mark between groups of three digits; none where empty.
        unit: What follows every number, such as % or kg, in lower case; none where empty.
        bounds: Whether `<5` and `>200` are read as the bound itself.
    """

    decimal: str = "."
    thousands: str = ""
    unit: str = ""
    bounds: bool = False

    def plain(self, text: str) -> str:
        """The number in Python's spelling, if `text` is one in this notation; else something."""
        if self.bounds:
            text = BOUND.sub("", text, count=1) if text[:1] in "<>≤≥" else text
        if self.unit and folded(text[-len(self.unit) :]) == self.unit:
            text = text[: -len(self.unit)].rstrip()
        if self.thousands and self.thousands in text:
            text = self._ungrouped(text)
        if self.decimal != ".":
            text = text.replace(".", "\0").replace(self.decimal, ".")
        return text if text.isascii() else text.replace(MINUS, "-")

    def written(self, value: float, digits: int = 6) -> str:
        """A number with this decimal mark, and none between thousands."""
        return f"{value:.{digits}g}".replace(".", self.decimal)

    def _ungrouped(self, text: str) -> str:
        mark = re.escape(self.thousands)
        if re.match(rf"[+-]?[1-9][0-9]{{0,2}}({mark}[0-9]{{3}})+(?![0-9])", text):
            return text.replace(self.thousands, "")
        return text


PLAIN = Notation()


def value_of(cell: Any, notation: Notation = PLAIN) -> float:
    """The number in a cell, NaN where it is empty; infinite where it says so or overflows.

    A duration counts in days, true and false as 1 and 0.

    Raises:
        UnreadableError: The cell is no number.
    """
    if type(cell) is float:  # most cells are, and asking on takes longer than all else
        return cell
    if isinstance(cell, str):
        return _value_of_text(cell.strip(), notation)
    if isinstance(cell, (float, int, np.number, np.bool_)) and not isinstance(cell, np.timedelta64):
        if isinstance(cell, np.complexfloating):
            raise UnreadableError("is a complex number")
        return _as_float(cell)
    if is_null(cell):
        return math.nan
    if isinstance(cell, Decimal):
        return _as_float(cell)
    if isinstance(cell, (datetime.timedelta, np.timedelta64)):
        return pd.Timedelta(cell).total_seconds() / SECONDS_A_DAY
    if isinstance(cell, bytes):
        return _value_of_text(_decoded(cell).strip(), notation)
    raise UnreadableError(f"is {kind_of(cell)}, no number")


def text_of(cell: Any, notation: Notation = PLAIN, literal: bool = False) -> str | None:
    """The category in a cell in one spelling for all that mean it; None where it is empty.

    Case, surrounding spaces and the Unicode form do not matter, and numbers are spelled by their
    value: TRUE is true, 01 and 1.0 are 1. With `literal` numbers keep their spelling but for a
    trailing .0, so that 01 is not 1.

    Raises:
        UnreadableError: The cell is no category, or with `literal` a number whose spelling is lost.
    """
    spelled = spelling_of(cell)
    if spelled is None:
        return None
    if literal:
        if not isinstance(cell, (str, bytes)):
            raise UnreadableError("is a number whose spelling is lost")
        return folded(spelled)
    plain = notation.plain(spelled) if isinstance(cell, str) else spelled
    number = plain[0] in "+-.0123456789" and NUMBER.fullmatch(plain)
    return _number_text(plain) if number else folded(spelled)


def spelling_of(cell: Any) -> str | None:
    """A cell as written, such as a code or an id; None where it is empty.

    Only surrounding spaces, the Unicode form and a whole number's trailing .0 are not kept.

    Raises:
        UnreadableError: The cell is no name, or a float too large to say which code it was.
    """
    if isinstance(cell, bytes):
        cell = _decoded(cell)
    if isinstance(cell, str):
        text = cell.strip()
        text = text if text.isascii() else unicodedata.normalize("NFC", text)
        return text.split(".")[0] if POINT_ZERO.fullmatch(text) else text or None
    if is_null(cell):
        return None
    if isinstance(cell, (bool, np.bool_)):
        return str(bool(cell))
    if isinstance(cell, (int, np.integer)) and not isinstance(cell, np.timedelta64):
        return _digits(int(cell))
    if isinstance(cell, (float, np.floating, Decimal)):
        return _float_text(cell)
    if isinstance(cell, (dict, list, tuple, set, np.ndarray)):
        raise UnreadableError(f"is {kind_of(cell)}, no category")
    return str(cell)


def folded(text: str) -> str:
    """`text` without its case and Unicode form: equal for spellings that mean the same."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFC", text.casefold())


def is_null(cell: Any) -> bool:
    """Whether a cell is a typed missing value: None, NaN, NaT, NA."""
    if isinstance(cell, (float, np.generic, Decimal)):
        return bool(cell != cell)
    return cell is None or cell is pd.NA or cell is pd.NaT


def is_truth(cell: Any) -> bool:
    """Whether a cell is true or false, typed or written."""
    if isinstance(cell, str):
        return cell.strip().lower() in TRUTH
    return isinstance(cell, (bool, np.bool_))


def kind_of(cell: Any) -> str:
    """What a cell holds that is neither text nor a number, in words."""
    if isinstance(cell, (datetime.date, datetime.time, np.datetime64, pd.Period)):
        return "a date" if not isinstance(cell, datetime.time) else "a time of day"
    if isinstance(cell, (dict, list, tuple, set, np.ndarray)):
        return "a list"
    return f"of type {type(cell).__name__}"


def _value_of_text(text: str, notation: Notation) -> float:
    plain = notation.plain(text)
    if NUMBER.fullmatch(plain):
        return float(plain)
    if not text:
        return math.nan
    if infinite := INFINITE.fullmatch(plain):
        return -math.inf if infinite[1] == "-" else math.inf
    if text.lower() in TRUTH:
        return TRUTH[text.lower()]
    if duration := DAYS.fullmatch(text):
        days, *clock = (float(part or 0) for part in duration.groups())
        return days + (clock[0] * 3600 + clock[1] * 60 + clock[2]) / SECONDS_A_DAY
    raise UnreadableError("is no number")


def _as_float(number: Any) -> float:
    try:
        return float(str(number) if isinstance(number, NARROW) else number)
    except OverflowError:  # a whole number beyond 1.8e308
        return math.inf if number > 0 else -math.inf


def _number_text(plain: str) -> str:
    """One spelling of a number: digits of a whole one, else 15 significant ones.

    pandas' own reader may miss the nearest float64 by one in the last place, which 15 digits hide.
    """
    whole = WHOLE.fullmatch(plain)
    if whole:
        return f"{'-' if whole[1] == '-' and whole[2] != '0' else ''}{whole[2]}"
    return _float_text(float(plain), exact=False)


def _float_text(number: Any, exact: bool = True) -> str:
    if isinstance(number, Decimal) and number.is_finite() and number == number.to_integral_value():
        return _digits(int(number)) if number.adjusted() < 400 else f"{number:e}"
    value = _as_float(number)
    if math.isinf(value):
        raise UnreadableError("is infinite, so its spelling is lost")
    if not value.is_integer():
        return f"{value:.15g}"
    if abs(value) < EXACT:
        return str(int(value))
    if exact:
        raise UnreadableError("is a float so large that codes next to each other have become one")
    return f"{value:.15g}"


def _digits(number: int) -> str:
    if number.bit_length() > 1300:
        raise UnreadableError("is a whole number beyond any code")
    return str(number)


def _decoded(cell: bytes) -> str:
    try:
        return cell.decode()
    except UnicodeDecodeError:
        raise UnreadableError("holds bytes that are no text") from None
