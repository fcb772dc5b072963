"""What all pictures of a set have in common, and how another is made to fit."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from meddistill.data.images.pixels import MOST_PIXELS, Pixels, resized, with_channels

CHANNELS = {1: "grey", 3: "colour"}
BYTES = {"uint8": 1, "float32": 4}


@dataclass(frozen=True)
class Format:
    """Of a set of pictures.

    Attributes:
        channels: 1 of grey pictures, 3 of coloured ones.
        height: Pixels.
        width: Pixels.
        depth: `uint8`, or `float32` of pictures with more shades, from 0 to 1.
        resize: Whether pictures of another size are resized (`data.size`), or refused.
        convert: Whether grey and coloured pictures are turned into each other (`data.channels`).
    """

    channels: int
    height: int
    width: int
    depth: str
    resize: bool = False
    convert: bool = False

    @staticmethod
    def from_plain(spec: Any) -> Format:
        """What `plain` gave, out of a file that may come from anywhere.

        Raises:
            ValueError: It is no such thing; it says what is wrong.
        """
        if not isinstance(spec, dict) or set(spec) != {field.name for field in fields(Format)}:
            raise ValueError(f"{spec!r:.200} says nothing of pictures")
        read = Format(**spec)
        sides = read.height, read.width
        if not all(type(side) is int and 0 < side <= MOST_PIXELS for side in sides):
            raise ValueError(f"pictures of {sides!r:.60} pixels are none")
        if type(read.channels) is not int or read.channels not in CHANNELS:
            raise ValueError(f"pictures of {read.channels!r:.40} channels are not read")
        if not isinstance(read.depth, str) or read.depth not in BYTES:
            raise ValueError(f"pixels of {read.depth!r:.40} are not read")
        if not (isinstance(read.resize, bool) and isinstance(read.convert, bool)):
            raise ValueError("whether pictures are resized and converted must be true or false")
        return read

    @property
    def plain(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width)."""
        return self.channels, self.height, self.width

    @property
    def nbytes(self) -> int:
        """Of one picture in memory."""
        return self.channels * self.height * self.width * BYTES[self.depth]

    def describe(self) -> str:
        """In a few words."""
        fine = ", more than 8 bits" if self.depth != "uint8" else ""
        return f"{self.height} x {self.width} pixels, {CHANNELS[self.channels]}{fine}"

    def fitted(self, picture: Pixels) -> Pixels:
        """A picture [channels, height, width] in this format, but for its type.

        Raises:
            ValueError: It has another size or other colours, and nobody said what to do with it.
        """
        if len(picture) != self.channels and self.channels == 1:
            picture = in_essence(picture)
        if len(picture) != self.channels and not self.convert:
            raise ValueError(
                f"is in {CHANNELS[len(picture)]}, and the model reads {CHANNELS[self.channels]}: "
                f"convert it, or train with data.channels={self.channels}, which converts all"
            )
        if picture.shape[1:] != (self.height, self.width) and not self.resize:
            raise ValueError(
                f"has {picture.shape[1]} x {picture.shape[2]} pixels, and the model reads "
                f"{self.height} x {self.width}: resize it, or train with "
                f"data.size={sides_typed(self.height, self.width)}, which resizes all"
            )
        return resized(with_channels(picture, self.channels), self.height, self.width)


def in_essence(picture: Pixels) -> Pixels:
    """A picture [channels, height, width] that was saved in colours and has none, in grey."""
    same = len(picture) == 3 and bool((picture[1:] == picture[0]).all())
    return picture[:1] if same else picture


def sides_typed(height: int, width: int) -> str:
    """A size as `data.size` takes it."""
    return str(height) if height == width else f"[{height},{width}]"
