"""Static columns as inputs: numbers scaled, categories as one input of 0 and 1 each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from meddistill.data.patients import Patients
from meddistill.data.series.records import SeriesRecords
from meddistill.data.series.scales import LEARNED, Scales

Names = tuple[str, ...]


@dataclass(frozen=True)
class StaticInputs:
    """What training rows taught of static columns.

    Attributes:
        columns: [S] their names.
        codes: [S] the categories whose places stand in the records; None where it holds numbers.
        known: [S] those categories that enough patients share; None likewise.
        scales: Of the columns with numbers, in their order.
    """

    columns: Names
    codes: tuple[Names | None, ...]
    known: tuple[Names | None, ...]
    scales: Scales

    @staticmethod
    def fit(records: SeriesRecords, patients: Patients, clip: float) -> StaticInputs:
        """Learn from training rows; what too few patients share gets no input of its own."""
        known: list[Names | None] = []
        numbers = []
        for column, names in zip(records.statics.T, records.categories, strict=True):
            if names is None:
                numbers.append(column[~np.isnan(column)])
                known.append(None)
            else:
                kept = [n for k, n in enumerate(names) if patients.are_enough(column == k)]
                known.append(tuple(kept))
        numeric = [place for place, names in enumerate(known) if names is None]
        cells = records.statics[:, numeric]
        scales = Scales.fit(numbers, clip, patients.ends(cells, cells))
        return StaticInputs(records.static, records.categories, tuple(known), scales)

    @property
    def names(self) -> list[str]:
        """[inputs] what each of them is."""
        pairs = zip(self.columns, self.known, strict=True)
        return [n for c, k in pairs for n in ([c] if k is None else [f"{c}={each}" for each in k])]

    def __call__(self, statics: Tensor) -> Tensor:
        """[..., S] as in the records -> inputs [..., inputs]."""
        numeric = [place for place, names in enumerate(self.codes) if names is None]
        scaled = iter(self.scales(statics[..., numeric]).unbind(-1))
        inputs = []
        columns = zip(statics.unbind(-1), self.codes, self.known, strict=True)
        for column, codes, known in columns:
            if codes is None or known is None:
                inputs.append(next(scaled))
            else:
                inputs += [(column == codes.index(name)).to(column.dtype) for name in known]
        return torch.stack(inputs, dim=-1) if inputs else statics[..., :0]

    def in_place(self) -> Scales:
        """[S] scales of all columns as they lie in the records; a category is not read by it."""
        found = {name: torch.zeros(len(self.columns)) for name in LEARNED}
        numeric = [place for place, names in enumerate(self.codes) if names is None]
        for name, values in found.items():
            values[numeric] = getattr(self.scales, name)
        return Scales(**found)

    @property
    def _numeric(self) -> list[str]:
        return [name for name, known in zip(self.columns, self.known, strict=True) if known is None]

    def far(self, statics: NDArray[np.float32]) -> list[str]:
        """Columns of numbers with one far beyond the training range."""
        numeric = [place for place, names in enumerate(self.codes) if names is None]
        odd = self.scales.far(statics[:, numeric]).tolist()
        return [name for name, far in zip(self._numeric, odd, strict=True) if far]

    def unknown(self, records: SeriesRecords) -> dict[str, list[str]]:
        """By column of categories those of the records that have no input."""
        found = {}
        pairs = zip(records.statics.T, records.categories, self.known, strict=True)
        for name, (column, names, known) in zip(self.columns, pairs, strict=True):
            if names is not None and known is not None:
                there = np.unique(column[~np.isnan(column)]).astype(int).tolist()
                found[name] = [names[place] for place in there if names[place] not in known]
        return {name: lost for name, lost in found.items() if lost}

    def as_plain(self) -> dict[str, Any]:
        """JSON values; of categories those that enough patients share, and no others."""
        pairs = zip(self.columns, self.known, strict=True)
        categories = {name: list(known) for name, known in pairs if known is not None}
        return {"numbers": self.scales.as_plain(self._numeric), "categories": categories}

    @staticmethod
    def from_plain(plain: Any, kinds: dict[str, str]) -> StaticInputs:
        """The inverse of `as_plain`, every value checked.

        Args:
            plain: What stands in the file.
            kinds: By column `number` or `category`, as the model's schema has them.

        Raises:
            ValueError: A value is none that could have been fitted.
        """
        if not isinstance(plain, dict) or plain.keys() != {"numbers", "categories"}:
            raise ValueError("'statics' must hold numbers and categories")
        numeric = [name for name, kind in kinds.items() if kind == "number"]
        found, known = plain["categories"], []
        if not isinstance(found, dict) or found.keys() != kinds.keys() - set(numeric):
            raise ValueError("its static columns are not those of the model's schema")
        for name in kinds:
            known.append(None if name in numeric else _names(found[name], name))
        scales = Scales.from_plain(plain["numbers"], numeric)
        return StaticInputs(tuple(kinds), tuple(known), tuple(known), scales)


def recoded(column: Tensor | Any, names: Sequence[str], wanted: Sequence[str]) -> Any:
    """[rows] places among `names` as places among `wanted`; NaN where it is none of these."""
    places = {name: float(place) for place, name in enumerate(wanted)}
    found = np.array([*(places.get(name, np.nan) for name in names), np.nan], dtype=np.float32)
    return found[np.where(np.isnan(column), len(names), column).astype(np.int64)]


def _names(value: Any, column: str) -> Names:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise ValueError(f"the categories of {column!r} are no texts")
    if len(set(value)) < len(value):
        raise ValueError(f"a category of {column!r} stands twice")
    return tuple(value)
