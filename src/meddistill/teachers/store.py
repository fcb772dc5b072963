"""A local store found by content: each entry is made once, whole, and checked when it is used."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

from meddistill.errors import DiskError, UserError
from meddistill.files.atomic import LEDGER, checksum, locked, read_json, write_json
from meddistill.files.ledger import MANIFEST, files_below, final_checksums, open_ledger

log = logging.getLogger(__name__)


class Store:
    """Entries are folders named by a key, with a manifest of their files' checksums.

    Args:
        root: The store's folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def find_or_make(self, key: str, make: Callable[[Path], None]) -> Path:
        """The entry's folder; `make` fills it where it is absent or damaged.

        Of several processes one makes it and the others wait. `make` works in a folder of its own
        that stays when it is killed, so that a repeat goes on there with what is whole; the entry
        appears by one rename.

        Raises:
            UserError: The folder was removed while it was being made.
            DiskError: A file changed after it was written.
        """
        entry, partial = self.root / key, self.root / f"{key}.partial"
        if _is_whole(entry):
            return entry
        self.root.mkdir(parents=True, exist_ok=True)
        with locked(self.root / f"{key}.lock"):
            if _is_whole(entry):
                return entry
            if entry.exists() or entry.is_symlink():
                log.warning("store entry %s is damaged; it is made again", entry)
                _remove(entry)
            if not _is_whole(partial):  # it is where a kill came before the rename
                _fill(partial, make)
            partial.rename(entry)
        return entry


def _fill(partial: Path, make: Callable[[Path], None]) -> None:
    """Make an entry in `partial`, and its manifest."""
    if partial.is_symlink() or partial.is_file():
        log.warning("%s is no folder; it is made again", partial)
        _remove(partial)
    partial.mkdir(exist_ok=True)
    open_ledger(partial)
    make(partial)
    try:
        write_json(partial / MANIFEST, final_checksums(partial))
    except FileNotFoundError as error:
        raise UserError(f"{partial} was removed while it was being made; repeat the command") from (
            error
        )
    if not _is_whole(partial):
        raise DiskError(
            f"{partial}: a file there changed after it was written; check the disk, and repeat the "
            "command, which makes that file anew"
        )
    (partial / LEDGER).unlink()


def _is_whole(entry: Path) -> bool:
    """Whether all files of an entry, and no others, are there as they were written."""
    try:
        manifest = read_json(entry / MANIFEST)
        return manifest == {name: checksum(path) for name, path in files_below(entry).items()}
    except (OSError, ValueError):
        return False


def _remove(path: Path) -> None:
    """Remove a folder, a file or a link."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
