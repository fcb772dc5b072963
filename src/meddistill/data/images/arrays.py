"""Arrays of pictures, as people keep them, to the one order of axes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddistill.data.images.format import CHANNELS, Format
from meddistill.data.images.pixels import Pixels, as_pixels, shape_of
from meddistill.errors import UserError

AXES = "[pictures, height, width], with 1 or 3 channels as a fourth axis, last or second"


def read_array(values: NDArray[Any], name: str, like: Format | None = None) -> Pixels:
    """An array as [pictures, channels, height, width], uint8 or float32 from 0 to 1.

    No copy of bytes whose axes are in this order.

    Args:
        values: [pictures, height, width], or with channels as the last or second axis.
        name: Of the array, for messages.
        like: What pictures are to be like; it decides where channels could be on either side.

    Raises:
        UserError: They are no pictures; the message says which row.
    """
    try:
        pictures = _channels_second(values, like)
    except ValueError as error:
        raise UserError(f"{name}: {error}") from error
    try:
        return as_pixels(pictures)
    except ValueError as error:
        raise UserError(f"{name}{_first_bad(pictures)}: {error}") from error


def _channels_second(values: NDArray[Any], like: Format | None) -> NDArray[Any]:
    if values.ndim == 2:
        raise ValueError(
            f"is {shape_of(values.shape)}: one picture is array[None], as pictures are {AXES}"
        )
    if values.ndim == 3:
        return values[:, None]
    if values.ndim != 4:
        raise ValueError(f"is {shape_of(values.shape)}: pictures are {AXES}")
    if like is not None and values.shape[1:] == like.shape:
        return values
    if values.shape[3] in CHANNELS:
        return np.moveaxis(values, 3, 1)
    if values.shape[1] in CHANNELS:
        return values
    raise ValueError(f"is {shape_of(values.shape)}: pictures are {AXES}; volumes are not read")


def _first_bad(pictures: NDArray[Any]) -> str:
    """The first picture that is no picture by itself."""
    for row, picture in enumerate(pictures):
        try:
            as_pixels(picture)
        except ValueError:
            return f", row {row}"
    return ""
