"""Numbers and categories as a network's inputs: a fitted preprocessing as plain arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Inputs = NDArray[np.float32]

FURTHEST = 1e6
"""Standard deviations at which an input is cut off, so that no cell makes an answer infinite.

No row of n is further than the square root of n from their mean: in training nothing is cut.
"""
FAR = 10
"""A number is far off from as many widths of the training range beyond its ends."""
FEWEST_LOST = 10
"""Rows from which on a column without one known category is spelled otherwise, not unusual."""


@dataclass(frozen=True)
class NumberInputs:
    """Numbers filled up by medians, centred and scaled; then 0 or 1 for empty cells, likewise.

    Attributes:
        columns: Names.
        known: [columns] whether enough patients had a number; a column without is not read.
        median: [columns] what an empty cell is filled with.
        mean: [columns] of the filled training cells.
        scale: [columns] their standard deviation, 1 where it is 0.
        lowest: [columns] lower end of the training range.
        highest: [columns] upper end of the training range.
        flagged: [flags] places of columns whose empty cells have an input of their own.
        flag_mean: [flags] share of empty training cells.
        flag_scale: [flags] standard deviation of 0 and 1 there.
    """

    columns: tuple[str, ...]
    known: NDArray[np.bool_]
    median: Floats
    mean: Floats
    scale: Floats
    lowest: Floats
    highest: Floats
    flagged: NDArray[np.intp]
    flag_mean: Floats
    flag_scale: Floats

    @property
    def names(self) -> list[str]:
        """[inputs] what each of them is."""
        return [*self.columns, *(f"{self.columns[place]} (missing)" for place in self.flagged)]

    def write(self, values: Floats, inputs: Inputs) -> None:
        """[rows, columns] numbers, NaN where empty -> [rows, inputs], in place."""
        empty = np.isnan(values) | ~self.known
        scaled = np.where(empty, self.median, values)
        scaled -= self.mean
        scaled /= self.scale
        width = len(self.columns)
        np.clip(scaled, -FURTHEST, FURTHEST, out=inputs[:, :width], casting="same_kind")
        if len(self.flagged):
            inputs[:, width:] = (empty[:, self.flagged] - self.flag_mean) / self.flag_scale

    def far_off(self, values: Floats) -> NDArray[np.bool_]:
        """[rows, columns] which numbers lie far outside the training range.

        None does where that is a single number, as of a rare yes or no.
        """
        width = self.highest - self.lowest
        beyond = np.maximum(self.lowest - values, values - self.highest)
        far: NDArray[np.bool_] = beyond > np.where(self.known & (width > 0), FAR * width, np.inf)
        return far


@dataclass(frozen=True)
class CategoryInputs:
    """Categories as one input of 0 and 1 for each that is known, and one that the rare ones share.

    Attributes:
        columns: Names.
        known: [columns] the categories with an input of their own, None for the empty cell.
        rare: [columns] whether there is an input for all others; they are zeros without it.
    """

    columns: tuple[str, ...]
    known: tuple[tuple[str | None, ...], ...]
    rare: tuple[bool, ...]

    @property
    def names(self) -> list[str]:
        """[inputs] what each of them is."""
        named = []
        for column, known, rare in zip(self.columns, self.known, self.rare, strict=True):
            named += [f"{column} (missing)" if k is None else f"{column}={k}" for k in known]
            named += [f"{column} (rare)"] if rare else []
        return named

    @cached_property
    def _places(self) -> list[tuple[dict[str | None, int], int]]:
        """[columns] input of each known category, and of all others, where -1 is none."""
        found, first = [], 0
        for known, rare in zip(self.known, self.rare, strict=True):
            places = {category: first + number for number, category in enumerate(known)}
            first += len(known)
            found.append((places, first if rare else -1))
            first += rare
        return found

    def write(self, cells: NDArray[np.object_], inputs: Inputs) -> None:
        """[rows, columns] categories, NaN where empty -> [rows, inputs], in place."""
        inputs[:] = 0
        if len(cells) == 1:  # pandas takes longer than all the rest
            for cell, (places, other) in zip(cells[0], self._places, strict=True):
                place = places.get(None if cell != cell else cell, other)
                if place >= 0:
                    inputs[0, place] = 1
            return
        for column, (places, other) in zip(cells.T, self._places, strict=True):
            codes, categories = pd.factorize(column)
            every = np.array([places.get(category, other) for category in (*categories, None)])
            found = every[codes]
            rows = np.flatnonzero(found >= 0)
            inputs[rows, found[rows]] = 1

    def lost(self, cells: NDArray[np.object_]) -> Iterator[tuple[str, str]]:
        """Columns of which many cells are filled and none is known, and the first such cell."""
        for column, name, known in zip(cells.T, self.columns, self.known, strict=True):
            filled = [cell for cell in column.tolist() if cell == cell]
            words = set(known) - {None}
            if words and len(filled) >= FEWEST_LOST and words.isdisjoint(filled):
                yield name, filled[0]

    def unknown(self, cells: NDArray[np.object_]) -> Iterator[tuple[str, Sequence[str]]]:
        """Columns with categories that have no input of their own, and these cells."""
        for column, name, (places, _) in zip(cells.T, self.columns, self._places, strict=True):
            found = [cell for cell in column.tolist() if cell == cell and cell not in places]
            if found:
                yield name, found
