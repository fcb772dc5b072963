"""What `predict` is given, as pictures like those that a model was trained with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from meddistill.data.images.arrays import read_array
from meddistill.data.images.files import pictures_at, read_picture
from meddistill.data.images.format import Format
from meddistill.data.images.pixels import Pixels, as_floats
from meddistill.data.images.reading import each
from meddistill.data.images.records import ImageRecords, hash_of, hashes_of
from meddistill.data.npz_file import ARRAY_FILES, load_arrays
from meddistill.errors import UserError, listed

COLUMNS = ("file", "path", "image", "filename")
FORMS = (
    "an array [pictures, height, width], a file, a list of files, a folder, an .npz or .npy file, "
    "or a DataFrame with a column `file`"
)


def read_records(raw: Any, spec: Any) -> ImageRecords:
    """New pictures, each as the model's training pictures were.

    Args:
        raw: An array [pictures, height, width] (channels last or second), a path of a picture, a
            folder, an .npz or .npy file, a list of paths, or a DataFrame with a column of paths.
        spec: What `ImageRecords.spec` gave of the training pictures.

    Raises:
        UserError: They are no pictures, or not like those; the message says which file or row.
        ValueError: The spec is damaged.
    """
    format = Format.from_plain(spec)
    if isinstance(raw, ImageRecords):
        return _of_records(raw, format)
    if isinstance(raw, (str, Path)):
        return _of_path(Path(raw).expanduser(), format)
    if isinstance(raw, pd.DataFrame):
        return _of_files(_paths(raw), format, raw.index)
    if isinstance(raw, (list, tuple)) and raw and all(isinstance(x, (str, Path)) for x in raw):
        return _of_files([Path(path).expanduser() for path in raw], format)
    if hasattr(raw, "__array__"):
        return of_array(np.asarray(raw), "the array", format)
    raise UserError(f"pictures come as {FORMS}, not as {type(raw).__name__}")


def _of_records(records: ImageRecords, format: Format) -> ImageRecords:
    if records.format.shape == format.shape:
        return records
    names = [f"row {row}" for row in records.index]
    fitted = [fitted(*pair, format) for pair in zip(records.pixels, names, strict=True)]
    return ImageRecords(format, _together(fitted), records.files, records.hashes(), records.index)


def _of_path(path: Path, format: Format) -> ImageRecords:
    if path.suffix.lower() in ARRAY_FILES:
        return of_array(only(load_arrays(path, "rows"), path), path.name, format)
    return _of_files(pictures_at(path), format)


def only(arrays: Mapping[str, NDArray[Any]], path: Path) -> NDArray[Any]:
    """The one array of a file, or the one called `images`.

    Raises:
        UserError: There are several others.
    """
    if len(arrays) > 1 and "images" not in arrays:
        raise UserError(
            f"{path}: holds several arrays ({listed(arrays, 10)}): call one `images`, or give the "
            "array itself: numpy.load(...)['...']"
        )
    return arrays["images"] if "images" in arrays else next(iter(arrays.values()))


def _paths(rows: pd.DataFrame) -> list[Path]:
    """The paths in a frame's column of them, which is found by its name, or as the only one."""
    names = [name for name in COLUMNS if name in rows.columns]
    column = names[0] if names else rows.columns[0] if len(rows.columns) == 1 else None
    if column is None:
        raise UserError(f"these rows have no column of paths: call it {listed(COLUMNS)}")
    cells = rows[column].tolist()
    for row, cell in zip(rows.index, cells, strict=True):
        if not isinstance(cell, (str, Path)) or not str(cell).strip():
            raise UserError(f"row {row}: column '{column}' holds {cell!r:.40}, which is no path")
    return [Path(cell).expanduser() for cell in cells]


def _of_files(
    files: Sequence[Path], format: Format, index: pd.Index[Any] | None = None
) -> ImageRecords:
    def read(path: Path) -> tuple[Pixels, int]:
        picture = read_picture(path)
        return fitted(picture, str(path), format), hash_of(picture)

    if not files:
        raise UserError("there are no pictures")
    pictures, hashes = zip(*each(files, read), strict=True)
    known = np.array(hashes, dtype=np.uint64)
    return ImageRecords(format, _together(pictures), list(files), known, index)


def of_array(values: NDArray[Any], name: str, format: Format) -> ImageRecords:
    """Pictures of an array; hashes are of what it holds.

    Raises:
        UserError: They are no pictures, or not such as the format has; it says which row.
    """
    pixels = read_array(values, name, format)
    if pixels.shape[1:] == format.shape:
        return ImageRecords(format, pixels)
    rows = [fitted(picture, f"{name}, row {row}", format) for row, picture in enumerate(pixels)]
    return ImageRecords(format, _together(rows), hashes=hashes_of(pixels))


def fitted(picture: Pixels, name: str, format: Format) -> Pixels:
    """A picture in a format, but for its type.

    Raises:
        UserError: It has another size or other colours, and nobody said what to do with it.
    """
    try:
        return format.fitted(picture)
    except ValueError as error:
        raise UserError(f"{name}: {error}") from error


def _together(pictures: Sequence[Pixels]) -> Pixels:
    """[pictures, channels, height, width], of the finest type among them."""
    if len({picture.dtype for picture in pictures}) == 1:
        return np.stack(pictures)
    return np.stack([as_floats(picture) for picture in pictures])
