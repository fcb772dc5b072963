"""Pictures in a folder: a folder a class, or a table with a row a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from meddistill.config.identity import from_call
from meddistill.data import copies
from meddistill.data.cohort import Cohort
from meddistill.data.images.files import pictures_below
from meddistill.data.images.labels import coded_names
from meddistill.data.images.listing import PARTS, Listing, read_listing
from meddistill.data.images.reading import read_files
from meddistill.data.images.unlabelled import read_listed, read_unlabelled
from meddistill.data.images.wanted import Wanted
from meddistill.data.unlabelled import Unlabelled, with_unlabelled
from meddistill.errors import SettingError, UserError, integer, listed, shown


def image_folder(
    path: str,
    table_path: str | None = None,
    file: str = "file",
    target: str | int | None = None,
    positive: str | int | None = None,
    id: str | int | None = None,
    group: str | int | None = None,
    part: str | int | None = None,
    separator: str = ",",
    encoding: str = "utf-8",
    size: int | Sequence[int] | None = None,
    channels: int | None = None,
    in_memory: bool | None = None,
    workers: int = 0,
    unlabelled: str | None = None,
) -> Cohort:
    """PNG, JPEG, BMP, TIFF, DICOM and NIfTI pictures below a folder.

    Without a table the folder holds one folder a class, or `train`, `val` and `test` with one
    folder a class each, which are official parts then.

    Args:
        path: The folder.
        table_path: A .csv or .parquet file with a row a picture.
        file: Its column of the pictures' paths, from `path` on.
        target: Its column of the diagnosis.
        positive: With two classes, the one to find; guessed and said where None.
        id: Its column that names the picture; the path otherwise.
        group: Its column that says which pictures belong together, such as a patient's or a
            site's: they stay on one side of every split.
        part: Its column of official parts: train, validation (val) and test.
        separator: Between the cells of a CSV file.
        encoding: Of a CSV file.
        size: Pixels a side, or [height, width], that all pictures are resized to.
        channels: 1 turns all pictures into grey, 3 into colour.
        in_memory: Whether pictures are held in memory, or read from their files each time; None
            holds up to 2 GiB.
        workers: Processes that read ahead where pictures aren't held.
        unlabelled: A folder of further pictures for a teacher to answer, or a file of arrays; or,
            beside a table, a table of them.

    Raises:
        UserError: A file or the table can't be used; the message says which and how to mend.
    """
    folder = from_call(path)
    if not folder.is_dir():
        raise SettingError(
            "data.path", path, "no such folder (it is looked for from where you are)"
        )
    wanted = Wanted.read(size, channels, in_memory)
    given = {"file": file, "target": target, "id": id, "group": group, "part": part}
    columns = {key: None if name is None else str(name) for key, name in given.items()}
    if table_path is None:
        _refuse_columns({key: columns[key] for key in ("target", "id", "group", "part")})
        listing = _by_folder(folder, path, positive)
    else:
        listing = read_listing(folder, table_path, columns, positive, separator, encoding)
    records = read_files(listing.files, wanted)
    records.workers = integer("data.workers", workers)
    if workers and records.in_memory:
        mend = "the pictures are held in memory, so nothing reads ahead: add data.in_memory=false"
        raise SettingError("data.workers", workers, mend)
    shared = copies.found(records.hashes(), listing.target, listing.parts, listing.group)
    cohort = Cohort(
        name=Path(path).name,
        records=records,
        target=listing.target,
        classes=listing.classes,
        row=listing.ids,
        has_ids=True,
        notes=(*listing.notes, *wanted.notes, *shared),
        group=listing.group,
        parts=listing.parts,
    )

    def read(place: Path) -> Unlabelled:
        if table_path is None:
            return read_unlabelled(place, records, in_memory)
        return read_listed(place, records, in_memory, folder, columns, separator, encoding)

    return with_unlabelled(cohort, unlabelled, read)


def _refuse_columns(columns: dict[str, str | None]) -> None:
    for key, name in columns.items():
        if name is not None:
            mend = "there is no table whose column it could be: give data.table_path"
            raise SettingError(f"data.{key}", name, mend)


def _by_folder(folder: Path, path: str, positive: object) -> Listing:
    """Pictures whose class is the name of the folder that they are in."""
    inner = _folders(folder)
    parts = {each: PARTS.get(each.name.lower()) for each in inner}
    official = bool(inner) and all(parts.values()) and {"train", "test"} <= set(parts.values())
    places = [(each, parts[each]) for each in inner] if official else [(folder, None)]
    found = [
        (picture, of_class.name, part)
        for place, part in places
        for of_class in _folders(place)
        for picture in _pictures(of_class)
    ]
    if not found:
        raise SettingError(
            "data.path", path, "there are no folders of pictures in it, one a class: give a table "
            "(data.table_path), or the folder above",
        )  # fmt: skip
    files = [picture for picture, _, _ in found]
    target, classes, notes = coded_names([name for _, name, _ in found], path, positive)
    notes.append(
        "nothing says which pictures are of one patient: without a table (data.table_path, "
        "data.group) those of one may lie on both sides of a split"
    )
    notes += _left_out(folder, files)
    names = np.array([part for _, _, part in found], dtype=object) if official else None
    return Listing(files, _ids(files, folder), target, classes, notes, None, names)


def _left_out(folder: Path, files: Sequence[Path]) -> list[str]:
    """That files of the folder are not read: of another kind, or in no class's folder."""
    known = set(files)
    others = [
        str(path.relative_to(folder))
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path not in known and not _is_clutter(path)
    ]
    if not others:
        return []
    what = "are in no class's folder, or no pictures of a kind that is read, and left out"
    return [f"{len(others)} file(s) {what}: {listed(others, 3)}"]


def _is_clutter(path: Path) -> bool:
    """What file managers leave behind."""
    return path.name.startswith(".") or path.name.lower() in ("thumbs.db", "desktop.ini")


def _folders(folder: Path) -> list[Path]:
    return sorted(each for each in folder.iterdir() if each.is_dir() and each.name[0] != ".")


def _pictures(of_class: Path) -> list[Path]:
    """All below a class's folder; files of other kinds stay where they are.

    Raises:
        UserError: There are none.
    """
    files = pictures_below(of_class)
    if not files:
        raise UserError(
            f"{of_class}: there is no picture of this class: remove the folder or fill it"
        )
    return files


def _ids(files: Sequence[Path], folder: Path) -> NDArray[np.object_]:
    """[pictures] their paths below the folder, without endings.

    Raises:
        UserError: Two have one.
    """
    names = [file.relative_to(folder).with_suffix("").as_posix() for file in files]
    twice = pd.Series(names).duplicated(keep=False).to_numpy()
    if twice.any():
        name = names[int(np.argmax(twice))]
        of_name = [file.name for file, each in zip(files, names, strict=True) if each == name]
        raise UserError(
            f"{folder}: {listed(of_name)} have one name, {shown(name)}: keep one of them, or rename"
        )
    return np.array(names, dtype=object)
