"""Rows between two training rows, for a teacher to answer."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddistill.data.tables.generator import Generator, as_whole, is_measured
from meddistill.data.tables.records import TableRecords
from meddistill.errors import number


class Mixup(Generator):
    """Mixup: rows between a row and another one, whichever.

    After Zhang, Cisse, Dauphin and Lopez-Paz 2018, mixup: Beyond Empirical Risk Minimization,
    arXiv:1710.09412. There labels are mixed as inputs are; here a teacher answers the mixed inputs.

    The row's own weight is the larger one of lambda and 1 - lambda, lambda from Beta(alpha, alpha).
    Numbers are weighted means; a category, and a number of a column with two values, is the row's
    own with the probability of that weight. Cells that the row lacks stay missing, and what the
    other lacks stays the row's own.

    Args:
        copies: Rows made of each training row, at least 1.
        alpha: Of the Beta distribution: 1 draws every lambda alike, less keeps nearer to one row.
        seed: Of all that is drawn.

    Raises:
        SettingError: A setting is out of its range.
    """

    def __init__(self, copies: int = 4, alpha: float = 1.0, seed: int = 0) -> None:
        super().__init__(copies, seed)
        self.alpha = number("alpha", alpha, above=0)

    def made(
        self,
        records: TableRecords,
        inputs: NDArray[np.float32],
        own: NDArray[np.int64],
        random: np.random.Generator,
    ) -> dict[str, NDArray[Any]]:
        """[made rows] the cells of each column."""
        other = random.integers(0, len(records), len(own))
        drawn = random.beta(self.alpha, self.alpha, len(own))
        weight = np.maximum(drawn, 1 - drawn)
        made: dict[str, NDArray[Any]] = {}
        for column, cells in records.frame.items():
            values, known = cells.to_numpy(), cells.notna().to_numpy()
            both = known[own] & known[other]
            if is_measured(cells):
                mixed = as_whole(weight * values[own] + (1 - weight) * values[other], cells)
            else:
                mixed = np.where(random.random(len(own)) < weight, values[own], values[other])
            made[str(column)] = np.where(both, mixed, values[own])
        return made
