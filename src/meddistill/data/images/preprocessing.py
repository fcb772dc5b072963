"""From pictures to a network's inputs: shades centred and scaled, as a picture or as a list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from meddistill.data.images.format import Format
from meddistill.data.images.new_rows import read_records
from meddistill.data.images.pixels import Pixels
from meddistill.data.images.records import ImageRecords
from meddistill.data.images.scales import Scales, parts
from meddistill.data.patients import Patients
from meddistill.data.preprocessing import Preprocessing
from meddistill.data.records import Records
from meddistill.errors import UserError, listed
from meddistill.files.atomic import write_atomically

LEAST_PICTURES, MOST_NUMBERS = 32, 2**18
"""Answered at once, and their pixels: more take a ResNet four times the memory, and longer."""


class PixelPreprocessing(Preprocessing):
    """Pixels [channels, height, width], each channel centred and scaled by training pixels.

    Args:
        format: Of the training pictures.
        scales: Of their shades.
    """

    method: ClassVar[str] = "pixels"
    layout = "image"

    def __init__(self, format: Format, scales: Scales) -> None:
        self.format, self.scales = format, scales
        self.in_shape: tuple[int, ...] = format.shape
        self.form = f"images {format.shape}"

    @classmethod
    def fit(cls, records: ImageRecords, fewest: int, group: NDArray[Any] | None) -> Self:
        """By training pictures."""
        patients = Patients.of(len(records), fewest, group)
        return cls(records.format, Scales.of(records, patients))

    @classmethod
    def of_plain(cls, plain: Mapping[str, Any], spec: Mapping[str, Any]) -> Self:
        """What `save` wrote.

        Raises:
            ValueError: It is damaged, or not of such pictures; it says what is wrong.
        """
        format = Format.from_plain(spec)
        return cls(format, Scales.from_plain(plain, format.channels))

    def read(self, raw: Any) -> ImageRecords:
        """Pictures as a person gives them, or records.

        Raises:
            UserError: They are none, or not like those of training; it says which.
        """
        if isinstance(raw, Records) and not isinstance(raw, ImageRecords):
            wanted = self.format.describe()
            raise UserError(f"the model reads images ({wanted}), and these are {raw.kind}")
        return read_records(raw, self.format.plain)

    def __call__(self, records: Records) -> Pixels:
        """[pictures, channels, height, width] uint8, or float32 from 0 to 1: no copy."""
        assert isinstance(records, ImageRecords)
        return records.pixels

    def front(self, inputs: Tensor) -> Tensor:
        """[..., channels, height, width] bytes, or shades from 0 to 1 -> float32, scaled."""
        shades = inputs.float()
        if inputs.dtype == torch.uint8:
            shades = shades.div_(255)
        mean, std = (
            torch.tensor(values, dtype=torch.float32, device=inputs.device).view(-1, 1, 1)
            for values in (self.scales.mean, self.scales.std)
        )
        return (shades - mean).div_(std)

    @property
    def evaluation_rows(self) -> int:
        """Fewer than of other rows: a network's first layers hold many times what a picture has."""
        return max(LEAST_PICTURES, MOST_NUMBERS // int(np.prod(self.format.shape)))

    def probe(self) -> ImageRecords:
        """A black picture, a white one, and noise."""
        shape = self.format.shape
        noise = np.random.default_rng(0).integers(0, 256, (4, *shape), dtype=np.uint8)
        pixels = np.stack([np.zeros(shape, np.uint8), np.full(shape, 255, np.uint8), *noise])
        return ImageRecords(self.format, pixels)

    def remarks(self, records: Records) -> Iterator[str]:
        """Which pictures are unlike those of training."""
        assert isinstance(records, ImageRecords)
        shades = [
            (part.mean(axis=(1, 2, 3)), np.ptp(part, axis=(1, 2, 3))) for part in parts(records)
        ]
        mean, spread = (np.concatenate(values) for values in zip(*shades, strict=True))
        margin = (self.scales.brightest - self.scales.darkest) / 2
        empty = spread == 0
        far = (mean < self.scales.darkest - margin) | (mean > self.scales.brightest + margin)
        for odd, what in (
            (empty, "show nothing: all pixels are of one shade"),
            (
                far & ~empty,
                "are far darker or brighter than those of training: is their range another?",
            ),
        ):
            if odd.any():
                names = listed(records.index[odd], 3)
                yield f"{odd.sum()} of {len(odd)} pictures {what} ({names})"

    def describe(self) -> str:
        """Size and colours."""
        others = "others are resized" if self.format.resize else "of this size alone"
        return f"Pictures: {self.format.describe()}, {others}"

    @property
    def learned(self) -> str:
        """Of shades; nothing of a few patients alone."""
        return (
            "of each channel the mean and the spread of all pixels' shades; how dark and how "
            "bright whole pictures are, without the most extreme patients"
        )

    def save(self, path: Path) -> None:
        """Write to `path` (JSON), whole or not at all."""
        write_atomically(path, self.scales.as_plain(self.method))


class FlatPreprocessing(PixelPreprocessing):
    """The same pixels in a list [channels * height * width], for what reads no pictures."""

    method = "flat"
    layout = "vector"

    def __init__(self, format: Format, scales: Scales) -> None:
        super().__init__(format, scales)
        self.in_shape = (int(np.prod(format.shape)),)

    def front(self, inputs: Tensor) -> Tensor:
        """[..., channels, height, width] -> float32 [..., numbers], scaled."""
        return super().front(inputs).flatten(-3)


class Flat:
    """The choice of `FlatPreprocessing` (`preprocessing=flat`)."""

    reads: ClassVar[str] = "images"

    def fit(
        self, records: ImageRecords, fewest: int, group: NDArray[Any] | None
    ) -> FlatPreprocessing:
        """By training pictures."""
        return FlatPreprocessing.fit(records, fewest, group)
