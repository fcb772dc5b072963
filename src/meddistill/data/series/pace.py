"""When steps of training were and how far apart, by which times in another unit are told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddistill.data.patients import Patients
from meddistill.data.series.scales import FAR, finite, uncrossed


@dataclass(frozen=True)
class Pace:
    """Times of training rows.

    Attributes:
        earliest: Of the steps, that as many patients reach as privacy asks for.
        latest: Likewise.
        shortest: Time from the first step to the last that so many patients don't exceed.
        stride: Median of rows of the mean time between two steps; 0 where too few have two.
    """

    earliest: float
    latest: float
    shortest: float
    stride: float

    @staticmethod
    def of(times: NDArray[np.float32], patients: Patients) -> Pace:
        """Of training rows [rows, time]."""
        ends = (float(end[0]) for end in patients.ends(*row_ends(times[:, :, None])))
        low, high = uncrossed(*ends, float(np.nanmedian(times)))
        lasting, means = spans(times)
        shortest, _ = patients.ends(lasting[:, None], lasting[:, None])
        known = patients.are_enough(~np.isnan(means))
        stride = float(np.nanmedian(means)) if known else 0.0
        return Pace(low, high, float(shortest[0]), stride)

    def strange(self, times: NDArray[np.float32]) -> Iterator[str]:
        """What is said of new rows [rows, time] whose times seem to have another unit."""
        low, high = float(np.nanmin(times)), float(np.nanmax(times))
        lasting, means = spans(times)
        away = FAR * (self.latest - self.earliest) or np.inf
        stride = float(np.nanmedian(means)) if not np.isnan(means).all() else 0.0
        known = stride * self.stride > 0
        paced = not known or 1 / FAR < stride / self.stride < FAR
        within = self.earliest - away <= low and high <= self.latest + away
        if not paced or not within or lasting.max() < self.shortest / FAR:
            yield (
                f"times far off those of training: {_said(low, high, stride)} here, "
                f"{_said(self.earliest, self.latest, self.stride)} there (is the unit right?)"
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
        names = ("earliest", "latest", "shortest", "stride")
        if not isinstance(plain, dict) or plain.keys() != {*names}:
            raise ValueError(f"'pace' must hold {', '.join(names)}")
        pace = Pace(*(finite(plain, name) for name in names))
        if pace.earliest > pace.latest or min(pace.shortest, pace.stride) < 0:
            raise ValueError("its earliest time is after its latest, or a time span below 0")
        return pace


def _said(low: float, high: float, stride: float) -> str:
    apart = f", {stride:.3g} apart" if stride else ""
    return f"{low:.5g} to {high:.5g}{apart}"


def row_ends(values: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """[rows, time, columns] -> lowest and highest [rows, columns], NaN where a row has none."""
    return np.fmin.reduce(values, axis=1), np.fmax.reduce(values, axis=1)


def spans(times: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[Any]]:
    """[rows, time] -> [rows] from the first step to the last, and the mean time between two.

    The latter is NaN where there is one step.
    """
    first, last = (end[:, 0] for end in row_ends(times[:, :, None]))
    strides = (~np.isnan(times)).sum(axis=1) - 1
    return last - first, (last - first) / np.where(strides > 0, strides, np.nan)
