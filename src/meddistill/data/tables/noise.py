"""Training rows with noise on their cells, for a teacher to answer."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddistill.data.tables.generator import Generator, as_whole, is_measured
from meddistill.data.tables.records import TableRecords
from meddistill.errors import UserError, number


class Noise(Generator):
    """Rows whose numbers are moved a little, and some of whose categories are another row's.

    The simplest way there is, by which the others are judged.

    Args:
        copies: Rows made of each training row, at least 1.
        scale: Standard deviation of what is added to a number, in standard deviations of its
            column; whole numbers stay whole and ranges are kept.
        swap: Probability that a category, or a number of a column with two values, is that of
            another row, whichever.
        seed: Of all that is drawn.

    Raises:
        UserError: A setting is out of its range, or both change nothing.
    """

    def __init__(
        self, copies: int = 4, scale: float = 0.1, swap: float = 0.05, seed: int = 0
    ) -> None:
        super().__init__(copies, seed)
        self.scale = number("scale", scale, at_least=0)
        self.swap = number("swap", swap, at_least=0, at_most=1)
        if not self.scale and not self.swap:
            raise UserError("synthetic.scale=0 and synthetic.swap=0 change nothing: set either")

    def made(
        self,
        records: TableRecords,
        inputs: NDArray[np.float32],
        own: NDArray[np.int64],
        random: np.random.Generator,
    ) -> dict[str, NDArray[Any]]:
        """[made rows] the cells of each column; missing ones stay so."""
        made: dict[str, NDArray[Any]] = {}
        for column, cells in records.frame.items():
            before = cells.to_numpy()[own]
            known = cells.dropna()
            if is_measured(cells):
                moved = before + random.normal(scale=self.scale * known.std(), size=len(own))
                made[str(column)] = as_whole(moved, cells)
            elif len(known):
                drawn = known.to_numpy()[random.integers(0, len(known), len(own))]
                swapped = (random.random(len(own)) < self.swap) & cells.notna().to_numpy()[own]
                made[str(column)] = np.where(swapped, drawn, before)
            else:
                made[str(column)] = before
        return made
