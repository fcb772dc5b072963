"""What the preprocessings of series share: reading new rows, and saying what is odd of them."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from meddistill.data.series.reading import read_records
from meddistill.data.series.records import SeriesRecords
from meddistill.data.series.scales import Scales
from meddistill.data.series.static_inputs import StaticInputs, recoded
from meddistill.errors import listed
from meddistill.files.atomic import write_atomically

log = logging.getLogger(__name__)
VERSION = 1
FAR = 10
"""A value is far off from as many widths of the training range beyond its ends."""


class SeriesPreprocessing:
    """Scales of the variables, and static columns as inputs.

    Args:
        spec: Of the training records.
        scales: Of the variables.
        statics: Static columns as inputs.
    """

    method: ClassVar[str]

    def __init__(self, spec: dict[str, Any], scales: Scales, statics: StaticInputs) -> None:
        self.spec, self.scales, self.statics = spec, scales, statics

    def read(self, raw: Any) -> SeriesRecords:
        """New rows, or records, with the variables, static columns and steps of training."""
        return self.fitting(read_records(raw, self.spec))

    def fitting(self, records: SeriesRecords) -> SeriesRecords:
        """Records whose categories and number of steps are those of training; mostly themselves."""
        if (
            records.categories == self.statics.codes
            and records.block.shape[1] == self.spec["steps"]
        ):
            return records
        block = _of_length(records.block, self.spec["steps"])
        first = 1 + len(records.variables)
        pairs = zip(records.categories, self.statics.codes, strict=True)
        for place, (names, wanted) in enumerate(pairs, first):
            if names is not None and wanted is not None:
                block[:, :, place] = recoded(block[:, :, place], names, wanted)
        return replace(records, block=block, categories=self.statics.codes)

    def warn(self, records: SeriesRecords) -> None:
        """Say which rows have no value, and which variables are far off what training had."""
        empty = np.flatnonzero(np.isnan(records.values).all(axis=(1, 2)))
        if len(empty):
            log.warning(
                "%d row(s) without any value, first row %d: answered by what is left",
                len(empty), empty[0],
            )  # fmt: skip
        far = [name for name, odd in zip(records.variables, self._far(records), strict=True) if odd]
        if far:
            log.warning("values far off those of training in %s: cut off at its ends", listed(far))

    def _far(self, records: SeriesRecords) -> NDArray[np.bool_]:
        """[V] whether a value is far beyond the training range."""
        low, high, known = (
            t.numpy() for t in (self.scales.low, self.scales.high, self.scales.known)
        )
        width = np.where(known & (high > low), FAR * (high - low), np.inf)
        values = records.values.reshape(-1, len(records.variables))
        lowest = np.fmin.reduce(values, axis=0, initial=np.nan)
        highest = np.fmax.reduce(values, axis=0, initial=np.nan)
        far: NDArray[np.bool_] = (low - lowest > width) | (highest - high > width)
        return far

    def as_plain(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "variables": self.scales.as_plain(self.spec["variables"]),
            "statics": self.statics.as_plain(),
        }

    def save(self, path: Path) -> None:
        """Write to `path` (JSON), whole or not at all."""
        plain = {"version": VERSION, "method": self.method, **self.as_plain()}
        text = json.dumps(plain, indent=1, ensure_ascii=False, allow_nan=False)
        write_atomically(path, text + "\n")


def _of_length(block: NDArray[np.float32], steps: int) -> NDArray[np.float32]:
    """A copy padded to so many steps; of longer series the last ones are kept."""
    rows, length, width = block.shape
    fitted = np.full((rows, steps, width), np.nan, dtype=np.float32)
    if length <= steps:
        fitted[:, :length] = block
        return fitted
    real = (~np.isnan(block[:, :, 0])).sum(axis=1)
    first = np.maximum(real - steps, 0)
    place = first[:, None] + np.arange(steps)
    fitted[:] = np.take_along_axis(block, place[:, :, None], axis=1)
    return fitted
