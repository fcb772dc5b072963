"""Series, as every other room reaches them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddistill.data.preprocessing import load_saved
from meddistill.data.series.channels import load_channels
from meddistill.data.series.choices import Channels
from meddistill.data.series.preprocessing import VERSION, SeriesPreprocessing
from meddistill.data.series.records import SeriesRecords
from meddistill.data.series.summary import load_summary

LOAD = {"channels": load_channels, "summary": load_summary}


def fit_preprocessing(
    records: SeriesRecords, fewest: int, group: NDArray[np.object_] | None
) -> SeriesPreprocessing:
    """The usual one: channels by training rows."""
    return Channels().fit(records, fewest, group)


def load_preprocessing(path: Path, spec: Mapping[str, Any]) -> SeriesPreprocessing:
    """What a preprocessing of series saved, every value checked.

    Raises:
        ValueError: The file is damaged, or not of these series; it says what is wrong.
    """
    return load_saved(path, spec, VERSION, LOAD)
