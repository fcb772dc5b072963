"""Many files of pictures: looked at once, all that is wrong with them in one message."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from meddistill.data.images.files import read_picture
from meddistill.data.images.format import CHANNELS, Format, in_essence, sides_typed
from meddistill.data.images.pixels import Pixels, as_floats
from meddistill.data.images.records import ImageRecords, hash_of
from meddistill.data.images.wanted import Wanted
from meddistill.errors import UserError, listed

HELD_BYTES = 2 * 2**30
"""Pictures of more bytes stay in their files, where nobody says otherwise."""
MOST_THREADS = 8
Found = TypeVar("Found")


@dataclass
class _Look:
    """What one look at a file told.

    Attributes:
        format: Of the picture, as it is to be.
        is_grey: Whether it has no colours, however it was saved.
        content: A hash of its own pixels.
        pixels: The picture, where it is held.
    """

    format: Format
    is_grey: bool
    content: int
    pixels: Pixels | None


def read_files(files: Sequence[Path], wanted: Wanted) -> ImageRecords:
    """All pictures in files; each is read now, so that what is wrong is told before any work.

    Raises:
        UserError: Files can't be read, or their pictures don't fit together.
    """
    first = _look(files[0], wanted, held=False)
    held = wanted.in_memory
    if held is None:
        held = len(files) * first.format.nbytes <= HELD_BYTES
    looks = each(files, lambda path: _look(path, wanted, held=bool(held)))
    format = _common(files, looks, wanted)
    hashes = np.array([look.content for look in looks], dtype=np.uint64)
    return ImageRecords(format, _gathered(looks, format) if held else None, list(files), hashes)


def each(files: Sequence[Path], read: Callable[[Path], Found]) -> list[Found]:
    """What `read` gives of each file, several at once.

    Raises:
        UserError: What is wrong with the first, and how many more can't be used.
    """

    def tried(path: Path) -> Found | UserError:
        try:
            return read(path)
        except UserError as error:
            return error

    with ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1)) as pool:
        found = list(pool.map(tried, files))
    wrong = {path: error for path, error in zip(files, found, strict=True)
             if isinstance(error, UserError)}  # fmt: skip
    if not wrong:
        return [each for each in found if not isinstance(each, UserError)]
    (_, first), *others = wrong.items()
    if not others:
        raise first
    more = listed([path.name for path, _ in others], 10)
    raise UserError(f"{first}; {len(others)} more of {len(files)} files can't be used: {more}")


def _look(path: Path, wanted: Wanted, held: bool) -> _Look:
    picture = read_picture(path)
    content, is_grey = hash_of(picture), len(in_essence(picture)) == 1
    made = wanted.made_of(picture)
    return _Look(wanted.format_of(made), is_grey, content, made if held else None)


def _common(files: Sequence[Path], looks: Sequence[_Look], wanted: Wanted) -> Format:
    """The one format of all pictures.

    Raises:
        UserError: There are several, and nobody said which is to be.
    """
    format = looks[0].format
    if any(look.format.depth == "float32" for look in looks):
        format = replace(format, depth="float32")
    for path, look in zip(files, looks, strict=True):
        own, common = look.format.shape[1:], format.shape[1:]
        if own != common:
            raise UserError(
                f"{path}: has {own[0]} x {own[1]} pixels, {files[0].name} has {common[0]} x "
                f"{common[1]}: data.size={sides_typed(*common)} resizes all"
            )
    if wanted.channels is not None:
        return format
    if all(look.is_grey for look in looks):
        return replace(format, channels=1)
    return replace(format, channels=_colours(files, looks))


def _colours(files: Sequence[Path], looks: Sequence[_Look]) -> int:
    """3 of pictures that were all saved in colours, some of which have some.

    Raises:
        UserError: Some were saved in grey.
    """
    grey = [path for path, look in zip(files, looks, strict=True) if look.format.channels == 1]
    if not grey:
        return 3
    coloured = next(path for path, look in zip(files, looks, strict=True) if not look.is_grey)
    raise UserError(
        f"{grey[0]}: is in {CHANNELS[1]}, {coloured.name} in {CHANNELS[3]}: data.channels=1 turns "
        "all into grey, data.channels=3 into colour"
    )


def _gathered(looks: Sequence[_Look], format: Format) -> Pixels:
    """The pictures as one array; each is let go of as it is copied, so that all are there once."""
    pixels = np.empty((len(looks), *format.shape), dtype=format.depth)
    for place, look in enumerate(looks):
        if look.pixels is not None:
            picture = look.pixels[: format.channels]  # of grey in three channels, one
            pixels[place] = as_floats(picture) if format.depth == "float32" else picture
        look.pixels = None
    return pixels
