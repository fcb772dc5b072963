"""Rows by Gibbs sampling from training rows, for a teacher to answer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from meddistill.data.tables.conditional import Codes, Conditional
from meddistill.data.tables.generator import Generator
from meddistill.data.tables.records import TableRecords
from meddistill.errors import integer


class Gibbs(Generator):
    """Gibbs sampling: each cell in turn is drawn anew, given all other cells of its row.

    After Fakoor, Mueller, Erickson, Chaudhari and Smola 2020, Fast, Accurate, and Simple Models for
    Tabular Data via Augmented Distillation, arXiv:2006.14284. There a network of self-attention
    says what a column is given the others; here trees do (`Conditional`).

    Chains begin at training rows and are short, so that rows stay near to real ones. Missing cells
    stay missing.

    Args:
        copies: Rows made of each training row, at least 1.
        rounds: How often every column is drawn, at least 1.
        trees: Trees a column; each cell is drawn by one of them.
        leaf: Rows that a leaf has at least, of the half by which its tree was grown.
        seed: Of all that is drawn.

    Raises:
        SettingError: A setting is out of its range.
    """

    def __init__(
        self, copies: int = 4, rounds: int = 1, trees: int = 5, leaf: int = 5, seed: int = 0
    ) -> None:
        super().__init__(copies, seed)
        self.rounds = integer("rounds", rounds, at_least=1)
        self.trees = integer("trees", trees, at_least=1)
        self.leaf = integer("leaf", leaf, at_least=1)

    def made(
        self,
        records: TableRecords,
        inputs: NDArray[np.float32],
        own: NDArray[np.int64],
        random: np.random.Generator,
    ) -> dict[str, NDArray[Any]]:
        """[made rows] the cells of each column."""
        frame = records.frame
        values = {str(column): np.unique(cells.dropna()) for column, cells in frame.items()}
        codes = encoded(frame, values)
        chains = codes[own]
        self.sample(codes, [cells.dtype.kind != "f" for _, cells in frame.items()], chains, random)
        return {
            column: _decoded(chains[:, place], found, frame[column])
            for place, (column, found) in enumerate(values.items())
        }

    def sample(
        self, codes: Codes, classes: list[bool], chains: Codes, random: np.random.Generator
    ) -> None:
        """Move `chains`, rows as `codes` are, by `rounds`, in place.

        Args:
            codes: Training rows.
            classes: [columns] whether a column's cells have no order.
            chains: Where the chains begin.
            random: What is drawn from.
        """
        fitted = [
            Conditional(codes, column, classes[column], self.trees, self.leaf, random)
            for column in range(codes.shape[1])
            if len(np.unique(codes[~np.isnan(codes[:, column]), column])) > 1
        ]
        for _ in range(self.rounds):
            for place in random.permutation(len(fitted)):
                fitted[place].redraw(chains, random)


def encoded(frame: pd.DataFrame, values: dict[str, NDArray[Any]]) -> Codes:
    """Rows as codes, the places of their cells among the `values` of each column."""
    codes = np.full(frame.shape, np.nan, dtype=np.float32)
    for place, (column, found) in enumerate(values.items()):
        known = frame[column].notna().to_numpy()
        codes[known, place] = np.searchsorted(found, frame[column].to_numpy()[known])
    return codes


def _decoded(codes: Codes, values: NDArray[Any], like: pd.Series[Any]) -> NDArray[Any]:
    """[rows] the cells of codes [rows], missing ones as they are in the column."""
    cells = np.full(len(codes), np.nan, dtype=like.to_numpy().dtype)
    known = ~np.isnan(codes)
    cells[known] = values[codes[known].astype(np.int64)]
    return cells
