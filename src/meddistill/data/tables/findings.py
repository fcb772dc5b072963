"""What was decided about columns, and what is in doubt: said once for all columns of one cause."""

from __future__ import annotations

import re
import shlex
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from meddistill.errors import UserError, columns_named, shown, visible

MOST = 20
PLAIN = re.compile(r"(?!(?i:null|true|false|nan|inf)$)[A-Za-z_]\w*|-?[1-9][0-9]*")
"""A name that says the same without its quotes, which a shell takes away."""
SPECIAL = re.compile(r"[\"$`\\!]")
"""What means something to a shell within double quotes."""
KEEP = "; kept by data.numeric={columns} or data.categorical={columns}"


@dataclass(frozen=True)
class Doubt:
    """Why columns can't be read for sure.

    Attributes:
        why: What is wrong.
        mend: What to do; {columns} and {missing} stand for lists as a command line takes them.
    """

    why: str
    mend: str


AS_CATEGORIES = "read as categories with data.categorical={columns}"
OR_DROP = "or leave out with data.drop={columns}"
DATES = Doubt(
    "dates or times of day",
    f"turn them into numbers (an age, days since admission), {AS_CATEGORIES}, {OR_DROP}",
)
DAYS_AS_NUMBERS = Doubt(
    "whole numbers that are dates (as yyyymmdd or ddmmyyyy)",
    "turn them into numbers that count (an age, days since admission), read them as they are with "
    f"data.numeric={{columns}}, {OR_DROP}",
)
PAIRS = Doubt("two numbers in one cell", f"make a column of each, {AS_CATEGORIES}, {OR_DROP}")
LISTS = Doubt("a list in each cell", f"spread it over columns, {OR_DROP}")
TELLS = Doubt(
    "a different whole number in every row, whose order alone tells the classes apart, as a number "
    "given to the rows would",
    f"keep with data.numeric={{columns}}, {OR_DROP}",
)
LIKE_MISSING = Doubt(
    "text where numbers were",
    "mend the cells, name all spellings of a missing value (data.missing={missing}), "
    f"{AS_CATEGORIES}, {OR_DROP}",
)
STRAYS = Doubt("text where numbers were", f"mend the cells, {AS_CATEGORIES}, {OR_DROP}")


class Findings:
    """Notes and doubts, in the order in which they came."""

    def __init__(self) -> None:
        self._notes: dict[str, list[str]] = defaultdict(list)
        self._doubts: dict[Doubt, dict[str, str]] = defaultdict(dict)
        self.missing: set[str] = set()
        self._gone: dict[str, dict[str, int]] = defaultdict(dict)
        self._stand_ins: dict[str, dict[str, int]] = defaultdict(dict)

    def add_missing(self, column: str, words: Mapping[str, int]) -> None:
        """Remember the words that were read as missing, and how often each stands in a column."""
        self.missing |= words.keys()
        for word, count in words.items():
            self._gone[word][column] = count

    def add_stand_in(self, column: str, word: str, count: int) -> None:
        """Remember a number that may stand for a missing value, and how often it does."""
        self._stand_ins[word][column] = count

    def note(self, column: str, text: str) -> None:
        """Say `text`, which follows the column's name; {columns} stands for a list."""
        self._notes[text].append(column)

    def doubt(self, column: str, doubt: Doubt, row: object, cell: object, count: int = 0) -> None:
        """Ask the user about a column, by its first cell in doubt."""
        many = f" ({count} such cells)" if count else ""
        self._doubts[doubt][column] = f"column {shown(column)}, row {row}: {shown(cell)}{many}"

    def notes(self) -> list[str]:
        """A sentence for each thing that was decided."""
        gone, stand_ins = _cells_of(self._gone), _cells_of(self._stand_ins)
        named = as_list(sorted(self.missing | self._stand_ins.keys()))
        return [
            *(
                f"{columns_named(names, 10)}{text.replace('{columns}', as_list(names))}"
                for text, names in self._notes.items()
            ),
            *([f"read as missing, as data.missing says: {gone}"] if gone else []),
            *(
                [
                    f"far outside the other numbers, and repeated: {stand_ins}; read as numbers; "
                    f"where they stand for missing values, say so with data.missing={named}"
                ]
                if stand_ins
                else []
            ),
        ]

    def refuse_doubts(self) -> None:
        """Raise a `UserError` of all doubts, if there is one."""
        if self._doubts:
            raise UserError("\n".join(self._message(*item) for item in self._doubts.items()))

    def _message(self, doubt: Doubt, places: dict[str, str]) -> str:
        first = "; ".join(list(places.values())[:3])
        more = f"; and in {len(places) - 3} more columns" if len(places) > 3 else ""
        mend = doubt.mend.replace("{columns}", as_list(list(places)))
        mend = mend.replace("{missing}", as_list(sorted(self.missing)))
        return f"{doubt.why}: {first}{more}: {mend}"


def _cells_of(words: Mapping[str, Mapping[str, int]]) -> str:
    """Words with their columns and counts."""
    return "; ".join(
        f"{shown(word)} in {columns_named(counts, 3)} ({sum(counts.values())} cells)"
        for word, counts in sorted(words.items())
    )


def as_list(names: Sequence[str]) -> str:
    """A list as a command line takes it, cut after the first twenty."""
    every = [visible(name).replace("\\", "\\\\").replace("'", "\\'") for name in names]
    text = "[" + ",".join(f"'{name}'" for name in every[:MOST]) + "]"
    if len(every) != 1 or not PLAIN.fullmatch(every[0]):
        text = shlex.quote(text) if SPECIAL.search(text) else f'"{text}"'
    return text + (f" (and {len(every) - MOST} more)" if len(every) > MOST else "")
