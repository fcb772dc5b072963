"""Pictures and labels in one .npz file, in MedMNIST's layout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddistill.config.identity import from_call
from meddistill.data import copies
from meddistill.data.cohort import Cohort, number_rows
from meddistill.data.images.arrays import read_array
from meddistill.data.images.labels import (
    check_different,
    coded_names,
    label_names,
    read_classes,
    text_of,
)
from meddistill.data.images.pixels import Pixels, as_floats
from meddistill.data.images.records import ImageRecords, hashes_of
from meddistill.data.images.unlabelled import read_unlabelled
from meddistill.data.images.wanted import Wanted
from meddistill.data.npz_file import load_arrays
from meddistill.data.unlabelled import with_unlabelled
from meddistill.errors import UserError, listed

SECTIONS = {"train": "train", "val": "validation", "test": "test"}
"""Official parts by the beginning of their arrays' names."""


@dataclass(frozen=True)
class _Section:
    """One part's rows.

    Attributes:
        part: Its name; None where there are no parts.
        pixels: [rows, channels, height, width].
        labels: [rows].
        group: [rows] or None.
        names: [rows] or None.
    """

    part: str | None
    pixels: Pixels
    labels: list[str]
    group: NDArray[Any] | None
    names: NDArray[Any] | None


def image_npz(
    path: str,
    classes: Sequence[str] | None = None,
    positive: str | int | None = None,
    size: int | Sequence[int] | None = None,
    channels: int | None = None,
    unlabelled: str | None = None,
) -> Cohort:
    """Pictures in arrays `train_images`, `train_labels`, `val_*` and `test_*`.

    `images` and `labels` alone are rows without official parts. Beside each there may be `*_group`,
    of which none is split, and `*_names`, which become the rows' ids.

    Args:
        path: The .npz file.
        classes: Names of the class numbers, from 0; the numbers themselves where None.
        positive: With two classes, the one to find; guessed and said where None.
        size: Pixels a side, or [height, width], that all pictures are resized to.
        channels: 1 turns all pictures into grey, 3 into colour.
        unlabelled: An .npz or .npy file, or a folder, of further pictures for a teacher to answer;
            where the data have names or groups, the file must have them too.

    Raises:
        UserError: The file or its content can't be used; the message says where and how to mend.
    """
    wanted, arrays = Wanted.read(size, channels), load_arrays(from_call(path))
    sections = _sections(arrays, Path(path).name, read_classes(classes))
    records = _joined([section.pixels for section in sections], Path(path).name, wanted)
    labels = [label for section in sections for label in section.labels]
    target, names, notes = coded_names(labels, f"{path}, labels", positive)
    group = _column([section.group for section in sections], f"{path}, group")
    ids = _column([section.names for section in sections], f"{path}, names")
    if ids is not None:
        check_different(ids, f"{path}, names")
    parts = _parts(sections)
    cohort = Cohort(
        name=Path(path).name,
        records=records,
        target=target,
        classes=names,
        row=number_rows(len(target)) if ids is None else ids,
        has_ids=ids is not None,
        notes=(*wanted.notes, *notes, *copies.found(records.hashes(), target, parts, group)),
        group=group,
        parts=parts,
    )
    beside = [name for name, own in {"names": ids, "group": group}.items() if own is not None]
    return with_unlabelled(
        cohort, unlabelled, lambda file: read_unlabelled(file, records, beside=beside)
    )


def _sections(
    arrays: Mapping[str, NDArray[Any]], file: str, classes: Sequence[str] | None
) -> list[_Section]:
    prefixes = [prefix for prefix in SECTIONS if f"{prefix}_images" in arrays]
    if prefixes and not {"train", "test"} <= set(prefixes):
        raise UserError(
            f"{file}: official parts are train_images, val_images and test_images, of which train "
            f"and test must be there; there are {listed(arrays, 20)}. Call rows without parts "
            "`images`"
        )
    if not prefixes and "images" not in arrays:
        raise UserError(
            f"{file}: holds neither `images` nor `train_images` (and val_, test_); there are "
            f"{listed(arrays, 20)}"
        )
    found = [_section(arrays, f"{prefix}_", SECTIONS[prefix], file, classes) for prefix in prefixes]
    return found or [_section(arrays, "", None, file, classes)]


def _section(
    arrays: Mapping[str, NDArray[Any]],
    prefix: str,
    part: str | None,
    file: str,
    classes: Sequence[str] | None,
) -> _Section:
    where = f"{file}, {prefix}images"
    pixels = read_array(arrays[f"{prefix}images"], where)
    beside = {name: arrays.get(prefix + name) for name in ("labels", "group", "names")}
    if beside["labels"] is None:
        raise UserError(f"{file}: there is no {prefix}labels beside {prefix}images")
    for name, column in beside.items():
        if column is not None and len(column.reshape(-1, *column.shape[1:])) != len(pixels):
            raise UserError(
                f"{file}: {prefix}{name} has {len(column)} rows, {prefix}images {len(pixels)}"
            )
    labels = label_names(beside["labels"], f"{file}, {prefix}labels", classes)
    return _Section(part, pixels, labels, beside["group"], beside["names"])


def _joined(parts: Sequence[Pixels], file: str, wanted: Wanted) -> ImageRecords:
    """The pictures of all parts, as they are wanted; hashes are of those in the file."""
    shapes = {part.shape[1:] for part in parts}
    if len(shapes) > 1:
        raise UserError(
            f"{file}: pictures of the parts differ in size or channels: {sorted(shapes)}"
        )
    if len({part.dtype for part in parts}) > 1:
        parts = [as_floats(part) for part in parts]
    pixels = parts[0] if len(parts) == 1 else np.concatenate(parts)
    hashes = hashes_of(pixels)
    if wanted.notes:
        pixels = np.stack([wanted.made_of(picture) for picture in pixels])
    return ImageRecords(wanted.format_of(pixels[0]), pixels, hashes=hashes)


def _column(values: Sequence[NDArray[Any] | None], where: str) -> NDArray[np.object_] | None:
    """[rows] as text, where each part has it; None where none does."""
    given = [value for value in values if value is not None]
    if not given:
        return None
    if len(given) < len(values):
        raise UserError(f"{where}: some parts have it and others not")
    return np.concatenate([text_of(value, where, len(value)) for value in given])


def _parts(sections: Sequence[_Section]) -> NDArray[np.object_] | None:
    if sections[0].part is None:
        return None
    names = [section.part for section in sections for _ in section.labels]
    return np.array(names, dtype=object)
