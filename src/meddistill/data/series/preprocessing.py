"""What the preprocessings of series share: reading new rows, and saying what is odd of them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from meddistill.data.preprocessing import Preprocessing
from meddistill.data.records import Records
from meddistill.data.series.pace import Pace
from meddistill.data.series.reading import read_records
from meddistill.data.series.records import SeriesRecords
from meddistill.data.series.remarks import Fitted, lost, remarks
from meddistill.data.series.scales import Scales
from meddistill.data.series.static_inputs import StaticInputs, recoded
from meddistill.files.atomic import write_atomically

log = logging.getLogger(__name__)
VERSION = 1


class SeriesPreprocessing(Preprocessing):
    """Scales of the variables, and static columns as inputs.

    Args:
        spec: Of the training records.
        scales: Of the variables.
        statics: Static columns as inputs.
        pace: When the steps of training were.
    """

    method: ClassVar[str]

    def __init__(
        self, spec: dict[str, Any], scales: Scales, statics: StaticInputs, pace: Pace
    ) -> None:
        self.spec, self.scales, self.statics, self.pace = spec, scales, statics, pace

    @property
    def _fitted(self) -> Fitted:
        return Fitted(self.spec, self.scales, self.statics, self.pace)

    def read(self, raw: Any) -> SeriesRecords:
        """New rows, or records, with the variables, static columns and steps of training.

        Raises:
            UserError: Something of them doesn't fit, which is named.
        """
        return self.matched(read_records(raw, self.spec))

    def matched(self, records: SeriesRecords) -> SeriesRecords:
        """Records whose categories and number of steps are those of training; mostly themselves."""
        if (
            records.categories == self.statics.codes
            and records.block.shape[1] == self.spec["steps"]
        ):
            return records
        for remark in lost(self._fitted, records):
            log.warning("%s", remark)
        block = _of_length(records.block, self.spec["steps"])
        first = 1 + len(records.variables)
        pairs = zip(records.categories, self.statics.codes, strict=True)
        for place, (names, wanted) in enumerate(pairs, first):
            if names is not None and wanted is not None:
                block[:, :, place] = recoded(block[:, :, place], names, wanted)
        return replace(records, block=block, categories=self.statics.codes)

    def probe(self) -> SeriesRecords:
        """A row without any value, then values of several sizes."""
        sizes = np.array([np.nan, -3.0, 0.0, 0.5, 1.0, 20.0, 400.0], dtype=np.float32)
        steps, width = self.spec["steps"], len(self.spec["variables"]) + len(self.spec["static"])
        block = np.empty((len(sizes), steps, 1 + width), dtype=np.float32)
        block[:, :, 0] = np.arange(steps) * (self.spec["step"] or 1.0)
        block[:, :, 1:] = sizes[:, None, None]
        first = 1 + len(self.spec["variables"])
        for place, names in enumerate(self.statics.codes, first):
            if names is not None:
                block[:, :, place] = np.nan
        return SeriesRecords(
            block, tuple(self.spec["variables"]), tuple(self.spec["static"]), self.statics.codes,
            time_kind=self.spec["time_kind"],
        )  # fmt: skip

    def describe(self) -> str:
        """The variables and static columns."""
        names = ", ".join(self.spec["variables"])
        beside = ", ".join(self.spec["static"])
        said = f"Series (an .npz file, arrays, or a long table) of the variables {names}"
        return f"{said}; static columns: {beside}" if beside else said

    @property
    def learned(self) -> str:
        """Of variables and static columns; nothing of a few patients alone."""
        return (
            "names of variables and static columns; of each a mean, a spread and two ends of its "
            "values, and the longest time between them, none of which fewer patients reach than "
            "its maker's privacy.fewest; how many steps the longest series has, when the first and "
            "the last were, and how far apart; spellings of categories"
        )

    def remarks(self, records: Records) -> Iterator[str]:
        """Which rows have no value, and what is absent, or far off what training had."""
        assert isinstance(records, SeriesRecords)
        return remarks(self._fitted, records)

    def as_plain(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "variables": self.scales.as_plain(self.spec["variables"]),
            "statics": self.statics.as_plain(),
            "pace": self.pace.as_plain(),
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
