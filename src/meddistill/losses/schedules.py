"""Settings of a loss that change from epoch to epoch.

An epoch's value depends on its number alone, so that a resumed run goes on as it would have gone.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

from meddistill.errors import SettingError, integer, number


class Schedule(ABC):
    """From an epoch's number, counted from 0, to a setting's value."""

    @abstractmethod
    def at(self, epoch: int) -> float:
        """The value in an epoch."""

    @property
    @abstractmethod
    def turns(self) -> Sequence[int]:
        """Epochs between which the value moves one way: if it is allowed there, it always is."""


class Linear(Schedule):
    """A straight line from `start` in epoch 0 to `end` in epoch `epochs`, then level.

    Args:
        start: First value.
        end: Last value.
        epochs: Epochs that it takes, at least 1.
    """

    def __init__(self, start: float, end: float, epochs: int) -> None:
        self.start, self.end = number("start", start), number("end", end)
        self.epochs = integer("epochs", epochs, at_least=1)

    @property
    def turns(self) -> Sequence[int]:
        """Both ends."""
        return [0, self.epochs]

    def at(self, epoch: int) -> float:
        """The value in an epoch."""
        return self.start + (self.end - self.start) * self.share(min(1.0, epoch / self.epochs))

    def share(self, done: float) -> float:
        """Share of the way after a share of the epochs."""
        return done


class Cosine(Linear):
    """The same along half a cosine, slow at both ends (Loshchilov and Hutter 2017, 1608.03983)."""

    def share(self, done: float) -> float:
        """Share of the way after a share of the epochs."""
        return (1 - math.cos(math.pi * done)) / 2


class Steps(Schedule):
    """One value after the other, the last for good.

    Args:
        values: The values.
        every: Epochs for each, at least 1.
    """

    def __init__(self, values: Sequence[float], every: int) -> None:
        if not values:
            raise SettingError("values", values, "must name at least one value")
        self.values = [number("values", value) for value in values]
        self.every = integer("every", every, at_least=1)

    @property
    def turns(self) -> Sequence[int]:
        """The first epoch of each value."""
        return [step * self.every for step in range(len(self.values))]

    def at(self, epoch: int) -> float:
        """The value in an epoch."""
        return self.values[min(epoch // self.every, len(self.values) - 1)]
