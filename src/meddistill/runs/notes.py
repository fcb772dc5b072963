"""Tags and notes: what a person says of a run, beside what decides it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from meddistill.errors import SettingError
from meddistill.files.atomic import write_atomically

log = logging.getLogger(__name__)
CONFIG = "config.yaml"


def check_notes(settings: Mapping[str, Any]) -> None:
    """Refuse tags that are no list of words, and notes that are no text.

    Raises:
        SettingError: It says how to give them.
    """
    tags, notes = settings["tags"], settings["notes"]
    if not isinstance(tags, list) or not all(isinstance(tag, (str, int, float)) for tag in tags):
        raise SettingError("tags", tags, "must be a list of words: tags=[pilot,icu]")
    if notes is not None and not isinstance(notes, (str, int, float)):
        raise SettingError("notes", notes, "must be a text: 'notes=\"as agreed on Monday\"'")


def renew_notes(folder: Path, settings: Mapping[str, Any]) -> None:
    """Put new tags and notes into the config of a finished run; without any the old ones stay."""
    given = {key: settings[key] for key in ("tags", "notes") if settings[key]}
    file = folder / CONFIG
    if not given or not file.exists():
        return
    there = yaml.safe_load(file.read_text(encoding="utf-8"))
    if {**there, **given} != there:
        write_atomically(file, yaml.safe_dump({**there, **given}, sort_keys=False))
        log.info("%s", notes_line(given))


def notes_of(folder: Path) -> str:
    """A finished run's, or those of a sweep's jobs, in a line; empty without any."""
    file = folder / CONFIG
    if not file.exists():  # a sweep's jobs have the same
        file = next(iter(sorted(folder.glob(f"*/{CONFIG}"))), file)
    if not file.exists():
        return ""
    return notes_line(yaml.safe_load(file.read_text(encoding="utf-8")) or {})


def notes_line(settings: Mapping[str, Any]) -> str:
    """`Tags: a, b. Notes: ...`, as far as there are any."""
    tags, notes = settings.get("tags") or [], settings.get("notes")
    said = [f"Tags: {', '.join(map(str, tags))}."] if tags else []
    return " ".join([*said, *([f"Notes: {notes}"] if notes else [])])
