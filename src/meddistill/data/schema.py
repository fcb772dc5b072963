"""The columns a model reads, and how raw cells become numbers and categories."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from meddistill.errors import UserError


@dataclass(frozen=True)
class Schema:
    """Feature columns by role, and the spellings of a missing cell besides the empty one."""

    numeric: tuple[str, ...]
    categorical: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def columns(self) -> list[str]:
        """All feature columns, numeric ones first."""
        return [*self.numeric, *self.categorical]

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, for JSON."""
        return {key: list(value) for key, value in asdict(self).items()}

    @staticmethod
    def from_dict(values: Mapping[str, Sequence[str]]) -> Schema:
        """The inverse of `to_dict`."""
        return Schema(**{key: tuple(value) for key, value in values.items()})

    def prepare(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The feature columns of raw rows: float64 (NaN where missing) and text (NaN likewise).

        Infinities count as missing. Columns that the schema does not name are not read.

        Raises:
            UserError: A column is absent, or text stands where a number must.
        """
        absent = [column for column in self.columns if column not in rows.columns]
        if absent:
            raise UserError(
                f"these rows lack {_listed(absent)}, which the model was trained with: "
                "add the columns (their cells may be empty)"
            )
        prepared = {}
        for column in self.columns:
            cells = blank(rows[column], self.missing)
            prepared[column] = as_numbers(cells) if column in self.numeric else as_text(cells)
        return pd.DataFrame(prepared, index=rows.index, columns=self.columns)


def blank(cells: pd.Series[Any], missing: Sequence[str]) -> pd.Series[Any]:
    """The cells with surrounding spaces cut and every spelling of a missing one made NaN."""
    if pd.api.types.is_numeric_dtype(cells):
        numbers = to_numbers(pd.Series(missing, dtype="object")).dropna()
        return cells.mask(cells.isin(numbers)) if len(numbers) else cells
    gone = {"", *missing}

    def cut(cell: object) -> object:
        text = cell.strip() if isinstance(cell, str) else cell
        return np.nan if isinstance(text, str) and text in gone else text

    return _by_value(cells, cut)


def to_numbers(cells: pd.Series[Any]) -> pd.Series[float]:
    """Cells as float64, NaN where they are missing or no number; infinities stay."""
    if pd.api.types.is_numeric_dtype(cells):
        return cells.astype("float64")
    codes, values = pd.factorize(cells)
    numbers = pd.to_numeric(pd.Series(values, dtype="object"), errors="coerce").to_numpy("float64")
    return pd.Series(np.append(numbers, np.nan)[codes], index=cells.index, name=cells.name)


def as_numbers(cells: pd.Series[Any]) -> pd.Series[float]:
    """Cells as float64, infinities as NaN; a `UserError` names the first cell that is no number."""
    numbers = to_numbers(cells)
    unreadable = cells[numbers.isna() & cells.notna()]
    if len(unreadable):
        raise UserError(
            f"column '{cells.name}', row {unreadable.index[0]}: {unreadable.iloc[0]!r} is not a "
            f"number ({len(unreadable)} such cells): mend the cells, or name the spelling of a "
            f"missing value in data.missing"
        )
    return numbers.mask(np.isinf(numbers))


def as_text(cells: pd.Series[Any]) -> pd.Series[Any]:
    """Cells as text; 1.0 from a numeric column is spelled 1, as a CSV file spells it."""
    return _by_value(cells, _spell)


def _by_value(cells: pd.Series[Any], change: Callable[[object], object]) -> pd.Series[Any]:
    """`change` of each cell, worked out once a distinct value; missing cells stay NaN."""
    codes, values = pd.factorize(cells)
    changed = np.array([*map(change, values), np.nan], dtype=object)
    return pd.Series(changed[codes], index=cells.index, name=cells.name)


def _spell(cell: object) -> str:
    if isinstance(cell, (float, np.floating)) and float(cell).is_integer():
        return str(int(cell))
    return str(cell)


def _listed(columns: Sequence[str]) -> str:
    head = ", ".join(f"'{column}'" for column in columns[:5])
    more = f" and {len(columns) - 5} more" if len(columns) > 5 else ""
    return f"column{'s' if len(columns) > 1 else ''} {head}{more}"
