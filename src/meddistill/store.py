"""A local store found by content: each entry is made once, whole, and checked when it is used."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

from meddistill.files import checksum, locked, read_json, write_json

log = logging.getLogger(__name__)
MANIFEST = "manifest.json"


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
        that stays when it is killed, so that a repeat goes on there; the entry appears by one
        rename.
        """
        entry, partial = self.root / key, self.root / f"{key}.partial"
        if self._is_whole(entry):
            return entry
        self.root.mkdir(parents=True, exist_ok=True)
        with locked(self.root / f"{key}.lock"):
            if self._is_whole(entry):
                return entry
            if entry.exists():
                log.warning("store entry %s is damaged; it is made again", entry)
                shutil.rmtree(entry)
            partial.mkdir(exist_ok=True)
            make(partial)
            write_json(partial / MANIFEST, _checksums(partial))
            partial.rename(entry)
        return entry

    @staticmethod
    def _is_whole(entry: Path) -> bool:
        try:
            manifest = read_json(entry / MANIFEST)
            return isinstance(manifest, dict) and manifest == _checksums(entry)
        except (OSError, ValueError):
            return False


def _checksums(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    return {path.relative_to(folder).as_posix(): checksum(path) for path in files}
