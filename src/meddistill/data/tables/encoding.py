"""Numbers and categories as a network's inputs: a fitted preprocessing as plain arrays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from meddistill.data.tables.blocks import Categories, Floats
from meddistill.data.tables.schema import Schema

Inputs = NDArray[np.float32]

FURTHEST = 1e6
"""Standard deviations at which an input is cut off, so that no cell makes an answer infinite.

No row of n is further than the square root of n from their mean: in training nothing is cut.
"""
FAR = 10
"""A number is far off from as many widths of the training range beyond its ends."""
FEWEST_LOST = 10
"""Rows from which on a column without one known category is spelled otherwise, not unusual."""
ROWS_IN_CACHE = 2048
"""Rows worked out at once: twice as fast as arrays that the processor's cache doesn't hold."""


@dataclass(frozen=True)
class NumberInputs:
    """Numbers filled up, centred and scaled; then 0 or 1 for empty cells, likewise.

    Attributes:
        columns: Names.
        known: [columns] whether enough patients had a number; a column without is not read.
        fill: [columns] what an empty cell is filled with: the median, or everywhere the mean.
        mean: [columns] of the filled training cells.
        scale: [columns] their standard deviation, 1 where it is 0.
        lowest: [columns] lower end of the training range.
        highest: [columns] upper end of the training range.
        flagged: [flags] places of columns whose empty cells have an input of their own.
        flag_mean: [flags] what is taken from 0 or 1.
        flag_scale: [flags] what the rest is divided by.
        flag_share: [flags] share of empty training cells, 0 where too few patients have one.
    """

    columns: tuple[str, ...]
    known: NDArray[np.bool_]
    fill: Floats
    mean: Floats
    scale: Floats
    lowest: Floats
    highest: Floats
    flagged: NDArray[np.intp]
    flag_mean: Floats
    flag_scale: Floats
    flag_share: Floats

    @property
    def names(self) -> list[str]:
        """[inputs] what each of them is."""
        return [*self.columns, *(f"{self.columns[place]} (missing)" for place in self.flagged)]

    @property
    def sources(self) -> list[str]:
        """[inputs] the column that each of them is of."""
        return [*self.columns, *(self.columns[place] for place in self.flagged)]

    @property
    def by_mean(self) -> bool:
        """Whether empty cells are filled with means, so that no median is kept."""
        return np.array_equal(self.fill, self.mean)

    def write(self, values: Floats, inputs: Inputs) -> None:
        """[rows, columns] numbers, NaN where empty -> [rows, inputs], in place."""
        for first in range(0, len(values), ROWS_IN_CACHE):
            part = slice(first, first + ROWS_IN_CACHE)
            self._write(values[part], inputs[part])

    def _write(self, values: Floats, inputs: Inputs) -> None:
        empty = np.isnan(values) | ~self.known
        scaled = np.where(empty, self.fill, values)
        scaled -= self.mean
        scaled /= self.scale
        width = len(self.columns)
        np.clip(scaled, -FURTHEST, FURTHEST, out=inputs[:, :width], casting="same_kind")
        if len(self.flagged):
            inputs[:, width:] = (empty[:, self.flagged] - self.flag_mean) / self.flag_scale

    @cached_property
    def _furthest(self) -> Floats:
        """[columns] how far beyond the training range a number may be; anything for one number."""
        width = self.highest - self.lowest
        return np.where(self.known & (width > 0), FAR * width, np.inf)

    @cached_property
    def two_valued(self) -> NDArray[np.bool_]:
        """[columns] whether training had two numbers alone, such as 0 and 1.

        Of all distributions with these ends and this mean theirs has the largest variance.
        """
        largest = (self.mean - self.lowest) * (self.highest - self.mean)
        width = self.highest - self.lowest
        alike = np.abs(self.scale**2 - largest) <= 1e-9 * width**2
        return self.known & (width > 0) & alike

    def outside(self, values: Floats) -> Iterator[tuple[int, NDArray[np.intp]]]:
        """Columns of [rows, columns] by place with rows whose number is odd beside training's.

        It is far beyond the training range, or below 0 where that is not, or another than the two
        there were. Nothing is far where that range is a single number, as of a rare yes or no.
        """
        lowest = np.fmin.reduce(values, axis=0, initial=np.nan)
        highest = np.fmax.reduce(values, axis=0, initial=np.nan)
        suspect = self._beyond(lowest, highest) > self._furthest
        suspect |= self.known & (lowest < 0) & (self.lowest >= 0)
        suspect |= self.two_valued & self._third(values, slice(None)).any(axis=0)
        for place in np.flatnonzero(suspect).tolist():
            column = values[:, place]
            odd = self._beyond(column, column, place) > self._furthest[place]
            odd |= (column < 0) & (self.lowest[place] >= 0)
            odd |= self.two_valued[place] & self._third(column, place)
            yield place, np.flatnonzero(odd)

    def _third(self, values: Floats, place: int | slice) -> NDArray[np.bool_]:
        """Whether numbers are neither end of the training range."""
        ends = (values == self.lowest[place]) | (values == self.highest[place])
        third: NDArray[np.bool_] = ~(ends | np.isnan(values))
        return third

    def _beyond(self, low: Floats, high: Floats, place: int | slice = slice(None)) -> Floats:
        """How far numbers are below or above the training range of the columns at `place`."""
        beyond: Floats = np.maximum(self.lowest[place] - low, high - self.highest[place])
        return beyond


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

    @property
    def sources(self) -> list[str]:
        """[inputs] the column that each of them is of."""
        counts = [len(known) + rare for known, rare in zip(self.known, self.rare, strict=True)]
        return np.repeat(np.array(self.columns, dtype=object), counts).tolist()

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

    def write(self, cells: Categories, inputs: Inputs) -> None:
        """[rows, columns] categories -> [rows, inputs], in place."""
        inputs[:] = 0
        if len(cells.codes) == 1:  # arrays take longer than a look at each cell
            codes = zip(cells.codes[0].tolist(), cells.names, self._places, strict=True)
            for code, names, (places, other) in codes:
                place = places.get(None if code < 0 else names[code], other)
                if place >= 0:
                    inputs[0, place] = 1
            return
        for column, (places, other) in enumerate(self._places):
            every = [places.get(name, other) for name in (*cells.names[column], None)]
            found = np.array(every)[cells.codes[:, column]]  # -1, an empty cell, is the last
            rows = np.flatnonzero(found >= 0)
            inputs[rows, found[rows]] = 1

    def lost(self, cells: Categories) -> Iterator[tuple[str, int]]:
        """Columns of which many cells are filled and none is known, and the first such row."""
        if len(cells.codes) < FEWEST_LOST:
            return
        for place, (name, known) in enumerate(zip(self.columns, self.known, strict=True)):
            words = set(known) - {None}
            if words and words.isdisjoint(cells.names[place]):
                filled = np.flatnonzero(cells.codes[:, place] >= 0)
                if len(filled) >= FEWEST_LOST:
                    yield name, int(filled[0])

    def unknown(self, cells: Categories) -> Iterator[tuple[str, int, int]]:
        """Columns with categories that have no input of their own: how many rows, the first."""
        for place, (name, (places, _)) in enumerate(zip(self.columns, self._places, strict=True)):
            names = cells.names[place]
            if all(name in places for name in names):
                continue
            odd = np.array([*(name not in places for name in names), False])
            rows = np.flatnonzero(odd[cells.codes[:, place]])
            if len(rows):
                yield name, len(rows), int(rows[0])


class Fitted(NamedTuple):
    """What training rows have taught, together."""

    schema: Schema
    numbers: NumberInputs
    categories: CategoryInputs
