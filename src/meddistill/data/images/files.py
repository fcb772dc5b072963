"""One file to the pixels that a viewer would show, or one message of what is wrong with it."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from meddistill.data.images.pixels import MOST_PIXELS, Pixels, as_picture
from meddistill.errors import UserError, listed

PLAIN = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
MEDICAL = (".dcm", ".dicom", ".nii", ".nii.gz")
FORMATS = ("PNG", "JPEG", "BMP", "TIFF")
SIXTEEN_BITS = ("I", "I;16", "I;16B", "I;16L", "I;16N")
DAMAGE = (
    OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, EOFError, struct.error,
    zlib.error, OverflowError, MemoryError,
)  # fmt: skip
"""What Pillow raises of files that are cut or spoiled."""


def is_picture(path: Path) -> bool:
    """Whether a file's name ends as that of a picture does."""
    return path.name.lower().endswith((*PLAIN, *MEDICAL))


def pictures_at(path: Path) -> list[Path]:
    """The picture at a path, or all below a folder but for hidden ones, as macOS leaves them.

    Raises:
        UserError: There are none in the folder.
    """
    if not path.is_dir():
        return [path]
    files = pictures_below(path)
    if not files:
        raise UserError(f"{path}: there is no picture in the folder")
    return files


def pictures_below(folder: Path) -> list[Path]:
    """Pictures below a folder but for hidden ones, which macOS leaves beside each."""
    return [file for file in sorted(folder.rglob("*")) if file.name[0] != "." and is_picture(file)]


def read_picture(path: Path) -> Pixels:
    """The picture in a file, [channels, height, width]: uint8, or float32 from 0 to 1.

    Palettes become colours, the camera's rotation is obeyed, 16 bits keep their shades.

    Raises:
        UserError: The file is missing, empty, damaged, too large, moving or transparent, or of a
            kind that is not read; the message says which file and how to mend it.
    """
    if not path.is_file():
        raise UserError(f"{path}: there is no such file")
    if not path.stat().st_size:
        raise UserError(f"{path}: the file is empty: fetch it anew, or leave it out")
    name = path.name.lower()
    if name.endswith(MEDICAL):
        from meddistill.data.images.medical import read_medical

        return read_medical(path)
    if not name.endswith(PLAIN):
        kinds = listed((*PLAIN, *MEDICAL), 20)
        raise UserError(f"{path}: is no picture that is read; those end in {kinds}")
    try:
        pixels = _pixels(path)
    except UserError:
        raise
    except DAMAGE as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the file system's refusal, which is told elsewhere
        raise UserError(
            f"{path}: the picture is damaged or cut short ({str(error)[:150]}): fetch it anew, or "
            "leave it out"
        ) from error
    try:
        return as_picture(pixels)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error


def _pixels(path: Path) -> NDArray[np.generic]:
    """[height, width] or [height, width, 3]."""
    content = io.BytesIO(path.read_bytes())
    with _opened(path, content) as picture:
        picture.verify()  # checksums, which loading doesn't look at; a verified one can't be loaded
    with _opened(path, content) as picture:
        frames = getattr(picture, "n_frames", 1)
        if frames > 1:
            raise UserError(f"{path}: holds {frames} pictures: save the one that counts by itself")
        picture.load()
        return _shown(path, ImageOps.exif_transpose(picture))


def _opened(path: Path, content: io.BytesIO) -> Image.Image:
    """The picture, of which no more than its head was read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(content, formats=FORMATS)
        most, (width, height) = MOST_PIXELS, picture.size
        size = f"{width} x {height} pixels" if width * height > most else None
    except Image.DecompressionBombError:
        size = "far too many pixels"
    if size:
        raise UserError(f"{path}: has {size}; up to {MOST_PIXELS:,} are read: save it smaller")
    return picture


def _shown(path: Path, picture: Image.Image) -> NDArray[np.generic]:
    if picture.has_transparency_data:
        picture = picture.convert("RGBA" if picture.mode in ("P", "PA", "RGB", "RGBA") else "LA")
        alpha = picture.getchannel("A")
        if alpha.getextrema() != (255, 255):
            raise UserError(
                f"{path}: is transparent in places, so that what it shows depends on what lies "
                "behind: save it without transparency (alpha)"
            )
        picture = picture.convert(picture.mode[:-1])
    if picture.mode in SIXTEEN_BITS:
        return _sixteen_bits(path, np.asarray(picture))
    if picture.mode in ("1", "P"):
        picture = picture.convert("L" if picture.mode == "1" else "RGB")
    if picture.mode not in ("L", "RGB", "F"):
        raise UserError(f"{path}: its colours are {picture.mode}: save it in grey or as RGB")
    return np.asarray(picture)


def _sixteen_bits(path: Path, values: NDArray[np.generic]) -> NDArray[np.generic]:
    if values.min() < 0 or values.max() > np.iinfo(np.uint16).max:
        raise UserError(f"{path}: its pixels have more than 16 bits: save it with 16 or 8")
    return values.astype(np.uint16)
