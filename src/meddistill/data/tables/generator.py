"""What ways of making rows of training rows have in common."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from meddistill.data.tables.records import TableRecords
from meddistill.errors import SettingError, integer
from meddistill.once import NOTE
from meddistill.runs.runfolder import is_main_process
from meddistill.seeding import derive

log = logging.getLogger(__name__)


class Generator(ABC):
    """Makes rows of training rows, for a teacher to answer.

    A made row is a child of one training row. It holds categories and values between the ends of
    ranges that training rows have, and whole numbers where they do.

    Args:
        copies: Rows made of each training row, at least 1.
        seed: Of all that is drawn.

    Raises:
        SettingError: A setting is out of its range.
    """

    reads = "tables"

    def __init__(self, copies: int, seed: int) -> None:
        self.copies = integer("copies", copies, at_least=1)
        self.seed = integer("seed", seed)

    @property
    def name(self) -> str:
        """What it is called in the config."""
        return type(self).__name__.lower()

    def __call__(self, records: TableRecords, inputs: NDArray[np.float32]) -> TableRecords:
        """New rows, `copies` times as many: all rows' first children, then their second ones.

        Args:
            records: [rows] prepared training rows.
            inputs: [rows, ...] the same as a network reads them.

        Raises:
            SettingError: There is nothing in these rows that it can change.
        """
        own = np.tile(np.arange(len(records)), self.copies)
        random = np.random.default_rng(derive(self.seed, self.name))
        frame = records.frame
        made = self.made(records, inputs, own, random)
        share = changed(frame.iloc[own], made)
        if not share:
            raise SettingError(
                "synthetic", self.name, "changes no cell of these rows: what it would change is "
                "alike in all of them, or absent: take another, or synthetic=none",
            )  # fmt: skip
        if is_main_process():
            log.info("synthetic=%s: %.0f %% of the cells are not those of the row it was made of",
                     self.name, 100 * share, **NOTE)  # fmt: skip
        return TableRecords(pd.DataFrame(made, columns=frame.columns), records.schema)

    @abstractmethod
    def made(
        self,
        records: TableRecords,
        inputs: NDArray[np.float32],
        own: NDArray[np.int64],
        random: np.random.Generator,
    ) -> dict[str, NDArray[Any]]:
        """[made rows] the cells of each column.

        Args:
            records: [rows] prepared training rows.
            inputs: [rows, ...] the same as a network reads them.
            own: [made rows] the row that each is made of.
            random: What it draws from.
        """


def changed(parents: pd.DataFrame, made: dict[str, NDArray[Any]]) -> float:
    """The share of cells that are not those of the rows they were made of."""
    if not made:
        return 0.0
    shares = []
    for column, cells in made.items():
        before, after = parents[column].to_numpy(), pd.Series(cells)
        shares.append(1 - ((after == before) | (after.isna() & pd.isna(before))).mean())
    return float(np.mean(shares))


def is_measured(cells: pd.Series[Any]) -> bool:
    """Whether a column is of numbers with more than two values: others are as categories are."""
    return cells.dtype.kind == "f" and cells.nunique() > 2


def as_whole(numbers: NDArray[np.float64], like: pd.Series[Any]) -> NDArray[np.float64]:
    """Numbers within the range of a column, and whole ones where all of its are."""
    known = like.dropna()
    inside: NDArray[np.float64] = np.clip(numbers, known.min(), known.max())
    return np.round(inside) if (known % 1 == 0).all() else inside
