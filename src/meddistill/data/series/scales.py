"""Numbers clipped at quantiles of training rows, then centred and scaled."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

LEARNED = ("low", "high", "mean", "scale")
Ends = tuple[NDArray[np.float32], NDArray[np.float32]]
FAR = 10
"""A value is far off from as many widths of the training range beyond its ends."""
LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Scales:
    """A column each; one that too few patients have is not read: `scale` is 0 there.

    Attributes:
        low: [columns] lower end, at which values are cut off.
        high: [columns] upper end.
        mean: [columns] of the clipped training values.
        scale: [columns] one by their standard deviation (1 for a constant).
    """

    low: Tensor
    high: Tensor
    mean: Tensor
    scale: Tensor

    @staticmethod
    def fit(columns: Sequence[NDArray[np.float32]], clip: float, ends: Ends) -> Scales:
        """Learn from the training values of each column, without the missing ones.

        Args:
            columns: [values] of each column; they may be of different lengths.
            clip: Share of the values that is cut off at each end.
            ends: [columns] lowest and highest that enough patients reach, NaN where too few have
                a value: what lies beyond is cut off likewise.
        """
        learned = [
            (0.0, 0.0, 0.0, 0.0) if np.isnan(low) else _learned(values, clip, low, high)
            for values, low, high in zip(columns, *ends, strict=True)
        ]
        by_name = np.array(learned, dtype=np.float32).reshape(-1, len(LEARNED)).T
        return Scales(*(torch.from_numpy(numbers.copy()) for numbers in by_name))

    @property
    def known(self) -> Tensor:
        """[columns] which are read."""
        return self.scale > 0

    def __call__(self, values: Tensor) -> Tensor:
        """[..., columns] -> the same shape; 0, the mean, where a value is missing or not read."""
        scaled = (torch.clamp(values, self.low, self.high) - self.mean) * self.scale
        return torch.where(values.isnan() | ~self.known, 0.0, scaled)

    def far(self, values: NDArray[np.float32]) -> NDArray[np.bool_]:
        """[columns] whether one of the values [..., columns] is far beyond the training range."""
        low, high, known = (each.numpy() for each in (self.low, self.high, self.known))
        width = np.where(known & (high > low), FAR * (high - low), np.inf)
        every = values.reshape(math.prod(values.shape[:-1]), len(low))
        lowest = np.fmin.reduce(every, axis=0, initial=np.nan)
        highest = np.fmax.reduce(every, axis=0, initial=np.nan)
        far: NDArray[np.bool_] = (low - lowest > width) | (highest - high > width)
        return far

    def as_plain(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """JSON values, a column each."""
        numbers = {name: getattr(self, name).tolist() for name in LEARNED}
        return [
            {"column": column, **{name: numbers[name][place] for name in LEARNED}}
            for place, column in enumerate(names)
        ]

    @staticmethod
    def from_plain(plain: Any, names: Sequence[str]) -> Scales:
        """The inverse of `as_plain`, every value checked.

        Raises:
            ValueError: A value is none that could have been fitted.
        """
        entries = plain if isinstance(plain, list) else []
        found = [entry.get("column") if isinstance(entry, dict) else None for entry in entries]
        if found != list(names):
            raise ValueError("its columns are not those of the model's schema")
        numbers = [[finite(entry, name) for entry in entries] for name in LEARNED]
        fitted = Scales(*(torch.tensor(column, dtype=torch.float32) for column in numbers))
        if bool((fitted.low > fitted.high).any()) or bool((fitted.scale < 0).any()):
            raise ValueError("a column's low is above its high, or its scale below 0")
        return fitted


def _learned(
    values: NDArray[np.float32], clip: float, lowest: float, highest: float
) -> tuple[float, float, float, float]:
    low, middle, high = np.quantile(values, [clip, 0.5, 1 - clip], method="nearest").tolist()
    low, high = uncrossed(max(low, lowest), min(high, highest), middle)
    clipped = np.clip(values, low, high).astype(np.float64)
    deviation = float(clipped.std())
    return low, high, float(clipped.mean()), 1 / deviation if deviation > 1e-12 else 1.0


def uncrossed(low: float, high: float, middle: float) -> tuple[float, float]:
    """Ends of a range; of so few patients that they cross only the middle is not a single one's."""
    return (low, high) if low <= high else (middle, middle)


def finite(entry: Mapping[str, Any], name: str) -> float:
    """A finite number of an entry in a file.

    Raises:
        ValueError: It is none.
    """
    value: Any = entry.get(name)
    if type(value) not in (int, float) or not abs(value) <= LARGEST:
        raise ValueError(f"{name}={value!r:.40} is no finite number of float32")
    return float(value)
