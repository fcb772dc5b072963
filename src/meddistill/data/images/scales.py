"""What training pixels teach: the middle and the spread of their shades, by channel."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddistill.data.images.pixels import as_floats
from meddistill.data.images.records import ImageRecords
from meddistill.data.patients import Patients

NUMBERS_AT_ONCE = 2**22
VERSION = 1


@dataclass(frozen=True)
class Scales:
    """Shades from 0 to 1 of training pictures.

    Attributes:
        mean: [channels] of all pixels.
        std: [channels] of all pixels; 1 where they are of one shade.
        darkest: Mean shade of the darkest picture, of which as many patients have one as dark as
            privacy asks for.
        brightest: Likewise.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    darkest: float
    brightest: float

    @staticmethod
    def of(records: ImageRecords, patients: Patients) -> Scales:
        """Of training pictures; those in files are read once more."""
        channels = records.format.channels
        sums, squares = np.zeros(channels), np.zeros(channels)
        means: list[NDArray[np.float64]] = []
        for shades in parts(records):
            sums += shades.sum(axis=(0, 2, 3))
            squares += np.square(shades).sum(axis=(0, 2, 3))
            means.append(shades.mean(axis=(1, 2, 3)))
        pixels = len(records) * records.format.height * records.format.width
        mean = sums / pixels
        std = np.sqrt(np.clip(squares / pixels - np.square(mean), 0, None))
        std[std < 1e-6] = 1.0  # of one shade, but for rounding
        every = np.concatenate(means)[:, None]
        (darkest,), (brightest,) = patients.ends(every, every)
        return Scales(
            tuple(mean.tolist()), tuple(std.tolist()),
            float(darkest), float(brightest),
        )  # fmt: skip

    def as_plain(self, method: str) -> str:
        """The text of a file."""
        return json.dumps({"version": VERSION, "method": method, **asdict(self)}, indent=1) + "\n"

    @staticmethod
    def from_plain(plain: Mapping[str, Any], channels: int) -> Scales:
        """What `as_plain` gave, out of a file that may come from anywhere.

        Raises:
            ValueError: It is no such thing; it says what is wrong.
        """
        names = {field.name for field in fields(Scales)}
        if set(plain) != {"version", "method", *names}:
            raise ValueError("its keys are not those of this version")
        for name in ("mean", "std"):
            values = plain[name]
            if not isinstance(values, list) or len(values) != channels:
                raise ValueError(f"{name}={values!r:.80} is not of {channels} channel(s)")
            if not all(_is_shade(value) for value in values):
                raise ValueError(f"{name}={values!r:.80} are no shades from 0 to 1")
        if min(plain["std"]) <= 0:
            raise ValueError(f"std={plain['std']!r:.80} must be above 0")
        if not all(_is_shade(plain[name]) for name in ("darkest", "brightest")):
            raise ValueError("darkest and brightest must be shades from 0 to 1")
        return Scales(
            tuple(plain["mean"]), tuple(plain["std"]), plain["darkest"], plain["brightest"]
        )


def parts(records: ImageRecords) -> Iterator[NDArray[np.float64]]:
    """[part, channels, height, width] shades of all pictures, so many at once as memory bears."""
    size = max(1, NUMBERS_AT_ONCE // int(np.prod(records.format.shape)))
    for start in range(0, len(records), size):
        places = np.arange(start, min(start + size, len(records)))
        yield as_floats(records.take(places).pixels).astype(np.float64)


def _is_shade(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1
