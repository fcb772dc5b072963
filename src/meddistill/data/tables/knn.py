"""Empty cells by the training rows nearest to a row (Troyanskaya et al. 2001)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np

from meddistill.data.tables.blocks import Floats
from meddistill.data.tables.filled import Filler, array_of
from meddistill.errors import integer


class Neighbours(Filler):
    """scikit-learn's KNNImputer, which is its donors: it is fitted anew to them when it is read.

    Args:
        donors: [donors, columns] training rows, centred and scaled, NaN where empty.
        n_neighbors: Of those with a number in the column, how many are averaged.
    """

    name = "knn"
    keys = ("n_neighbors", "donors")
    learned = "rows of training patients themselves, centred and scaled"
    holds_rows = True

    def __init__(self, donors: Floats, n_neighbors: int) -> None:
        self.donors, self.n_neighbors = donors, n_neighbors

    @cached_property
    def _imputer(self) -> Any:
        from sklearn.impute import KNNImputer

        return KNNImputer(n_neighbors=self.n_neighbors, keep_empty_features=True).fit(self.donors)

    def __call__(self, scaled: Floats) -> Floats:
        """[rows, columns] with NaN where empty -> without."""
        filled: Floats = self._imputer.transform(scaled)
        return filled

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
