"""What is whole in a folder whose making may have been killed, by the checksums of its ledger.

`atomic.write_atomically` notes a checksum before the file takes its name. Who holds a folder's lock
opens its ledger: what is not as noted is removed, so that a repeat, which goes on from what it
finds, makes it anew. Nobody else has to ask whether a file is whole.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

from meddistill.files.atomic import LEDGER, TEMPORARY, checksum, replace

log = logging.getLogger(__name__)
LOCK = ".lock"
MANIFEST = "manifest.json"
"""The checksums of a store's entry, once it is whole."""


def open_ledger(folder: Path, gone_on_from: Callable[[Path], bool] = lambda _: True) -> None:
    """Begin the ledger of `folder` or go on with it; what is not whole in the folder is removed.

    A folder below that has a ledger or manifest of its own looks after itself. Call it with the
    folder's lock held: a file that another process is writing would be removed too.

    Args:
        folder: The folder.
        gone_on_from: Whether a file, relative to the folder, would be gone on from. One that was
            never noted is then removed; of other files those that nobody noted are the user's.
    """
    notes = noted(folder)
    for path in _files(folder):
        name = path.relative_to(folder)
        if TEMPORARY.fullmatch(path.name):
            path.unlink()
        elif name.as_posix() in notes:
            if not _is_whole(path, notes[name.as_posix()]):
                log.warning("%s is damaged: its checksum is not that of what was written; it is "
                            "made anew", path)  # fmt: skip
                path.unlink()
        elif gone_on_from(name):
            if path.suffix != LOCK:  # of a store below, which a kill leaves behind
                log.warning("%s is no file of what was at work here; it is made anew", path)
            path.unlink()
    lines = [f"{each}  {name}\n" for name, own in notes.items() for each in own]
    replace(folder / LEDGER, "".join(lines).encode())


def final_checksums(folder: Path) -> dict[str, str]:
    """Checksum of each file in `folder`, from when it was written.

    A file that was not written by `write_atomically` has its checksum from now.

    Raises:
        OSError: The ledger is gone, and with it the folder as it was.
    """
    notes = noted(folder)
    (folder / LEDGER).stat()
    return {
        name: notes[name][-1] if name in notes else checksum(path)
        for name, path in files_below(folder).items()
    }


def files_below(folder: Path) -> dict[str, Path]:
    """Every file in `folder` and its subfolders by its name there, besides ledger and manifest."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    own = (folder / LEDGER, folder / MANIFEST)
    return {path.relative_to(folder).as_posix(): path for path in files if path not in own}


def noted(folder: Path) -> dict[str, list[str]]:
    """The last two checksums of each file: a kill may have come before the newer took its name."""
    ledger, found = folder / LEDGER, dict[str, list[str]]()
    if ledger.is_file():
        for line in ledger.read_text(encoding="utf-8", errors="replace").splitlines():
            digest, _, name = line.partition("  ")
            found[name] = [*found.get(name, []), digest][-2:]
    return found


def _is_whole(path: Path, digests: list[str]) -> bool:
    return path.is_file() and not path.is_symlink() and checksum(path) in digests


def _files(folder: Path) -> Iterator[Path]:
    """Everything below that is no folder, besides ledgers and what looks after itself."""
    for path in sorted(folder.iterdir()):
        if path.is_symlink() or not path.is_dir():
            if path.name != LEDGER:
                yield path
        elif not any((path / own).exists() for own in (LEDGER, MANIFEST)):
            yield from _files(path)
