"""Files of a model's folder, which may come from anywhere: inside it, regular, not too large."""

from __future__ import annotations

import io
import json
import os
import re
import stat
import zipfile
from pathlib import Path
from typing import Any

LARGEST_JSON = 64 * 2**20
"""Bytes of a JSON file in a model's folder."""
DEEPEST_JSON = 50
PART = re.compile(r"[^/\\\0:]+")


def regular_file(folder: Path, name: object) -> Path:
    """Where the file `name` of a model's folder lies.

    Raises:
        ValueError: The name leads out of the folder, through a link, or to no regular file.
    """
    parts = name.split("/") if isinstance(name, str) else [""]
    if any(part in (".", "..") or not PART.fullmatch(part) for part in parts):
        raise ValueError(f"{name!r} is no name of a file inside the folder")
    path = folder
    for part in parts:
        path = path / part
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            raise ValueError(f"{name!r} is, or lies behind, a symbolic link")
    if not stat.S_ISREG(mode):
        raise ValueError(f"{name!r} is no regular file")
    return path


def read_regular(folder: Path, name: object, most: int | None = None) -> bytes:
    """The bytes of a file of a model's folder.

    Args:
        folder: The model's folder.
        name: As the folder names it, relative.
        most: Bytes that are read; larger files are refused.

    Raises:
        ValueError: As for `regular_file`, or the file is too large.
    """
    path = regular_file(folder, name)
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if most is not None and size > most:
            raise ValueError(f"{name!r} has {size} bytes, more than the {most} that are read")
        return file.read()


def read_plain_json(folder: Path, name: str) -> Any:
    """The value in a JSON file of a model's folder.

    Raises:
        ValueError: As for `read_regular`, or it is no JSON, or nested deeper than any of ours.
    """
    try:
        value = json.loads(read_regular(folder, name, LARGEST_JSON))
    except (RecursionError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{name!r} is no JSON: {error}") from error
    if _depth(value) > DEEPEST_JSON:
        raise ValueError(f"{name!r} is nested more than {DEEPEST_JSON} times")
    return value


def check_archive(content: bytes, name: str) -> None:
    """Refuse a zip archive whose entries are packed: they could be of any size when unpacked.

    torch and skops store entries as they are.

    Raises:
        ValueError: It is no zip archive, or an entry is packed.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise ValueError(f"{name!r} is damaged, or no file of a model: {error}") from error
    packed = [entry.filename for entry in entries if entry.compress_type != zipfile.ZIP_STORED]
    if packed or sum(entry.file_size for entry in entries) > len(content):
        raise ValueError(f"{name!r} is packed, which no file of a model is")


def _depth(value: Any) -> int:
    """How many lists and mappings lie in each other, worked out without recursion."""
    depth, level = 0, [value]
    while level := [item for each in level for item in _items(each)]:
        depth += 1
    return depth


def _items(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
