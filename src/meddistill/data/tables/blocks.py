"""Raw rows as arrays: every column is read as a whole, once a distinct cell."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from meddistill.data.tables.cells import LARGEST, UnreadableError
from meddistill.data.tables.narrow import widened
from meddistill.errors import UserError, shown

Floats = NDArray[np.float64]
Codes = NDArray[np.integer[Any]]
Read = Callable[[Any], Any]
"""What reads one cell, or raises `UnreadableError`."""


class Categories(NamedTuple):
    """Columns of categories.

    Attributes:
        codes: [rows, columns] place of a cell's category among the column's, -1 where empty.
        names: [columns] a column's different categories.
    """

    codes: Codes
    names: tuple[Sequence[str], ...]

    def texts(self, column: int) -> NDArray[np.object_]:
        """[rows] of one column, NaN where empty."""
        return np.array([*self.names[column], np.nan], dtype=object)[self.codes[:, column]]


class Cells(NamedTuple):
    """Raw rows as they were read.

    Attributes:
        numbers: [rows, numeric columns], NaN where empty.
        categories: Of the categorical columns.
        infinite: How many cells of a column were infinite, in float32 too: they are empty.
    """

    numbers: Floats
    categories: Categories
    infinite: Mapping[str, int] = MappingProxyType({})

    def at(self, rows: Codes) -> Cells:
        """The rows numbered by `rows`."""
        codes, names = self.categories
        return Cells(self.numbers[rows], Categories(codes[rows], names))

    @property
    def known(self) -> NDArray[np.bool_]:
        """[rows, columns] which cells are filled, numeric columns first."""
        return np.concatenate([~np.isnan(self.numbers), self.categories.codes >= 0], axis=1)

    def emptied(self, hidden: NDArray[np.bool_]) -> Cells:
        """The same rows without the cells [rows, columns] that are hidden."""
        width = self.numbers.shape[1]
        codes, names = self.categories
        numbers = np.where(hidden[:, :width], np.nan, self.numbers)
        return Cells(numbers, Categories(np.where(hidden[:, width:], -1, codes), names))


def read_numbers(
    column: str, cells: pd.Series[Any], read: Read, missing: Collection[float]
) -> Floats:
    """[rows] a column's numbers, NaN where empty, infinite beyond float32.

    Args:
        column: Its name.
        cells: The column; one of a type for numbers is not read cell by cell.
        read: Reads another's cells.
        missing: Numbers that say that a cell is empty.

    Raises:
        UserError: A cell can't be read.
    """
    cells = widened(cells)
    if cells.dtype.kind not in "fiub":
        codes, found = _read_column(column, cells, read)
        return np.array([*found, np.nan], dtype=np.float64)[codes]
    numbers: Floats = cells.to_numpy(dtype=np.float64, na_value=np.nan, copy=True)
    large = np.abs(numbers) > LARGEST
    if large.any():
        numbers[large] = np.copysign(np.inf, numbers[large])
    if missing:
        numbers[np.isin(numbers, list(missing))] = np.nan
    return numbers


def read_categories(column: str, cells: pd.Series[Any], read: Read) -> tuple[Codes, list[str]]:
    """[rows] places among the column's different categories, and these.

    Raises:
        UserError: A cell can't be read.
    """
    codes, found = _read_column(column, cells, read)
    places: dict[str, int] = {}
    merged = [places.setdefault(name, len(places)) if name == name else -1 for name in found]
    return np.array([*merged, -1])[codes], list(places)


def _read_column(column: str, cells: pd.Series[Any], read: Read) -> tuple[Codes, list[Any]]:
    """[rows] places among the different cells, -1 where empty, and what these say."""
    codes, different = _different(cells)
    found = [_attempt(read, cell) for cell in different]
    wrong = [place for place, result in enumerate(found) if isinstance(result, UnreadableError)]
    if wrong:
        rows = np.flatnonzero(np.isin(codes, wrong))
        place = codes[rows[0]]
        row = cells.index[rows[0]]
        raise _unreadable(column, row, different[place], found[place], len(rows))
    return codes, found


def _different(cells: pd.Series[Any]) -> tuple[Codes, list[Any]]:
    """[rows] places among the different cells, and these; an empty one may be -1.

    Cells of different types are different: 1 and True are equal. A list has no hash and is one
    of its own.
    """
    cells = widened(cells)
    dtype = cells.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        used = cells.cat.remove_unused_categories().cat
        return used.codes.to_numpy(dtype=np.intp), used.categories.tolist()
    if dtype.kind in "fiub" or (isinstance(dtype, pd.StringDtype) and dtype.storage != "python"):
        codes, different = pd.factorize(
            cells.to_numpy() if isinstance(dtype, np.dtype) else cells.array
        )
        return codes, different.tolist()
    values = cells.tolist()
    unequal = {str, type(None)}
    several = len(set(map(type, values)) - unequal) > 1
    keys = [(cell.__class__, cell) for cell in values] if several else values
    try:
        places = {key: place for place, key in enumerate(dict.fromkeys(keys))}
    except TypeError:
        return np.arange(len(values)), values
    codes = np.fromiter(map(places.__getitem__, keys), np.intp, len(keys))
    return codes, [key[1] for key in places] if several else list(places)


def read_each(cells: Iterable[Any], read: Read) -> list[Any]:
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


def _attempt(read: Read, cell: Any) -> Any:
    try:
        return read(cell)
    except UnreadableError as error:
        return error


def check_read(
    column: str, rows: Sequence[Any] | pd.Index[Any], cells: Sequence[Any], results: Sequence[Any]
) -> None:
    """Refuse a column some of whose cells could not be read, by the first of them."""
    wrong = [place for place, result in enumerate(results) if isinstance(result, UnreadableError)]
    if wrong:
        first = wrong[0]
        raise _unreadable(column, rows[first], cells[first], results[first], len(wrong))


def _unreadable(column: str, row: Any, cell: Any, error: UnreadableError, count: int) -> UserError:
    return UserError(
        f"column {shown(column)}, row {row}: {shown(cell)} {error} ({count} such cells): "
        f"{_mend(error)}"
    )


def _mend(error: UnreadableError) -> str:
    if "spelling" in str(error) or "become one" in str(error):
        return "read the file with dtype=str, so that codes stay as they are written"
    return "mend the cells; where a value is missing leave it empty (data.missing is for training)"
