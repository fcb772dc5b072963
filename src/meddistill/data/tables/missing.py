"""Which cells count as missing: one list, the whole of it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any

from meddistill.data.tables.cells import NUMBER, is_null

PANDAS = (
    "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>",
    "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
)  # fmt: skip
"""Spellings that `pandas.read_csv` reads as missing unless it is told not to."""
DEFAULT = ("?", *PANDAS)
LIKE_MISSING = frozenset([
    ".", "..", "-", "--", "---", "*", "**", "?", "??", "/", "//", "x", "xx", "xxx", "na", "n/a",
    "n.a.", "n.a", "n/d", "nd", "n.d.", "n.d", "nan", "none", "null", "nil", "unk", "unkn",
    "unknown", "missing", "miss", "blank", "empty", "pending", "tbd", "undefined", "unavailable",
    "#n/a", "#value!", "#div/0!", "#ref!", "#num!", "#name?", "k.a.", "unbekannt", "inconnu",
    "desconocido",
]) | {
    "not available", "not known", "not done", "not recorded", "not applicable", "not measured",
    "no data", "not tested", "not determined",
}  # fmt: skip
"""What people write for a missing cell, in lower case; by itself nothing of it is read so."""


class Missing:
    """The spellings of a missing cell besides the empty one, as text and as numbers.

    Args:
        spellings: All of them; a number among them is meant however it is written.
    """

    def __init__(self, spellings: Iterable[object]) -> None:
        self.spellings = frozenset(str(spelling).strip() for spelling in spellings) - {""}

    @cached_property
    def numbers(self) -> frozenset[float]:
        """Those that are numbers, such as -999."""
        return frozenset(float(text) for text in self.spellings if NUMBER.fullmatch(text))

    def covers(self, cell: Any) -> bool:
        """Whether a cell is missing: empty, or one of the spellings."""
        if isinstance(cell, str):
            text = cell.strip()
            if not text or text in self.spellings:
                return True
            return (
                bool(self.numbers) and bool(NUMBER.fullmatch(text)) and float(text) in self.numbers
            )
        if is_null(cell):
            return True
        try:
            return bool(self.numbers) and not isinstance(cell, bool) and cell in self.numbers
        except TypeError:  # a list
            return False
