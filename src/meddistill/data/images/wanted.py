"""What is to become of all pictures of a set, whatever their files hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from meddistill.data.images.format import CHANNELS, Format
from meddistill.data.images.pixels import MOST_PIXELS, Pixels, resized, with_channels
from meddistill.errors import SettingError


@dataclass(frozen=True)
class Wanted:
    """Settings that hold for all pictures.

    Attributes:
        size: (height, width) of all, or None for their own, which must be one.
        channels: 1 or 3 of all, or None for their own.
        in_memory: Whether they are held; None goes by their bytes.
    """

    size: tuple[int, int] | None = None
    channels: int | None = None
    in_memory: bool | None = None

    @staticmethod
    def read(
        size: int | Sequence[int] | None = None,
        channels: int | None = None,
        in_memory: bool | None = None,
    ) -> Wanted:
        """Settings as they are given.

        Raises:
            SettingError: One is none.
        """
        if channels is not None and (isinstance(channels, bool) or channels not in CHANNELS):
            raise SettingError("data.channels", channels, "must be 1 (grey) or 3 (colour)")
        if in_memory not in (None, True, False):
            raise SettingError("data.in_memory", in_memory, "must be true, false or null")
        return Wanted(_size(size), channels, in_memory)

    def made_of(self, picture: Pixels) -> Pixels:
        """A picture [channels, height, width] with the channels and of the size that are wanted."""
        if self.channels is not None:
            picture = with_channels(picture, self.channels)
        return picture if self.size is None else resized(picture, *self.size)

    def format_of(self, picture: Pixels) -> Format:
        """That of a picture that was made so."""
        channels, height, width = picture.shape
        resize, convert = self.size is not None, self.channels is not None
        return Format(channels, height, width, str(picture.dtype), resize, convert)

    @property
    def notes(self) -> list[str]:
        """What is done to all pictures, a sentence each."""
        notes = []
        if self.size is not None:
            notes.append(f"all pictures are resized to {self.size[0]} x {self.size[1]} pixels")
        if self.channels is not None:
            notes.append(f"all pictures are turned into {CHANNELS[self.channels]}")
        return notes


def _size(size: int | Sequence[int] | None) -> tuple[int, int] | None:
    """(height, width)."""
    if size is None:
        return None
    sides = [size, size] if isinstance(size, int) else size
    pair = isinstance(sides, Sequence) and not isinstance(sides, str) and len(sides) == 2
    if not pair or not all(type(side) is int and side > 0 for side in sides):
        raise SettingError("data.size", size, "must be a number of pixels, or [height,width]")
    height, width = sides
    if height * width > MOST_PIXELS:
        raise SettingError("data.size", size, f"up to {MOST_PIXELS:,} pixels are read")
    return height, width
