"""Static columns: numbers and categories that stand beside a series."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from meddistill.data.tables.blocks import read_categories, read_numbers
from meddistill.data.tables.cells import UnreadableError, text_of, value_of
from meddistill.data.tables.missing import DEFAULT, Missing
from meddistill.errors import SettingError, shown

NUMBER, CATEGORY = "number", "category"


@dataclass(frozen=True)
class Statics:
    """Static columns as they were read.

    Attributes:
        names: [S].
        values: [rows, S] numbers, or places among `categories`; NaN where missing.
        categories: [S] a column's different ones, in order; None where it holds numbers.
    """

    names: tuple[str, ...] = ()
    values: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0), np.float32))
    categories: tuple[tuple[str, ...] | None, ...] = ()


def static_names(value: Any, roles: Mapping[str, str | None]) -> list[str]:
    """The setting `data.static` as names.

    Args:
        value: As it was given.
        roles: Columns that are something else, by role: `target`, `id`, `group`, `part`.

    Raises:
        SettingError: It is no list, names one twice, or one that is something else: the outcome,
            say, which the model would read.
    """
    if isinstance(value, (str, Mapping)) or not isinstance(value, Iterable):
        raise SettingError("data.static", value, f"must be a list: data.static=[{value}]")
    names = [str(name) for name in value]
    if len(set(names)) < len(names):
        raise SettingError("data.static", names, "names a column twice")
    for role, name in roles.items():
        if name in names:
            mend = f"names {shown(name)}, which is data.{role}: a model must not read it"
            raise SettingError("data.static", names, mend)
    return names


def read_statics(
    frame: pd.DataFrame, kinds: Mapping[str, str | None], gone: Missing | None = None
) -> Statics:
    """The static columns of a frame.

    Args:
        frame: [rows] raw cells; its index names the rows in messages.
        kinds: By column `number` or `category`, or None, which goes by the cells: numbers where
            all of them are.
        gone: What counts as missing.

    Raises:
        UserError: A cell is no number in a column of numbers, or no category.
    """
    gone = gone or Missing(DEFAULT)
    values = np.empty((len(frame), len(kinds)), dtype=np.float32)
    categories: list[tuple[str, ...] | None] = []
    for place, (name, kind) in enumerate(kinds.items()):
        cells = frame[name]
        if (kind or _kind_of(cells, gone)) == NUMBER:
            values[:, place] = number_cells(name, cells, gone)
            categories.append(None)
            continue
        codes, names = read_categories(name, cells, lambda cell: _category(cell, gone))
        order = sorted(names)
        places = np.array([*(order.index(each) for each in names), np.nan], dtype=np.float32)
        values[:, place] = places[codes]
        categories.append(tuple(order))
    return Statics(tuple(kinds), values, tuple(categories))


def number_cells(name: str, cells: pd.Series[Any], gone: Missing) -> NDArray[np.float64]:
    """[rows] the numbers of a column, NaN where missing or infinite.

    Raises:
        UserError: A cell is no number; it is named with its row.
    """
    found = read_numbers(name, cells, lambda cell: _number(cell, gone), gone.numbers)
    found[np.isinf(found)] = np.nan
    return found


def _number(cell: Any, gone: Missing) -> float:
    return np.nan if gone.covers(cell) else value_of(cell)


def _category(cell: Any, gone: Missing) -> Any:
    text = None if gone.covers(cell) else text_of(cell)
    return np.nan if text is None else text


def _kind_of(cells: pd.Series[Any], gone: Missing) -> str:
    try:
        for cell in set(cells.tolist()):
            _number(cell, gone)
    except UnreadableError:
        return CATEGORY
    return NUMBER
