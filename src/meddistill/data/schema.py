"""The columns a model reads, and how raw cells become numbers and categories."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from meddistill.data.cells import (
    LARGEST,
    PLAIN,
    Notation,
    UnreadableError,
    is_null,
    text_of,
    value_of,
)
from meddistill.data.missing import Missing
from meddistill.data.rows import take_columns
from meddistill.errors import UserError, columns_named, shown

log = logging.getLogger(__name__)


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
        notation = self.notation.get(column, PLAIN)
        value = value_of(cell, notation)
        typed = not isinstance(cell, str) and math.isfinite(value)
        if notation.thousands == "." and typed and value % 1:
            raise UnreadableError("is a number whose spelling is lost: 1.200 may have been 1200")
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
        text = text_of(cell, self.notation.get(column, PLAIN), column in self.literal)
        return math.nan if text is None else text

    def prepare(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The feature columns of raw rows: float64 (NaN where missing) and text (NaN likewise).

        Infinities, and what float32 can't hold, count as missing, and a warning counts them.
        Columns that the schema does not name are not read. Prepared rows are unchanged.

        Raises:
            UserError: A column is absent, or a cell is not what its column needs.
        """
        frame = take_columns(rows, self.columns)
        prepared: dict[str, NDArray[Any]] = {}
        infinite = {}
        for column in self.numeric:
            numbers = self._numbers(column, frame[column])
            count = int(np.isinf(numbers).sum())
            if count:
                infinite[column] = count
                numbers = np.where(np.isinf(numbers), np.nan, numbers)
            prepared[column] = numbers
        for column in self.categorical:
            read = _each(frame[column], partial(self.category, column))
            prepared[column] = np.array(read, dtype=object)
        if infinite:
            log.warning("%s", too_large(infinite))
        return pd.DataFrame(prepared, index=frame.index, columns=self.columns)

    def check_raw(self, rows: pd.DataFrame) -> None:
        """Refuse rows in which pandas has made empty cells of a word that is a category here.

        Raises:
            UserError: It says how to read the rows.
        """
        for column in self.spelled:
            empty = [place for place, cell in enumerate(_cells(rows, column)) if is_null(cell)]
            if empty:
                raise UserError(
                    f"column {shown(column)}, row {rows.index[empty[0]]}: an empty cell, but a "
                    "word that pandas reads as empty (None, NA, ...) is a category there: read the "
                    "file with keep_default_na=False, or write '' for an empty cell"
                )

    def _numbers(self, column: str, cells: pd.Series[Any]) -> NDArray[np.float64]:
        """[rows] float64, infinite beyond float32."""
        grouped = self.notation.get(column, PLAIN).thousands == "."
        if isinstance(cells.dtype, np.dtype) and cells.dtype.kind in "fiu" and not grouped:
            numbers = cells.to_numpy(dtype=np.float64, copy=True)
            numbers[np.abs(numbers) > LARGEST] = np.inf
            if self.gone.numbers:
                numbers[np.isin(numbers, list(self.gone.numbers))] = np.nan
            return numbers
        return np.array(_each(cells, partial(self.number, column)), dtype=np.float64)


def _cells(rows: pd.DataFrame, column: str) -> list[Any]:
    cells: list[Any] = take_columns(rows, [column])[column].tolist()
    return cells


def too_large(counts: Mapping[str, int]) -> str:
    """What is said of cells that are infinite or beyond float32, of all columns at once."""
    each = f"{columns_named(counts)}: {sum(counts.values())} infinite cell(s) read as missing"
    return f"{each} (so is what is beyond 3.4e38)"


def read_each(cells: Iterable[Any], read: Callable[[Any], Any]) -> list[Any]:
    """`read` of each cell, once a distinct one; the error itself where a cell can't be read."""
    known: dict[Any, Any] = {}
    results = []
    for cell in cells:
        try:
            key = (cell.__class__, cell)
            if key not in known:
                known[key] = _attempt(read, cell)
            results.append(known[key])
        except TypeError:  # a list has no hash
            results.append(_attempt(read, cell))
    return results


def _attempt(read: Callable[[Any], Any], cell: Any) -> Any:
    try:
        return read(cell)
    except UnreadableError as error:
        return error


def _each(cells: pd.Series[Any], read: Callable[[Any], Any]) -> list[Any]:
    """`read_each`, or a `UserError` that names the first cell that can't be read."""
    results = read_each(cells.tolist(), read)
    check_read(str(cells.name), cells.index, cells.tolist(), results)
    return results


def check_read(
    column: str, rows: Sequence[Any] | pd.Index[Any], cells: Sequence[Any], results: Sequence[Any]
) -> None:
    """Refuse a column some of whose cells could not be read, by the first of them."""
    wrong = [place for place, result in enumerate(results) if isinstance(result, UnreadableError)]
    if wrong:
        first = wrong[0]
        raise UserError(
            f"column {shown(column)}, row {rows[first]}: {shown(cells[first])} {results[first]} "
            f"({len(wrong)} such cells): {_mend(results[first])}"
        )


def _mend(error: UnreadableError) -> str:
    if "spelling" in str(error) or "become one" in str(error):
        return "read the file with dtype=str, so that codes stay as they are written"
    return "mend the cells, or name the spelling of a missing value in data.missing"
