"""Files that are whole or absent, their checksums, and locks between processes.

A folder that holds a ledger has the checksum of every file that is written below it noted there,
so that `meddistill.files.ledger` can tell later what a kill, a bad disk or a stranger's hand left
of it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from meddistill.errors import DamagedError, UserError
from meddistill.files.disk import disk_error

log = logging.getLogger(__name__)
LEDGER = ".meddistill-checksums"
"""Lines of a checksum and a path relative to the ledger's folder, as `sha256sum` writes them."""
TEMPORARY = re.compile(r"\..+\.[a-z0-9_]{8}\.tmp")
"""The name of a file of ours that is being written, or whose writing was killed."""
QUIET_SECONDS = 2.0
"""To wait for another process without a word about it."""


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write `content` to `path` so that a kill leaves the earlier file or the new one.

    Its checksum is noted first, in the nearest ledger above: a file that is there is always noted.
    """
    data = content.encode() if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        _note(path, data)
        replace(path, data)
    except OSError as error:
        if error.errno is not None:
            error.filename = str(path)  # a full disk names no file, a temporary one says nothing
        raise


def replace(path: Path, data: bytes) -> None:
    """Put `data` in the place of `path`, in whose folder it is written under another name first."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _note(path: Path, data: bytes) -> None:
    """Add a line to the nearest ledger above `path`, if there is one."""
    path = Path(os.path.abspath(path))  # noqa: PTH100  (links stay as they are)
    for folder in path.parents:
        if (folder / LEDGER).is_file():
            line = f"{hashlib.sha256(data).hexdigest()}  {path.relative_to(folder).as_posix()}\n"
            with (folder / LEDGER).open("a", encoding="utf-8") as ledger:
                ledger.write(line)
            return


def write_json(path: Path, value: Any) -> None:
    """`value` as readable JSON, written atomically; NaN becomes null."""
    write_atomically(path, as_json(value))


def as_json(value: Any) -> str:
    """`value` as readable JSON; NaN becomes null."""
    return json.dumps(_without_nan(value), indent=2, allow_nan=False) + "\n"


def read_json(path: Path) -> dict[str, Any]:
    """The record in a JSON file.

    Raises:
        DamagedError: It is cut, or holds something else.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise DamagedError(path, str(error)) from error
    if not isinstance(value, dict):
        raise DamagedError(path, f"it holds a {type(value).__name__}, not a record")
    return value


def checksum(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def locked(path: Path, seconds: float = -1) -> Iterator[None]:
    """Hold the lock file `path`: one process at a time, on all machines that share the folder.

    It is the kernel's flock, which a process that is killed lets go of.

    Args:
        path: The lock file.
        seconds: To wait for another process; -1 is for ever.

    Raises:
        Timeout: Another process held it all the time.
        UserError: The file system knows no locks, or the folder can't be written.
    """
    lock = FileLock(path)
    try:
        _acquire(lock, path, seconds)
    except Timeout:
        raise
    except (OSError, NotImplementedError) as error:
        raise disk_error(error) or UserError(
            f"{path} can't be locked ({error}): the folder must be writable and its file system "
            "must know flock (NFS 4 does, Lustre mounted with -o flock); choose another place "
            "(store=..., hydra.run.dir=..., hydra.sweep.dir=...)"
        ) from error
    try:
        yield
    finally:
        lock.release()


def _acquire(lock: FileLock, path: Path, seconds: float) -> None:
    """Acquire it; say that it takes long where somebody may wonder."""
    if seconds >= 0:
        lock.acquire(timeout=seconds)
        return
    try:
        lock.acquire(timeout=QUIET_SECONDS)
    except Timeout:
        log.info("waiting for another process that has %s", shown(path))
        lock.acquire()


def shown(path: Path) -> str:
    """A path as a person reads it: from where they gave the command, if it lies below."""
    path, here = path.resolve(), called_from()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def called_from() -> Path:
    """The folder where the command was given, which under Hydra's `chdir` is another."""
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf

    here = Path.cwd()
    if not HydraConfig.initialized():
        return here
    runtime = HydraConfig.get().runtime  # it may be an earlier command's, which is over
    if OmegaConf.is_missing(runtime, "output_dir"):  # the job's folder is only being named
        return here
    return Path(runtime.cwd) if here == Path(runtime.output_dir) else here


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and value != value else value
