"""When steps of training were and how far apart, by which times in another unit are told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddistill.data.patients import Patients
from meddistill.data.series.scales import FAR, finite, uncrossed

MANY = 4
"""Standard deviations of a count that no chance explains."""


@dataclass(frozen=True)
class Pace:
    """Times of training rows.

    Attributes:
        earliest: Of the steps, that as many patients reach as privacy asks for.
        latest: Likewise.
        single: Share of rows that have one step.
        stride: Median of rows of the mean time between two steps; 0 where too few have two.
    """

    earliest: float
    latest: float
    single: float
    stride: float

    @staticmethod
    def of(times: NDArray[np.float32], patients: Patients) -> Pace:
        """Of training rows [rows, time]."""
        low, high = (float(end[0]) for end in patients.ends(*row_ends(times[:, :, None])))
        low, high = uncrossed(low, high, float(np.nanmedian(times)))
        means = mean_strides(times)
        one = np.isnan(means)
        single = float(one.mean()) if patients.are_enough(one) else 0.0
        stride = float(np.nanmedian(means)) if patients.are_enough(~one) else 0.0
        return Pace(low, high, single, stride)

    def strange(self, times: NDArray[np.float32]) -> Iterator[str]:
        """What is said of new rows [rows, time] whose times seem to have another unit."""
        low, high = float(np.nanmin(times)), float(np.nanmax(times))
        away = FAR * (self.latest - self.earliest) or np.inf
        means = mean_strides(times)
        one = np.isnan(means)
        stride = 0.0 if one.all() else float(np.nanmedian(means))
        known = stride * self.stride > 0
        paced = not known or 1 / FAR < stride / self.stride < FAR
        if not paced or low < self.earliest - away or high > self.latest + away:
            yield (
                f"times far off those of training: {_said(low, high, stride)} here, "
                f"{_said(self.earliest, self.latest, self.stride)} there (is the unit right?)"
            )
        deviation = np.sqrt(len(one) * self.single * (1 - self.single))
        if one.sum() - len(one) * self.single > max(1, MANY * deviation):
            yield (
                f"{one.sum()} of {len(one)} row(s) have a single step, and {self.single:.0%} had "
                "in training (is the unit of times right, and data.until counted in it?)"
            )

    def as_plain(self) -> dict[str, float]:
        """JSON values."""
        return asdict(self)

    @staticmethod
    def from_plain(plain: Any) -> Pace:
        """The inverse of `as_plain`, every value checked.

        Raises:
            ValueError: A value is none that could have been fitted.
        """
        names = ("earliest", "latest", "single", "stride")
        if not isinstance(plain, dict) or plain.keys() != {*names}:
            raise ValueError(f"'pace' must hold {', '.join(names)}")
        pace = Pace(*(finite(plain, name) for name in names))
        if pace.earliest > pace.latest or min(pace.single, pace.stride) < 0 or pace.single > 1:
            raise ValueError("its pace is none: a time, a stride or a share is out of range")
        return pace


def _said(low: float, high: float, stride: float) -> str:
    apart = f", {stride:.3g} apart" if stride else ""
    return f"{low:.5g} to {high:.5g}{apart}"


def row_ends(values: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """[rows, time, columns] -> lowest and highest [rows, columns], NaN where a row has none."""
    return np.fmin.reduce(values, axis=1), np.fmax.reduce(values, axis=1)


def mean_strides(times: NDArray[np.float32]) -> NDArray[Any]:
    """[rows, time] -> [rows] the mean time between two steps, NaN where there is one step."""
    first, last = (end[:, 0] for end in row_ends(times[:, :, None]))
    strides = (~np.isnan(times)).sum(axis=1) - 1
    means: NDArray[Any] = (last - first) / np.where(strides > 0, strides, np.nan)
    return means
