"""Empty cells by the training rows nearest to a row (Troyanskaya et al. 2001)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddistill.data.tables.blocks import Floats
from meddistill.data.tables.filled import Filler, array_of
from meddistill.errors import integer

TIED = 1e-9
"""Rows are equally far where they differ by less than rounding may, relative and absolute."""


class Neighbours(Filler):
    """scikit-learn's KNNImputer, but that all rows as near as the last of the nearest are averaged.

    Which of them scikit-learn takes hangs on rounding and on their order. And each row is worked
    out by itself: products of whole matrices are rounded otherwise with other rows beside it.

    Args:
        donors: [donors, columns] training rows, centred and scaled, NaN where empty.
        n_neighbors: Of those with a number in the column, how many are averaged, and the tied.
    """

    name = "knn"
    keys = ("n_neighbors", "donors")
    learned = "rows of training patients themselves, centred and scaled"
    holds_rows = True

    def __init__(self, donors: Floats, n_neighbors: int) -> None:
        self.donors, self.n_neighbors = np.ascontiguousarray(donors), n_neighbors
        self._known = ~np.isnan(self.donors)
        self._values = np.where(self._known, self.donors, 0.0)
        self._means = self._values.sum(axis=0) / np.maximum(self._known.sum(axis=0), 1)

    def __call__(self, scaled: Floats) -> Floats:
        """[rows, columns] with NaN where empty -> without.

        A row's answer is the same to the last bit with whatever other rows it comes.
        """
        filled = scaled.copy()
        for row, empty in zip(filled, np.isnan(scaled), strict=True):
            if empty.any():
                row[empty] = self._of_nearest(self._distances(row, ~empty), empty)
        return filled

    def _distances(self, row: Floats, known: NDArray[np.bool_]) -> Floats:
        """[donors] root mean square over the columns that both have; infinite without any."""
        gaps = self._values[:, known] - row[known]
        both = self._known[:, known]
        shared = both.sum(axis=1)
        squares = (np.square(gaps) * both).sum(axis=1)
        return np.where(shared > 0, np.sqrt(squares / np.maximum(shared, 1)), np.inf)

    def _of_nearest(self, distances: Floats, wanted: NDArray[np.bool_]) -> Floats:
        """[wanted] mean of each column's nearest donors; of all, where none is at any distance."""
        order = np.argsort(distances, kind="stable")
        order = order[np.isfinite(distances[order])]
        means: Floats = self._means[wanted]
        if not len(order):
            return means
        near = distances[order]
        have = self._known[order][:, wanted]
        count = have.cumsum(axis=0)
        last = (count >= np.minimum(count[-1], self.n_neighbors)).argmax(axis=0)
        chosen = have & (near[:, None] <= near[last] * (1 + TIED) + TIED)
        sums = (self._values[order][:, wanted] * chosen).sum(axis=0)
        return np.where(count[-1] > 0, sums / np.maximum(chosen.sum(axis=0), 1), means)

    @property
    def plain(self) -> dict[str, Any]:
        """As JSON values; an empty cell is null."""
        cells = self.donors.astype(object)
        cells[np.isnan(self.donors)] = None
        return {"n_neighbors": self.n_neighbors, "donors": cells.tolist()}

    @staticmethod
    def of_plain(columns: int, plain: Mapping[str, Any]) -> Neighbours:
        """What `plain` gave, every value checked."""
        found = np.array(plain["donors"], dtype=np.float64)  # null is NaN
        array_of(np.nan_to_num(found, nan=0.0, posinf=np.inf, neginf=-np.inf), -1, columns)
        return Neighbours(found, integer("n_neighbors", plain["n_neighbors"], at_least=1))
