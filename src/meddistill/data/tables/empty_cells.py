"""What a table's empty cells become, and how many more are hidden in training (`missing=...`)."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from meddistill.data.tables.blocks import Floats
from meddistill.data.tables.filled import FilledPreprocessing, Filler, scaled_numbers
from meddistill.data.tables.fitting import fit_preprocessing
from meddistill.data.tables.iterative import Regressions, fit_regressions
from meddistill.data.tables.knn import Neighbours
from meddistill.data.tables.preprocessing import TablePreprocessing
from meddistill.data.tables.records import TableRecords
from meddistill.errors import SettingError, integer, number

FILLERS: dict[str, type[Filler]] = {each.name: each for each in (Regressions, Neighbours)}
"""By the names that their files have."""
MOST_COLUMNS = 300
"""Columns of numbers for which there may be a regression each on all others."""
CLOSE = 1e-6
"""Standard deviations by which sums in another order may differ from scikit-learn's."""


class Median:
    """A column's median, and beside it an indicator where enough training rows lack it.

    Args:
        hide: Share of a training row's known cells that are hidden from the student, on average.
    """

    reads: ClassVar[str] = "tables"
    usual: ClassVar[bool] = True

    def __init__(self, hide: float = 0.0) -> None:
        self.hide = number("hide", hide, at_least=0, at_most=0.9)

    def fit(
        self, records: TableRecords, fewest: int, group: NDArray[Any] | None
    ) -> TablePreprocessing:
        """Learn from training rows."""
        return fit_preprocessing(records.schema, records.cells, fewest, group)


class Native(Median):
    """0 once the other numbers are centred and scaled, and beside each column its mask.

    Args:
        hide: As for `Median`.
    """

    usual = False

    def fit(
        self, records: TableRecords, fewest: int, group: NDArray[Any] | None
    ) -> TablePreprocessing:
        """Learn from training rows."""
        return fit_preprocessing(records.schema, records.cells, fewest, group, masked=True)


class Iterative(Native):
    """By regressions on the row's other numbers; beside each column its mask.

    Args:
        hide: As for `Median`.
        max_iter: Rounds over all columns, at most.
        most_rows: Training rows that they are fitted on; with more, as many drawn at random.
    """

    def __init__(self, hide: float = 0.0, max_iter: int = 5, most_rows: int = 2000) -> None:
        super().__init__(hide)
        self.max_iter = integer("max_iter", max_iter, at_least=1)
        self.most_rows = integer("most_rows", most_rows, at_least=2)

    def fit(
        self, records: TableRecords, fewest: int, group: NDArray[Any] | None
    ) -> TablePreprocessing:
        """Learn from training rows."""
        usual = super().fit(records, fewest, group)
        scaled = scaled_numbers(usual.numbers, records.cells.numbers)
        if scaled.shape[1] > MOST_COLUMNS:
            raise SettingError(
                "missing", "iterative", f"a regression for each of {scaled.shape[1]} columns of "
                f"numbers on all others takes too long ({MOST_COLUMNS} at most): take "
                "missing=native, or fewer columns (data.drop)",
            )  # fmt: skip
        numbers = usual.numbers
        lowest, highest = scaled_numbers(numbers, np.stack([numbers.lowest, numbers.highest]))
        highest = np.maximum(highest, np.nextafter(lowest, np.inf))  # a range is no single number
        scaled = _some(scaled, self.most_rows)
        filler, expected = fit_regressions(scaled, lowest, highest, self.max_iter)
        if not np.allclose(filler(scaled), expected, rtol=0, atol=CLOSE):
            raise RuntimeError(
                "empty cells of training rows are filled otherwise than by scikit-learn, which is "
                "a fault of meddistill: please report it"
            )
        return FilledPreprocessing(records.schema, numbers, usual.categories, filler)


class Knn(Native):
    """By the mean of the nearest training rows; beside each column its mask.

    The model then holds training rows: it is not exported unless they may be handed on.

    Args:
        hide: As for `Median`.
        n_neighbors: Rows that are averaged.
        most_rows: Training rows among which they are found; with more, as many drawn at random.
    """

    def __init__(self, hide: float = 0.0, n_neighbors: int = 5, most_rows: int = 1000) -> None:
        super().__init__(hide)
        self.n_neighbors = integer("n_neighbors", n_neighbors, at_least=1)
        self.most_rows = integer("most_rows", most_rows, at_least=n_neighbors)

    def fit(
        self, records: TableRecords, fewest: int, group: NDArray[Any] | None
    ) -> TablePreprocessing:
        """Learn from training rows."""
        usual = super().fit(records, fewest, group)
        scaled = scaled_numbers(usual.numbers, records.cells.numbers)
        filler = Neighbours(_some(scaled, self.most_rows), self.n_neighbors)
        return FilledPreprocessing(records.schema, usual.numbers, usual.categories, filler)


def _some(rows: Floats, most: int) -> Floats:
    """Rows [rows, columns], or as many of them as may be."""
    if len(rows) <= most:
        return rows
    chosen = np.random.default_rng(0).choice(len(rows), most, replace=False)
    return rows[np.sort(chosen)]
