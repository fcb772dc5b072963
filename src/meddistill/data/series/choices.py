"""The preprocessings of series to choose from, before they are fitted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from meddistill.data.patients import Patients
from meddistill.data.series.channels import ChannelInputs
from meddistill.data.series.fitting import fit_channels, fit_summary
from meddistill.data.series.records import SeriesRecords
from meddistill.data.series.summary import STATISTICS, SummaryInputs
from meddistill.errors import SettingError, number

USUAL = ("mean", "min", "max", "last", "observed")


class Channels:
    """Each step's values, whether they were observed, and the time since.

    Args:
        clip: Share of a variable's training values cut off at each end, where impossible ones lie.
        mask: Whether the network sees which cells were observed and for how long a value is old.
            How often a test was ordered predicts as well as its result: without the mask is what
            the results alone say.
    """

    reads: ClassVar[str] = "series"

    def __init__(self, clip: float = 0.001, mask: bool = True) -> None:
        self.clip = number("clip", clip, at_least=0, at_most=0.1)
        self.mask = _truth("mask", mask)

    def fit(
        self, records: SeriesRecords, fewest: int = 1, group: NDArray[np.object_] | None = None
    ) -> ChannelInputs:
        """Learn from training rows."""
        patients = Patients.of(len(records), fewest, group)
        return fit_channels(records, patients, self.clip, self.mask)


class Summary:
    """What each variable came to over a row's steps, for networks and estimators of vectors.

    Args:
        clip: Share of a variable's training values cut off at each end, where impossible ones lie.
        statistics: Which of mean, min, max, first, last, slope (least squares, a unit of time) and
            observed (share of the steps). How often a test was ordered predicts as well as its
            result: without `observed` is what the results alone say.
    """

    reads: ClassVar[str] = "series"

    def __init__(self, clip: float = 0.001, statistics: Sequence[str] = USUAL) -> None:
        self.clip = number("clip", clip, at_least=0, at_most=0.1)
        self.statistics = tuple(statistics)
        wrong = [name for name in self.statistics if name not in STATISTICS]
        if wrong or not self.statistics or len(set(self.statistics)) < len(self.statistics):
            raise SettingError(
                "statistics", statistics, f"must be of {list(STATISTICS)}, each once"
            )

    def fit(
        self, records: SeriesRecords, fewest: int = 1, group: NDArray[np.object_] | None = None
    ) -> SummaryInputs:
        """Learn from training rows."""
        patients = Patients.of(len(records), fewest, group)
        return fit_summary(records, patients, self.clip, self.statistics)


def _truth(key: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise SettingError(key, value, "must be true or false")
    return value
