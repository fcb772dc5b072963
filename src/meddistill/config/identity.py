"""What decides what a run is: its settings, and the content of the files that they name."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from meddistill.files.atomic import called_from, checksum

WITHOUT_EFFECT = (
    "hydra", "store", "debug", "tags", "notes", "trainer.enable_progress_bar", "save_seconds",
    "stack.chunk", "data.in_memory", "data.workers",
)  # fmt: skip
"""Keys that change no result: runs that differ in these alone are one run."""
SINCE = {
    "data.unlabelled": None,
    "data.unlabelled_static_path": None,
    "teacher.keep": "model",
    "teacher.most_rows": None,
    "teacher.batch_rows": None,
    "missing._target_": "meddistill.data.tables.empty_cells.Median",
    "missing.hide": 0.0,
    "teacher.missing._target_": "meddistill.data.tables.empty_cells.Median",
    "teacher.missing.hide": 0.0,
    "columns._target_": "meddistill.students.columns.Columns",
    "columns.keep": None,
    "columns.most": None,
    "columns.costs": None,
    "columns.budget": None,
    "columns.by": "teacher",
    "trial.columns": None,
    "trial.hide": None,
}
"""Keys that earlier versions did not have, and the value that does what those did: with it a run is
the one that it was. Of a teacher they are those of each in a committee too."""
SETS = ("columns.keep",)
"""Keys whose lists are the same in any order."""
FILES = (".path", "_path", "data.unlabelled", ".gmt", ".hierarchy")
"""How keys end whose values are files, the content of which decides what a run is."""
CONTENT_ALONE = ("data.unlabelled", "data.unlabelled_static_path")
"""Those of them that may lie anywhere, under any name."""
OF_COMMITTEE = re.compile(r"(?<=^teacher)(\.of\.[^.]+)+")
"""Where a teacher stands in a committee."""


def identity(config: Mapping[str, Any]) -> dict[str, Any]:
    """What decides a run's results, as flat keys: settings, and the content of files they name."""
    flat = dict(flatten(config))
    kept = {
        key: _in_order(key, value)
        for key, value in flat.items()
        if not is_without_effect(key)
        and SINCE.get(OF_COMMITTEE.sub("", key), ...) != value
        and key not in CONTENT_ALONE
    }
    axes = (config.get("stack") or {}).get("axes") or ()
    return {**kept, **contents(config), **contents_given(axes)}


def contents(config: Mapping[str, Any]) -> dict[str, str]:
    """What the files that settings name hold, as short checksums."""
    return {f"content of {key}": _content(path) for key, path in files_named(config)}


def contents_given(overrides: Iterable[str]) -> dict[str, str]:
    """The content of each file that overrides in Hydra's syntax give a key, such as axes do.

    Args:
        overrides: As they are typed; one that can't be read is refused elsewhere.
    """
    given = [text for text in map(str, overrides) if text.partition("=")[0].endswith(FILES)]
    return {f"content of {key}={path}": _content(from_call(path)) for key, path in _values(given)}


def _values(overrides: Iterable[str]) -> Iterable[tuple[str, str]]:
    """The texts that overrides give their keys, one or several."""
    from hydra.core.override_parser.overrides_parser import OverridesParser  # models need no Hydra
    from hydra.errors import HydraException

    for text in overrides:
        try:
            override = OverridesParser.create().parse_override(text)
        except HydraException:
            continue
        several = override.is_sweep_override()
        values = override.sweep_iterator(lambda each: each) if several else [override.value()]
        for value in values:
            if value is not None:
                yield override.get_key_element(), str(getattr(value, "text", value))


def _in_order(key: str, value: Any) -> Any:
    """A setting's value; names that are a set in the order of the alphabet, a number as its name.

    They are read in the table's order however they are given.
    """
    return sorted(map(str, value)) if key in SETS and isinstance(value, list) else value


def files_named(node: Any, prefix: str = "") -> Iterable[tuple[str, Path]]:
    """The files that settings name, with their dotted keys; those within lists too."""
    inner = node.items() if isinstance(node, Mapping) else ()
    for key, value in enumerate(node) if isinstance(node, list) else inner:
        if isinstance(value, (Mapping, list)):
            yield from files_named(value, f"{prefix}{key}.")
        elif f"{prefix}{key}".endswith(FILES) and isinstance(value, str):
            yield f"{prefix}{key}", from_call(value)


def is_without_effect(key: str) -> bool:
    """Whether a key changes no result."""
    return f"{key}.".startswith(tuple(f"{each}." for each in WITHOUT_EFFECT))


def from_call(path: str | Path) -> Path:
    """A path as the caller means it: from where the command was given, under `chdir` too."""
    given, here = Path(path).expanduser(), called_from()
    return given if here == Path.cwd() else here / given


def short_hash(value: object, digits: int = 8) -> str:
    """Hexadecimal digits that stand for `value`."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:digits]


def flatten(node: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    """Leaves of a nested config with their dotted keys."""
    for key, value in node.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _content(path: Path) -> str:
    """A short checksum of a file, a run folder's model, or all files of another folder."""
    if path.is_file():
        return checksum(path)[:16]
    if path.is_dir() and not (path / "model.json").exists():
        return _of_files(path, tuple(_files(path)))
    weights = ("**/best.ckpt", "**/*.skops", "**/preprocessing.json", "**/out_of_fold.parquet")
    kinds = (*weights, "*/**/model.json")
    parts = [path / "model.json", *sorted(file for kind in kinds for file in path.glob(kind))]
    found = [checksum(part) for part in parts if part.is_file()]
    return short_hash(found, digits=16) if found else "absent"


def _files(folder: Path) -> Iterable[tuple[str, int, int]]:
    """Each file below a folder by its name there, with its size and when it was changed."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        stat = path.stat()
        yield str(path.relative_to(folder)), stat.st_size, stat.st_mtime_ns


@lru_cache(maxsize=8)
def _of_files(folder: Path, files: tuple[tuple[str, int, int], ...]) -> str:
    """A short checksum of the names and contents of files, worked out once as long as they stay."""
    found = [(name, checksum(folder / name)) for name, _, _ in files]
    return short_hash(found, digits=16) if found else "absent"
