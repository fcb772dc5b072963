"""The columns a model reads, and how raw cells become numbers and categories."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from meddistill.data.tables.blocks import Categories, Cells, Floats, read_categories, read_numbers
from meddistill.data.tables.cells import (
    LARGEST,
    PLAIN,
    Notation,
    UnreadableError,
    is_null,
    text_of,
    value_of,
)
from meddistill.data.tables.missing import Missing
from meddistill.data.tables.narrow import is_narrow
from meddistill.data.tables.rows import find_columns
from meddistill.errors import UserError, columns_named, shown

EMPTIED = (
    "an empty cell, but a word that pandas reads as empty (None, NA, ...) is a category there: "
    "read the file with keep_default_na=False, or write '' for an empty cell"
)
UNGROUPED = (
    "a number whose spelling is lost, since 1.200 may have been 1200: read the file with dtype=str"
)


@dataclass(frozen=True)
class Schema:
    """Feature columns by role, and what is known of their cells' spelling.

    Attributes:
        numeric: Columns of numbers.
        categorical: Columns of categories.
        missing: All spellings of a missing cell besides the empty one.
        notation: How the numbers of a column are written, where not as Python does.
        literal: Categories in which numbers of one value are told apart by spelling, as 01 and 1.
        spelled: Categories with a word that pandas reads as missing by default, such as None.
    """

    numeric: tuple[str, ...]
    categorical: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    notation: Mapping[str, Notation] = field(default_factory=dict)
    literal: tuple[str, ...] = ()
    spelled: tuple[str, ...] = ()

    @property
    def columns(self) -> list[str]:
        """All feature columns, numeric ones first."""
        return [*self.numeric, *self.categorical]

    def only(self, columns: Collection[str]) -> Schema:
        """What is known of these columns, in the order that they have here."""

        def kept(names: Iterable[str]) -> tuple[str, ...]:
            return tuple(name for name in names if name in columns)

        return replace(
            self,
            numeric=kept(self.numeric),
            categorical=kept(self.categorical),
            notation={name: self.notation[name] for name in kept(self.notation)},
            literal=kept(self.literal),
            spelled=kept(self.spelled),
        )

    @cached_property
    def gone(self) -> Missing:
        """What counts as missing."""
        return Missing(self.missing)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and dictionaries, for JSON."""
        values = asdict(self)
        return {
            key: list(value) if isinstance(value, tuple) else value for key, value in values.items()
        }

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> Schema:
        """The inverse of `to_dict`."""
        named = dict(values)
        written = named.pop("notation", {})
        notation = {column: Notation(**parts) for column, parts in written.items()}
        return Schema(notation=notation, **{key: tuple(value) for key, value in named.items()})

    def number(self, column: str, cell: Any) -> float:
        """The number in a cell of a numeric column: NaN where missing, infinite where too large.

        Raises:
            UnreadableError: The cell is no number.
        """
        if isinstance(cell, str) and cell.strip() in self.gone.spellings:
            return math.nan
        value = value_of(cell, self._notation(column))
        value = (
            value
            if -LARGEST <= value <= LARGEST or value != value
            else math.copysign(math.inf, value)
        )
        return math.nan if value in self.gone.numbers else value

    def category(self, column: str, cell: Any) -> str | float:
        """The category in a cell of a categorical column; NaN where missing.

        Raises:
            UnreadableError: The cell is no category.
        """
        if self.gone.covers(cell):
            return math.nan
        text = text_of(cell, self._notation(column), column in self.literal)
        return math.nan if text is None else text

    def read(self, rows: pd.DataFrame) -> Cells:
        """The cells of raw rows that are inputs; infinite ones, also in float32, are empty.

        Columns that the schema does not name are not read.

        Raises:
            UserError: A column is absent, or a cell is not what its column needs.
        """
        alone = isinstance(rows, pd.DataFrame) and len(rows) == 1
        return (self.one_row(rows) if alone else None) or self._many_rows(rows)

    def _many_rows(self, rows: pd.DataFrame) -> Cells:
        columns = iter(find_columns(rows, self.columns))
        numbers = np.empty((len(rows), len(self.numeric)), order="F")
        for place, column in enumerate(self.numeric):
            read_one = partial(self.number, column)
            numbers[:, place] = read_numbers(column, next(columns), read_one, self.gone.numbers)
        codes = np.empty((len(rows), len(self.categorical)), dtype=np.intp, order="F")
        names = []
        for place, column in enumerate(self.categorical):
            read = partial(self.category, column)
            codes[:, place], known = read_categories(column, next(columns), read)
            names.append(known)
        infinite = self._empty_infinite(numbers)
        return Cells(numbers, Categories(codes, tuple(names)), infinite)

    def one_row(self, rows: pd.DataFrame) -> Cells | None:
        """The cells of a single raw row, one by one: pandas takes a millisecond for its columns.

        None where something in it needs a word, which `read` says, or cells are narrow floats.
        """
        if any(map(is_narrow, rows.dtypes.tolist())):
            return None
        names, row = rows.columns.tolist(), rows.iloc[0]
        if row.dtype != object:  # columns of one type; of several they would be one after the other
            row = rows.to_numpy(dtype=object)[0]
        found = dict(zip(names, row, strict=True))
        if len(found) < len(names):
            return None
        try:
            numbers = [self.number(column, found[column]) for column in self.numeric]
            categories = [self.category(column, found[column]) for column in self.categorical]
        except (KeyError, UnreadableError):
            return None
        if any(map(math.isinf, numbers)):
            return None
        known = tuple([name] if isinstance(name, str) else [] for name in categories)
        codes = np.array([[0 if names else -1 for names in known]], dtype=np.intp)
        return Cells(np.array([numbers], dtype=np.float64), Categories(codes, known))

    def prepare(self, rows: pd.DataFrame) -> pd.DataFrame:
        """What `read` reads as a frame: float64 (NaN where missing) and text (NaN likewise).

        Prepared rows are unchanged.
        """
        return self.framed(self.read(rows), rows.index)

    def framed(self, cells: Cells, index: pd.Index[Any] | None = None) -> pd.DataFrame:
        """Cells as such a frame."""
        prepared: dict[str, NDArray[Any]] = dict(zip(self.numeric, cells.numbers.T, strict=True))
        for place, column in enumerate(self.categorical):
            prepared[column] = cells.categories.texts(place)
        return pd.DataFrame(prepared, index=index, columns=self.columns)

    def check_raw(self, rows: pd.DataFrame) -> None:
        """Refuse rows that pandas has read otherwise than their cells are written.

        It makes empty cells of a word that may be a category here, and 1.2 of a 1.200 that may
        be 1200. Prepared rows, which were read as they are written, are not for this.

        Raises:
            UserError: It says how to read the rows.
        """
        grouped = [name for name in self.numeric if self._notation(name).thousands == "."]
        _refuse(rows, self.spelled, lambda cells: cells.isna(), EMPTIED)
        _refuse(rows, grouped, lambda cells: cells.map(_is_fraction), UNGROUPED)

    def _notation(self, column: str) -> Notation:
        return self.notation.get(column, PLAIN)

    def _empty_infinite(self, numbers: Floats) -> dict[str, int]:
        """Empty infinite cells of [rows, numeric columns], in place; how many of which column."""
        infinite = np.isinf(numbers)
        numbers[infinite] = np.nan
        counts = zip(self.numeric, infinite.sum(axis=0).tolist(), strict=True)
        return {column: count for column, count in counts if count}


def _refuse(
    rows: pd.DataFrame,
    columns: Sequence[str],
    wrong: Callable[[pd.Series[Any]], pd.Series[Any]],
    why: str,
) -> None:
    """Refuse the first cell of `columns` that is wrong."""
    found = find_columns(rows, columns) if columns else []
    for column, cells in zip(columns, found, strict=True):
        places = np.flatnonzero(wrong(cells))
        if len(places):
            row, cell = cells.index[places[0]], cells.iloc[places[0]]
            said = "" if is_null(cell) else f"{shown(cell)} is "
            raise UserError(f"column {shown(column)}, row {row}: {said}{why}")


def _is_fraction(cell: Any) -> bool:
    """Whether it came as a number that is not whole."""
    try:
        return not isinstance(cell, str) and value_of(cell) % 1 > 0
    except UnreadableError:
        return False  # reading says so


def too_large(counts: Mapping[str, int]) -> str:
    """What is said of cells that are infinite or beyond float32, of all columns at once."""
    each = f"{columns_named(counts)}: {sum(counts.values())} infinite cell(s) read as missing"
    return f"{each} (so is what is beyond 3.4e38)"
