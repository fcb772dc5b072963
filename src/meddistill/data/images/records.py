"""Pictures as rows: held in memory, or read from their files when they are taken."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from meddistill.data.images.files import read_picture
from meddistill.data.images.format import Format
from meddistill.data.images.pixels import Pixels, as_type, shape_of
from meddistill.data.records import Records
from meddistill.errors import UserError

Hashes = NDArray[np.uint64]


class ImageRecords(Records):
    """Pictures of one size, with one number of channels.

    Args:
        format: What they have in common.
        pixels: [pictures, channels, height, width] uint8, or float32 from 0 to 1; None where they
            stay in their files.
        files: [pictures] where they lie; None of pictures that were given as an array.
        hashes: [pictures] of their content, where it is known already.
        index: [pictures] what they are called; None is by their files, or their numbers.
    """

    kind: ClassVar[str] = "images"

    def __init__(
        self,
        format: Format,
        pixels: Pixels | None = None,
        files: Sequence[Path] | None = None,
        hashes: Hashes | None = None,
        index: pd.Index[Any] | None = None,
    ) -> None:
        if pixels is None and (files is None or hashes is None):
            raise ValueError("pictures are held, or have files whose content is known")
        self.format, self.files = format, files
        self._pixels, self._hashes = pixels, hashes
        self._index = index

    @staticmethod
    def of(pixels: Pixels) -> ImageRecords:
        """Pictures [pictures, channels, height, width] that need no file.

        Raises:
            ValueError: There are none.
        """
        if not len(pixels):
            raise ValueError(f"there are no pictures: the array is {shape_of(pixels.shape)}")
        _, channels, height, width = pixels.shape
        return ImageRecords(Format(channels, height, width, str(pixels.dtype)), pixels)

    def __len__(self) -> int:
        return len(self._pixels if self._pixels is not None else self.files or ())

    def take(self, positions: NDArray[np.int64]) -> ImageRecords:
        """The pictures at `positions`."""
        return ImageRecords(
            self.format,
            None if self._pixels is None else self._pixels[positions],
            None if self.files is None else [self.files[place] for place in positions.tolist()],
            None if self._hashes is None else self._hashes[positions],
            self.index[positions],
        )

    @property
    def pixels(self) -> Pixels:
        """[pictures, channels, height, width] uint8, or float32 from 0 to 1.

        Raises:
            UserError: A file is not as it was.
        """
        if self._pixels is not None:
            return self._pixels
        known = zip(self.files or (), self.hashes().tolist(), strict=True)
        return np.stack([self._of_file(path, content) for path, content in known])

    def hashes(self) -> Hashes:
        """[pictures] equal for exact copies."""
        if self._hashes is None:
            self._hashes = hashes_of(self.pixels)
        return self._hashes

    @property
    def spec(self) -> dict[str, Any]:
        """How pictures are read."""
        return self.format.plain

    def describe(self) -> str:
        """Size and colours."""
        return self.format.describe()

    def raw(self) -> Pixels | list[Path]:
        """Files where there are some, or the pictures themselves."""
        return self.pixels if self.files is None else list(self.files)

    @property
    def index(self) -> pd.Index[Any]:
        """[pictures] what each is called in a table of answers."""
        if self._index is not None:
            return self._index
        if self.files is None:
            return pd.RangeIndex(len(self))
        return pd.Index([str(path) for path in self.files])

    @property
    def row_size(self) -> int:
        """Of one picture."""
        return int(np.prod(self.format.shape))

    @property
    def in_memory(self) -> bool:
        """Whether they are held."""
        return self._pixels is not None

    @property
    def nbytes(self) -> int:
        """Bytes of all of them, as they would lie in memory."""
        return len(self) * self.format.nbytes

    def _of_file(self, path: Path, content: int) -> Pixels:
        picture = read_picture(path)
        if hash_of(picture) != content:
            raise UserError(f"{path}: was changed since it was first read: repeat the command")
        fitted = self.format.fitted(picture)
        return as_type(fitted, self.format.depth)


def hashes_of(pictures: Pixels) -> Hashes:
    """[pictures] equal for exact copies."""
    return np.array([hash_of(picture) for picture in pictures], dtype=np.uint64)


def hash_of(picture: Pixels) -> int:
    """64 bits by a picture's pixels, its size and their type."""
    content = hashlib.blake2b(np.ascontiguousarray(picture).data, digest_size=8)
    content.update(f"{picture.shape} {picture.dtype}".encode())
    return int.from_bytes(content.digest(), "little")
