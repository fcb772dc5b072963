"""Series, as every other room reaches them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddistill.data.series.channels import load_channels
from meddistill.data.series.choices import Channels
from meddistill.data.series.preprocessing import VERSION, SeriesPreprocessing
from meddistill.data.series.records import SeriesRecords
from meddistill.data.series.spec import checked_spec
from meddistill.data.series.summary import load_summary
from meddistill.files.model_files import read_plain_json

LOAD = {"channels": load_channels, "summary": load_summary}


def fit_preprocessing(
    records: SeriesRecords, fewest: int, group: NDArray[np.object_] | None
) -> SeriesPreprocessing:
    """The usual one: channels by training rows."""
    return Channels().fit(records, fewest, group)


def load_preprocessing(path: Path, spec: dict[str, Any]) -> SeriesPreprocessing:
    """What a preprocessing of series saved, every value checked.

    Raises:
        ValueError: The file is damaged, or not of these series; it says what is wrong.
    """
    plain = read_plain_json(path.parent, path.name)
    try:
        if not isinstance(plain, dict) or plain.get("version") != VERSION:
            raise ValueError("it is no mapping of this version")
        if plain.get("method") not in LOAD:
            raise ValueError(f"method={plain.get('method')!r:.40} is none of {sorted(LOAD)}")
        return LOAD[plain["method"]](plain, checked_spec(spec))
    except ValueError as error:
        raise ValueError(f"{path.name} is damaged, or another version's: {error}") from error
