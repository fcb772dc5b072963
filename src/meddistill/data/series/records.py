"""Series of patients in one array: each step's time, its values and the static columns."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from meddistill.data.records import Records
from meddistill.data.series.gaps import WHOLE, in_parts, is_even
from meddistill.data.series.times import NUMBER

Block = NDArray[np.float32]
"""[rows, time, 1 + variables + static columns]: column 0 is a step's time, NaN at padding."""
NAMES: Mapping[str, str | None] = MappingProxyType({
    "values": "X", "lengths": "lengths", "times": "times", "variables": "variables",
    "id": None, "time": None, "variable": None, "value": None,
})  # fmt: skip
"""Arrays of an .npz file and columns of a long table by what they hold; None is the usual ones."""
ARRAYS = ("values", "lengths", "times", "variables")


@dataclass(frozen=True, eq=False)
class SeriesRecords(Records):
    """Rows of series with gaps, beside static columns.

    Attributes:
        block: [rows, time, 1 + V + S] a step's time (NaN at padding, which follows the real steps),
            V values (NaN where missing), S static columns, repeated over real steps; a category is
            its place among `categories`.
        variables: [V] their names.
        static: [S] their names.
        categories: [S] the different ones of a static column; None where it holds numbers.
        step: Time between steps of arrays without times, and the width of the bins in which
            rows of a long table are averaged; None keeps the times as they are.
        until: Time of the prediction, after which nothing is read; None is no limit.
        names: How arrays and columns are called in the data, by what they hold (see `NAMES`).
        ids: [rows] what each is called, where something says.
        gapped: Whether a cell is missing or steps are uneven, of the rows that they were taken
            from, so that networks of all splits read the same parts; None: of these rows.
        time_kind: What times were in the data: numbers, dates or durations, which are hours here.
    """

    kind: ClassVar[str] = "series"

    block: Block
    variables: tuple[str, ...]
    static: tuple[str, ...] = ()
    categories: tuple[tuple[str, ...] | None, ...] = ()
    step: float | None = 1.0
    until: float | None = None
    names: Mapping[str, str | None] = field(default_factory=lambda: NAMES)
    ids: tuple[str, ...] | None = None
    gapped: bool | None = None
    time_kind: str = NUMBER

    def __len__(self) -> int:
        return len(self.block)

    def take(self, positions: NDArray[np.int64]) -> Self:
        """The rows at `positions`."""
        ids = None if self.ids is None else tuple(self.ids[place] for place in positions.tolist())
        return replace(self, block=self.block[positions], ids=ids, gapped=self.has_gaps)

    @cached_property
    def has_gaps(self) -> bool:
        """Whether a cell is missing, or steps are uneven."""
        if self.gapped is not None:
            return self.gapped
        return self.missing > 0 or not is_even(self.times)

    @property
    def index(self) -> pd.Index[Any]:
        """[rows] ids, where something says."""
        return super().index if self.ids is None else pd.Index(self.ids, name=self.names["id"])

    def raw(self) -> dict[str, NDArray[Any]]:
        """The arrays that an .npz file of these rows would hold."""
        names = {role: str(self.names[role]) for role in ARRAYS}
        arrays: dict[str, NDArray[Any]] = {
            names["values"]: self.values,
            names["lengths"]: self.lengths,
            names["times"]: self.times,
            names["variables"]: np.array(self.variables),
        }
        columns = zip(self.static, self.statics.T, self.categories, strict=True)
        for name, column, categories in columns:
            arrays[name] = column if categories is None else _texts(column, categories)
        return arrays

    @property
    def times(self) -> NDArray[np.float32]:
        """[rows, time] of each step, NaN at padding."""
        return self.block[:, :, 0]

    @property
    def values(self) -> NDArray[np.float32]:
        """[rows, time, V], NaN where missing."""
        return self.block[:, :, 1 : 1 + len(self.variables)]

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """[rows] real steps."""
        lengths: NDArray[np.int64] = (~np.isnan(self.times)).sum(axis=1)
        return lengths

    @property
    def statics(self) -> NDArray[np.float32]:
        """[rows, S], NaN where missing."""
        return self.block[:, 0, 1 + len(self.variables) :]

    def in_parts(self, parts: int) -> Block:
        """[rows, time, parts, 1 + V + S] as `gaps.in_parts` has them, made once for all splits."""
        if parts not in self._in_parts:
            if parts == WHOLE and not self.missing:
                self._in_parts[parts] = self.block[:, :, None]
            else:
                self._in_parts[parts] = in_parts(self.block, len(self.variables), parts)
        return self._in_parts[parts]

    @cached_property
    def _in_parts(self) -> dict[int, Block]:
        return {}

    def hashes(self) -> NDArray[np.uint64]:
        """[rows] of the real steps; equal for exact copies, however far they are padded."""
        first = self.block.shape[2] - len(self.static)
        coded = [first + place for place, names in enumerate(self.categories) if names is not None]
        numbers = np.delete(self.block, coded, axis=2) if coded else self.block
        rows = zip(numbers, self.lengths.tolist(), self._category_texts(), strict=True)
        digests = b"".join(
            hashlib.blake2b(_canonical(row[:length]) + text, digest_size=8).digest()
            for row, length, text in rows
        )
        return np.frombuffer(digests, dtype=np.uint64)

    def _category_texts(self) -> list[bytes]:
        """[rows] categories by name: their places depend on which others there are."""
        columns = [
            _texts(column, names).tolist()
            for column, names in zip(self.statics.T, self.categories, strict=True)
            if names is not None
        ]
        return ["\0".join(row).encode() for row in zip(*columns, strict=True)] or [b""] * len(self)

    @property
    def spec(self) -> dict[str, Any]:
        """What new rows are read by."""
        kinds = ["number" if names is None else "category" for names in self.categories]
        return {
            "variables": list(self.variables),
            "static": dict(zip(self.static, kinds, strict=True)),
            "steps": self.block.shape[1],
            "step": self.step,
            "until": self.until,
            "time_kind": self.time_kind,
            "names": dict(self.names),
        }

    @cached_property
    def missing(self) -> float:
        """Share of the cells of real steps without a value."""
        cells = int(self.lengths.sum()) * len(self.variables)
        return 1 - int((~np.isnan(self.values)).sum()) / max(1, cells)

    @property
    def row_size(self) -> int:
        """Of all steps of one row."""
        return int(np.prod(self.block.shape[1:]))

    def describe(self) -> str:
        """One line: steps, variables, missing cells and static columns."""
        fewest, most = self.lengths.min(initial=self.block.shape[1]), self.block.shape[1]
        steps = f"{most}" if fewest == most else f"{fewest} to {most}"
        gaps = f", {self.missing:.0%} of cells missing" if self.missing else ""
        beside = f"; {len(self.static)} static columns" if self.static else ""
        plural = "s" if len(self.variables) > 1 else ""
        return f"{steps} steps of {len(self.variables)} variable{plural}{gaps}{beside}"

    @property
    def nbytes(self) -> int:
        """Bytes of all rows."""
        return self.block.nbytes


def _texts(column: NDArray[np.float32], names: Sequence[str]) -> NDArray[np.object_]:
    """[rows] categories by name, an empty text where one is missing."""
    places = np.where(np.isnan(column), len(names), column).astype(np.int64)
    found: NDArray[np.object_] = np.array([*names, ""], dtype=object)[places]
    return found


def _canonical(row: Block) -> bytes:
    """The bytes of a row in which equal cells have equal ones: 0 and -0, and every NaN."""
    clean = row + np.float32(0)
    clean[np.isnan(clean)] = np.nan
    return clean.tobytes()
