"""A raw column, looked at once a distinct cell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddistill.data.tables.cells import (
    DAYS,
    EXACT,
    Notation,
    UnreadableError,
    is_null,
    is_truth,
    value_of,
)
from meddistill.data.tables.looks import is_date
from meddistill.data.tables.missing import Missing

LONGEST_CODE = 1e30
Key = tuple[type, Any]
"""A cell with its type, since 1 and True are equal."""


class Column:
    """The cells of a raw column that are not missing, and what they can be read as.

    Args:
        name: Of the column.
        cells: [rows] as they are in the file.
        missing: What counts as missing.
    """

    def __init__(self, name: str, cells: Sequence[Any], missing: Missing) -> None:
        self.name, self.cells = name, cells
        self.keys: list[Key] = [(cell.__class__, cell) for cell in cells]
        self.lists = False
        try:
            counts = Counter(self.keys)
        except TypeError:  # a list or a dictionary has no hash
            self.lists, counts = True, Counter()
        gone = {key for key in counts if missing.covers(key[1])}
        self.counts = {key: count for key, count in counts.items() if key not in gone}
        self.known = sum(self.counts.values())
        words = {key: key[1].strip() for key in gone if isinstance(key[1], str)}
        self.missing_words = {word: counts[key] for key, word in words.items() if word}
        self.has_nulls = any(is_null(key[1]) for key in gone)

    def place(self, key: Key | None) -> int:
        """The first row of a distinct cell; the first row of a list where there is no key."""
        if key is not None:
            return self.keys.index(key)
        lists = (place for place, key in enumerate(self.keys) if key[0] in (list, dict, np.ndarray))
        return next(lists, 0)

    def read(self, notation: Notation) -> tuple[dict[Key, float], list[Key]]:
        """Those distinct cells that are numbers, and those that are not.

        True and false are no numbers here, as they would be where a number is needed.
        """
        numbers: dict[Key, float] = {}
        others: list[Key] = []
        for key in self.counts:
            try:
                number = value_of(key[1], notation)
            except UnreadableError:
                others.append(key)
                continue
            if number in (0, 1) and is_truth(key[1]):
                others.append(key)
            else:
                numbers[key] = number
        return numbers, others

    def are_codes(self, numbers: Mapping[Key, float]) -> str | None:
        """Why whole numbers can't be read as numbers, or None: some would become one."""
        values = {
            key: number
            for key, number in numbers.items()
            if not number % 1 > 0 and is_digits(key)  # digits are the slower question
        }
        if any(EXACT <= abs(number) < LONGEST_CODE for number in values.values()):
            return "whole numbers so long that they are codes"
        if len(set(values.values())) < len({str(key[1]).strip().lstrip("+") for key in values}):
            return "whole numbers that differ by zeros before them"
        return None

    def values(self, numbers: Mapping[Key, float]) -> NDArray[np.float64]:
        """[cells that are numbers] in the order of the rows."""
        found = [numbers[key] for key in self.keys if key in numbers]
        return np.array(found, dtype=np.float64)

    def total(self, keys: Iterable[Key]) -> int:
        """How many cells these distinct ones are."""
        return sum(self.counts[key] for key in keys)

    def texts(self) -> dict[str, int]:
        """How often each text stands in the column."""
        counts: Counter[str] = Counter()
        for key, count in self.counts.items():
            if isinstance(key[1], str):
                counts[key[1].strip()] += count
        return dict(counts)

    def is_padded(self) -> bool:
        """Whether all cells are digits of one width, some with zeros before them, such as 007."""
        texts = self.texts()
        digits = len(texts) == len(self.counts) and all(text.isdecimal() for text in texts)
        widths = {len(text) for text in texts}
        return digits and len(widths) == 1 and min(widths) > 1 and any(t[0] == "0" for t in texts)

    def dates(self, keys: Iterable[Key]) -> int:
        """How many cells among these distinct ones are dates or times of day."""
        return self.total(key for key in keys if is_date(key[1]))

    def has_durations(self) -> bool:
        """Whether some cell is a duration, such as 3 days."""
        return any(
            hasattr(key[1], "total_seconds")
            or (isinstance(key[1], str) and "day" in key[1] and DAYS.fullmatch(key[1].strip()))
            for key in self.counts
        )


def is_digits(key: Key) -> bool:
    """Whether a cell is a whole number written in digits alone."""
    if isinstance(key[1], str):
        return key[1].strip().lstrip("+-").isdecimal()
    return isinstance(key[1], (int, np.integer)) and not isinstance(key[1], np.timedelta64)
