"""What a column looks like by its name and its cells: ids, dates, codes."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

FEWEST = 20
"""Rows below which nothing is told from so few."""
NEARLY = 0.9
WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
NUMBERING = frozenset([
    "nr", "nbr", "no", "num", "number", "nummer", "numero", "index", "idx", "key", "row", "case",
    "serial", "visit", "stay", "order", "seq",
])  # fmt: skip
PERSON = frozenset([
    "id", "ids", "pid", "uid", "uuid", "guid", "ssn", "mrn", "nhs", "nhc", "ipp", "subject", "pat",
    "patient", "paciente", "participant", "person", "record", "encounter", "hadm", "accession",
    "admission", "fall", "aufnahme", "dossier", "barcode", "sample", "chart",
])  # fmt: skip
"""Names in use in several languages; a name that is none of them is asked for by `data.id`."""
JOINED = re.compile(
    r"(pat|patient|patienten|paciente|subject|case|fall|record|encounter|visit|hadm|stay|sample|"
    r"person|study|row|participant|admission|aufnahme|dossier)_?"
    r"(id|nr|nbr|no|num|number|nummer|numero|key)"
)
MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
ZONE = r"(?: ?(?:z|utc|[+-][0-9]{2}:?[0-9]{2}))?"
CLOCK = rf"[0-9]{{1,2}}:[0-9]{{2}}(?::[0-9]{{2}}(?:[.,][0-9]+)?)?(?: ?[ap]m)?{ZONE}"
DAY = "|".join(
    [
        r"[0-9]{4}([-/.])[0-9]{1,2}\1[0-9]{1,2}",
        r"[0-9]{1,2}([-/.])[0-9]{1,2}\2(?:[0-9]{4}|[0-9]{2})",
        rf"[0-9]{{1,2}}[-. /]*{MONTH}[-. ,/]*(?:[0-9]{{4}}|[0-9]{{2}})",
        rf"{MONTH}[-. ]*[0-9]{{1,2}},? +[0-9]{{4}}",
        rf"{MONTH}[-. ]+[0-9]{{4}}",
        r"[0-9]{4}-(?:0[1-9]|1[0-2])",
        r"[0-9]{4}[- ]?(?:w[0-9]{2}(?:-?[1-7])?|q[1-4])",
    ]
)
DATE = re.compile(rf"(?:{DAY})(?:[t ,]+{CLOCK})?|{CLOCK}", re.IGNORECASE)
PAIR = re.compile(r"[0-9]{1,4}(?:[.,][0-9]+)? ?/ ?[0-9]{1,4}(?:[.,][0-9]+)?")
CODE = re.compile(r"[A-Za-z]{1,4}[-. ]?[0-9][0-9A-Za-z.\-/]*")


NINES = tuple(float(10**digits - 1) for digits in range(1, 10))


def is_date(cell: Any) -> bool:
    """Whether a cell is a date or a time of day, typed or written."""
    if isinstance(cell, str):
        return bool(DATE.fullmatch(cell.strip()))
    return isinstance(cell, (datetime.date, datetime.time, np.datetime64))


def are_whole(numbers: NDArray[np.float64]) -> bool:
    """Whether all are whole numbers."""
    return bool(np.isfinite(numbers).all()) and not (numbers % 1).any()


def are_days(numbers: NDArray[np.float64]) -> bool:
    """Whether all numbers are dates written as yyyymmdd, ddmmyyyy or mmddyyyy."""
    if not are_whole(numbers) or len(np.unique(numbers)) < 3 or numbers.max() >= 10**8:
        return False
    first, second, third, fourth = (numbers // 100**place % 100 for place in (3, 2, 1, 0))
    last = 100 * third + fourth
    forms = ((100 * first + second, third, fourth), (last, second, first), (last, first, second))
    return any(_is_calendar(*form) for form in forms)


def _is_calendar(
    year: NDArray[np.float64], month: NDArray[np.float64], day: NDArray[np.float64]
) -> bool:
    return bool(
        ((year >= 1900) & (year <= 2100)).all()
        and ((month >= 1) & (month <= 12)).all()
        and ((day >= 1) & (day <= 31)).all()
    )


def is_code(text: str) -> bool:
    """Whether text beside numbers looks like one of their kind, such as V57 beside 250.83."""
    return bool(CODE.fullmatch(text.strip()))


def are_pairs(cells: Sequence[Any]) -> bool:
    """Whether most of many different cells are two numbers, such as a blood pressure of 133/93."""
    pairs = sum(isinstance(cell, str) and bool(PAIR.fullmatch(cell.strip())) for cell in cells)
    return len(cells) > FEWEST / 2 and 2 * pairs > len(cells)


def named_as_person(name: str) -> bool:
    """Whether a name says that the column tells patients, or their records, apart."""
    words = [word.lower() for word in WORDS.findall(name)]
    joined = any(JOINED.fullmatch(word) for word in words) or bool(JOINED.fullmatch(name.lower()))
    return joined or (bool(words) and (words[-1] in PERSON or _numbers_a_person(words)))


def _numbers_a_person(words: Sequence[str]) -> bool:
    return len(words) > 1 and words[-1] in NUMBERING and words[-2] in PERSON


def named_as_id(name: str) -> bool:
    """Whether a name says that the column numbers the rows."""
    words = [word.lower() for word in WORDS.findall(name)]
    return named_as_person(name) or (bool(words) and words[-1] in NUMBERING) or "unnamed" in words


def stand_ins(numbers: NDArray[np.float64]) -> list[float]:
    """Numbers of nines alone, repeated and far outside the others, as for missing values."""
    different, counts = np.unique(numbers[np.isfinite(numbers)], return_counts=True)
    nines = np.isin(np.abs(different), NINES)
    others = different[~nines]
    if len(others) < 2:
        return []
    width = others[-1] - others[0]
    apart = np.maximum(others[0] - different, different - others[-1])
    found: list[float] = different[nines & (counts > 1) & (apart > width)].tolist()
    return found


def numbering(name: str, numbers: NDArray[np.float64], rows: int) -> str | None:
    """Why a column of known numbers is an id, or None."""
    if len(numbers) < FEWEST or not are_whole(numbers):
        return None
    different = len(np.unique(numbers))
    if different == rows:
        steps = np.diff(numbers)
        dense = numbers.max() - numbers.min() < 2 * rows
        if dense or (steps > 0).all() or (steps < 0).all() or named_as_id(name):
            return "a different whole number in every row, like an id"
    if named_as_id(name) and different > NEARLY * len(numbers):
        return "a different whole number in nearly every row, like an id"
    return naming(name, different, len(numbers))


def naming(name: str, different: int, known: int) -> str | None:
    """Why a column with so many different cells names patients, or None."""
    if known >= FEWEST and named_as_person(name) and different > max(FEWEST, known / 5):
        return "by its name it tells patients apart (data.group keeps the rows of each together)"
    return None


def tells_classes(numbers: NDArray[np.float64], target: NDArray[np.int64]) -> bool:
    """Whether the order of different whole numbers, one a row, alone says the class."""
    if len(numbers) < FEWEST or not are_whole(numbers) or len(np.unique(numbers)) < len(target):
        return False
    ordered = target[np.argsort(numbers)]
    return 1 + int((np.diff(ordered) != 0).sum()) == len(np.unique(target))
