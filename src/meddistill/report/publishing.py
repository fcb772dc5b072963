"""Pages and tables beside the results of a finished folder, which may be read-only."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from meddistill.files.atomic import shown, write_atomically
from meddistill.files.disk import reason, refused
from meddistill.report.page import Page
from meddistill.runs.notes import notes_of

STALE = 600.0
"""Seconds after which a half-written page is nobody's: other processes may report here too."""


def publish(path: Path, content: str, what: str | None = None) -> None:
    """Write `content` to `path`, unless it holds it already, and print where it is.

    Where it can't be written, that and why is printed: what is reported was shown anyway.

    Args:
        path: The file.
        content: Of it.
        what: The word before the path; None prints no place.
    """
    try:
        if not _holds(path, content):
            write_atomically(path, content)
            _remove_half_written(path)
    except OSError as error:
        if refused(error) is None:
            raise
        print(f"{what or 'Report'} is not written: {reason(error)}")
        return
    if what:
        print(f"{what}: {shown(path)}")


def noted(page: Page, folder: Path) -> Page:
    """The page with the folder's tags and notes below its title."""
    return replace(page, lead=" ".join(filter(None, [page.lead, notes_of(folder)])))


def _holds(path: Path, content: str) -> bool:
    return path.is_file() and path.read_bytes() == content.encode()


def _remove_half_written(path: Path) -> None:
    """Remove what killed reports left of the same file."""
    for left in path.parent.glob(f".{path.name}.*.tmp"):
        if time.time() - left.stat().st_mtime > STALE:
            left.unlink(missing_ok=True)
