"""Arrays of pixels: one order of axes, one of two types, one size, one number of channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[Any]
"""[..., channels, height, width]: uint8, or float32 from 0 to 1."""
MOST_PIXELS = 100_000_000
"""Of one picture: more than any radiograph or mammogram has."""
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""Shares of red, green and blue in a shade of grey (ITU-R BT.601), as Pillow's."""


def as_picture(values: NDArray[Any]) -> Pixels:
    """[height, width] or [height, width, 1 or 3] -> [channels, height, width].

    Raises:
        ValueError: It is no picture: the axes, the type or the range; it says which.
    """
    if values.ndim == 2:
        values = values[..., None]
    if values.ndim != 3 or values.shape[-1] not in (1, 3):
        raise ValueError(f"is no picture: its array is {shape_of(values.shape)}")
    return as_pixels(np.moveaxis(values, -1, 0))


def as_pixels(values: NDArray[Any]) -> Pixels:
    """The values as pixels are kept: bytes as they are, finer ones as float32 from 0 to 1.

    Raises:
        ValueError: There are none, or they are no shades; it says why.
    """
    if not values.size:
        raise ValueError(f"has no pixels: its array is {shape_of(values.shape)}")
    if values.dtype == np.uint8:
        return np.ascontiguousarray(values)
    if values.dtype == np.bool_:
        return np.ascontiguousarray(values, dtype=np.uint8) * np.uint8(255)
    if values.dtype == np.uint16:
        return np.ascontiguousarray(values, dtype=np.float32) / np.float32(65535)
    if values.dtype.kind in "iu":
        return _whole_numbers(values)
    if values.dtype.kind != "f":
        raise ValueError(f"holds {values.dtype} in place of pixels")
    least, most = float(values.min()), float(values.max())
    if not (np.isfinite(least) and np.isfinite(most)):
        raise ValueError("holds pixels that are missing or infinite")
    if least < 0 or most > 1:
        raise ValueError(
            f"holds fractions from {least:g} to {most:g}: pixels are from 0 to 1, or whole "
            "numbers of 8 bits (uint8) or 16 (uint16)"
        )
    return np.ascontiguousarray(values, dtype=np.float32)


def _whole_numbers(values: NDArray[Any]) -> Pixels:
    least, most = int(values.min()), int(values.max())
    if least < 0 or most > 255:
        raise ValueError(
            f"holds {values.dtype} from {least} to {most}, whose range nobody knows: turn them "
            "into uint8 (0 to 255) or uint16 (0 to 65,535)"
        )
    return np.ascontiguousarray(values, dtype=np.uint8)


def as_floats(pixels: Pixels) -> NDArray[np.float32]:
    """Shades from 0 to 1; bytes are divided by 255, once."""
    if pixels.dtype == np.uint8:
        return pixels.astype(np.float32) / np.float32(255)
    return pixels


def as_type(pixels: Pixels, depth: str) -> Pixels:
    """Shades as bytes (`uint8`), finer ones rounded, or from 0 to 1 (`float32`)."""
    if depth == "float32":
        return as_floats(pixels)
    return pixels if pixels.dtype == np.uint8 else np.rint(pixels * 255).astype(np.uint8)


def with_channels(picture: Pixels, channels: int) -> Pixels:
    """A picture [channels, height, width] in grey (1) or in colours (3)."""
    if len(picture) == channels:
        return picture
    if channels == 3:
        return np.repeat(picture, 3, axis=0)
    grey = np.tensordot(LUMA, picture.astype(np.float32), axes=1)[None]
    if picture.dtype == np.uint8:
        return np.rint(grey).astype(np.uint8)
    return np.clip(grey, 0, 1)


def resized(picture: Pixels, height: int, width: int) -> Pixels:
    """A picture [channels, height, width] of another size, by areas (antialiased)."""
    if picture.shape[1:] == (height, width):
        return picture
    planes = [
        Image.fromarray(plane).resize((width, height), Image.Resampling.BILINEAR)
        for plane in picture
    ]
    return np.stack([np.asarray(plane) for plane in planes])


def shape_of(sides: Sequence[int]) -> str:
    """Sizes of the axes, as a person writes them."""
    return " x ".join(map(str, sides)) or "a single number"
