"""Rows made of training rows, for a teacher to answer."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from meddistill.data.tables.generator import Generator
from meddistill.data.tables.records import TableRecords
from meddistill.errors import integer, number

CANDIDATES = 10_000
"""Rows among which neighbours are looked for, drawn where there are more: distances grow by the
square of the rows."""


class Munge(Generator):
    """MUNGE: rows in which some cells are those of a similar row.

    After Bucilua, Caruana and Niculescu-Mizil 2006, Model Compression, doi:10.1145/1150402.1150464.
    There a number is drawn around the similar row's; here it is taken as it is, so that a cell
    holds what such cells hold: whole numbers stay whole, and it is missing as often.

    Args:
        copies: Rows made of each training row, at least 1.
        exchange: Probability that a cell is the similar row's, above 0 and at most 0.5, where a row
            is as much the one as the other.
        neighbours: The similar row is drawn from so many nearest ones, by the Euclidean distance of
            preprocessed inputs; the paper takes the nearest.
        seed: Of all that is drawn.

    Raises:
        SettingError: A setting is out of its range.
    """

    def __init__(
        self, copies: int = 4, exchange: float = 0.25, neighbours: int = 1, seed: int = 0
    ) -> None:
        super().__init__(copies, seed)
        self.exchange = number("exchange", exchange, above=0, at_most=0.5)
        self.neighbours = integer("neighbours", neighbours, at_least=1)

    def made(
        self,
        records: TableRecords,
        inputs: NDArray[np.float32],
        own: NDArray[np.int64],
        random: np.random.Generator,
    ) -> dict[str, NDArray[Any]]:
        """[made rows] the cells of each column."""
        similar = self._similar(inputs.reshape(len(inputs), -1), random)
        other = similar[own, random.integers(0, similar.shape[1], len(own))]
        made: dict[str, NDArray[Any]] = {}
        for column, values in records.frame.items():
            cells = values.to_numpy()
            exchanged = random.random(len(own)) < self.exchange
            made[str(column)] = np.where(exchanged, cells[other], cells[own])
        return made

    def _similar(
        self, inputs: NDArray[np.float32], random: np.random.Generator
    ) -> NDArray[np.int64]:
        """[rows, neighbours] places of the nearest rows that differ; a row's own if none does."""
        keys = np.unique(inputs, axis=0, return_inverse=True)[1].ravel()  # equal for copies
        drawn = random.permutation(len(inputs))[:CANDIDATES]
        places = drawn[np.unique(keys[drawn], return_index=True)[1]]
        wanted = min(self.neighbours, len(places) - 1)
        if not wanted:
            return np.arange(len(inputs))[:, None]
        search = NearestNeighbors(n_neighbors=wanted + 1).fit(inputs[places])
        found = places[search.kneighbors(inputs, return_distance=False)]
        itself = keys[found] == keys[:, None]
        nearest = np.argsort(itself, axis=1, kind="stable")[:, :wanted]
        similar: NDArray[np.int64] = np.take_along_axis(found, nearest, axis=1)
        return similar
