"""Pictures, as the rest of the house reaches them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from meddistill.data.images.preprocessing import FlatPreprocessing, PixelPreprocessing
from meddistill.data.images.records import ImageRecords
from meddistill.data.images.scales import VERSION
from meddistill.data.preprocessing import load_saved

LOAD = {kind.method: kind.of_plain for kind in (PixelPreprocessing, FlatPreprocessing)}


def fit_preprocessing(
    records: ImageRecords, fewest: int, group: NDArray[Any] | None
) -> PixelPreprocessing:
    """Pixels, scaled by training pictures."""
    return PixelPreprocessing.fit(records, fewest, group)


def load_preprocessing(path: Path, spec: Mapping[str, Any]) -> PixelPreprocessing:
    """What a preprocessing of pictures saved, every value checked.

    Raises:
        ValueError: The file is damaged, or not of such pictures; it says what is wrong.
    """
    return load_saved(path, spec, VERSION, LOAD)
