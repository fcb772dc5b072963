"""Pictures without labels, of a folder, a file of arrays or a table, as new ones are read."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from meddistill.data.images.files import is_picture, pictures_at, read_picture
from meddistill.data.images.format import Format
from meddistill.data.images.labels import check_different, text_of
from meddistill.data.images.listing import files_of
from meddistill.data.images.new_rows import fitted, of_array, only
from meddistill.data.images.pixels import Pixels, as_type
from meddistill.data.images.reading import HELD_BYTES, each
from meddistill.data.images.records import ImageRecords, hash_of
from meddistill.data.npz_file import ARRAY_FILES, load_arrays
from meddistill.data.tables.missing import DEFAULT, Missing
from meddistill.data.tables.reading import read_raw
from meddistill.data.tables.unlabelled import names_of
from meddistill.data.unlabelled import Unlabelled, lacking
from meddistill.errors import UserError, listed, shown


def read_unlabelled(
    path: Path, own: ImageRecords, in_memory: bool | None = None, beside: Collection[str] = ()
) -> Unlabelled:
    """Pictures for a teacher to answer, as the data's own are.

    Args:
        path: A folder, a picture, or an .npz or .npy file.
        own: The data's.
        in_memory: Whether they are held; None holds what fits beside the data's own.
        beside: Arrays by which the data tell pictures and groups apart: `names`, `group`.

    Raises:
        UserError: They can't be read, are not like the data's, or lack such an array.
    """
    if path.suffix.lower() in ARRAY_FILES:
        return _of_arrays(path, own.format, beside)
    for name in beside:
        raise lacking(f"array {shown(name)}, which a file of arrays (.npz) can have")
    return _of_files(pictures_at(path), own, in_memory)


def read_listed(
    path: Path,
    own: ImageRecords,
    in_memory: bool | None,
    folder: Path,
    columns: Mapping[str, str | None],
    separator: str,
    encoding: str,
) -> Unlabelled:
    """The same beside data with a table: such a table, or others where nothing needs its columns.

    Args:
        path: A table with a row a picture; or as for `read_unlabelled`.
        own: The data's.
        in_memory: Whether they are held.
        folder: Where the pictures' paths begin.
        columns: Names of the table's columns by what they hold: `file`, `target`, `id`, `group`.
        separator: Of a CSV file.
        encoding: Of a CSV file.

    Raises:
        UserError: As for `read_unlabelled`; or the table lacks a column.
    """
    id, group, target = (columns[key] for key in ("id", "group", "target"))
    if path.is_dir() or is_picture(path) or path.suffix.lower() in ARRAY_FILES:
        for key, column in {"id": id, "group": group}.items():
            if column is not None:
                raise lacking(f"column {shown(column)} (data.{key}), which a table can have")
        return read_unlabelled(path, own, in_memory)
    raw, file = read_raw(path, separator, ".", encoding), str(columns["file"])
    frame = raw.frame
    if file not in frame.columns:
        there = listed(frame.columns, 20)
        raise UserError(f"no column {shown(file)} (data.file) of the pictures; it has {there}")
    ids, groups = names_of(frame, id, group, Missing(DEFAULT))
    found = _of_files(files_of(frame, file, folder), own, in_memory)
    unread = f"their column {shown(target)}" if target in frame.columns else ""
    return replace(found, ids=ids, groups=groups, unread=unread, notes=(*raw.notes, *found.notes))


def _of_arrays(path: Path, format: Format, beside: Collection[str]) -> Unlabelled:
    arrays = load_arrays(path, "rows")
    found = of_array(only(arrays, path), path.name, format)
    pixels = as_type(found.pixels, format.depth)
    records = ImageRecords(format, pixels, hashes=found.hashes())
    names = {}
    for name in beside:
        if name not in arrays:
            raise lacking(f"array {shown(name)}")
        names[name] = text_of(arrays[name], name, len(records))
    if "names" in names:
        check_different(names["names"], "names")
    return Unlabelled(
        records,
        ids=names.get("names"),
        groups=names.get("group"),
        unread="their array 'labels'" if "labels" in arrays else "",
        notes=_of_finer(len(records) if _is_finer(found.pixels, format) else 0),
    )


def _of_files(files: Sequence[Path], own: ImageRecords, in_memory: bool | None) -> Unlabelled:
    """The pictures in files: each is looked at now, whether it is held or not."""
    format = own.format
    fits = (len(own) + len(files)) * format.nbytes <= HELD_BYTES
    held = own.in_memory and (fits if in_memory is None else in_memory)
    pixels = np.empty((len(files), *format.shape), format.depth) if held else None
    place = {file: number for number, file in enumerate(files)}

    def look(path: Path) -> tuple[int, bool]:
        """Its content, and whether it has more shades than the data's."""
        picture = read_picture(path)
        made = fitted(picture, str(path), format)
        if pixels is not None:
            pixels[place[path]] = as_type(made, format.depth)
        return hash_of(picture), _is_finer(made, format)

    looks = each(files, look)
    hashes = np.array([content for content, _ in looks], dtype=np.uint64)
    return Unlabelled(
        ImageRecords(format, pixels, files, hashes),
        notes=_of_finer(sum(finer for _, finer in looks)),
    )


def _is_finer(pixels: Pixels, format: Format) -> bool:
    """Whether they have more shades than the data's."""
    return format.depth == "uint8" and pixels.dtype != np.uint8


def _of_finer(count: int) -> tuple[str, ...]:
    """What is said of pictures with more shades than the data's."""
    said = f"{count} picture(s) have more than 8 bits, and are read with 8 as the data's own"
    return (said,) if count else ()
