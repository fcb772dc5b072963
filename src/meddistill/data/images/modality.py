"""Pictures, as the rest of the house reaches them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from meddistill.data.images.preprocessing import FlatPreprocessing, PixelPreprocessing
from meddistill.data.images.records import ImageRecords
from meddistill.files.model_files import read_plain_json

KINDS = {kind.method: kind for kind in (PixelPreprocessing, FlatPreprocessing)}


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
    plain = read_plain_json(path.parent, path.name)
    try:
        if not isinstance(plain, dict) or plain.get("method") not in list(KINDS):
            raise ValueError(f"its method is none of {sorted(KINDS)}")
        return KINDS[plain["method"]].of_plain(plain, spec)
    except ValueError as error:
        raise ValueError(f"{path.name} is damaged, or another version's: {error}") from error
