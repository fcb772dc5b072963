"""What the file system refused, in one sentence: which file, why, and what to do."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from meddistill.errors import DiskError, UserError

PLACE = "choose another place (store=..., hydra.run.dir=... or hydra.sweep.dir=...)"
ROOM = f"make room or {PLACE}, and repeat the command, which goes on from here"
MACHINE = {
    errno.ENOSPC: ("the disk is full", ROOM),
    errno.EDQUOT: ("the disk's quota is used up", ROOM),
    errno.EFBIG: ("a file may not become that large here", PLACE),
    errno.EIO: ("the disk failed (input/output error)", f"check it, or {PLACE}"),
    errno.ESTALE: ("the network's file system lost it", "repeat the command"),
    errno.ENOENT: ("it is gone", "repeat the command, which makes anew what was removed meanwhile"),
    errno.EMFILE: ("too many files are open", "raise the limit (ulimit -n)"),
    errno.ENFILE: ("too many files are open on this machine", "close other programs"),
}
"""By error number why it failed and the mend, where the machine is to blame."""
CHOSEN = {
    errno.EROFS: "its file system is read-only",
    errno.EACCES: "there is no right to it",
    errno.EPERM: "it is not permitted",
    errno.ENAMETOOLONG: "its name is too long",
    errno.ENOTDIR: "a file stands where a folder must be",
    errno.EEXIST: "a file stands where a folder must be",
    errno.EISDIR: "a folder stands where a file must be",
    errno.ELOOP: "its links lead round in a circle",
}
"""By error number why it failed, where the user chose the place."""


def refused(error: BaseException | None) -> OSError | None:
    """The file system's refusal that caused `error`, if one did and the user was not told yet."""
    while error is not None and not isinstance(error, UserError):
        if isinstance(error, OSError) and (error.errno in MACHINE or error.errno in CHOSEN):
            return error
        error = error.__cause__
    return None


def reason(error: OSError) -> str:
    """Which file was refused, and why."""
    # A library may say in words what it was doing; Python's own errors name the file.
    name = error.filename or error.strerror or "a file"
    return f"{name}: {CHOSEN.get(error.errno or 0) or MACHINE[error.errno or 0][0]}"


def disk_error(error: BaseException | None) -> UserError | None:
    """What the file system refused, if that is what caused `error`, as one message.

    Returns:
        A `DiskError` where the machine is to blame, a `UserError` where a place was chosen that
        won't do, None of any other error.
    """
    found = refused(error)
    if found is None:
        return None
    if found.errno in CHOSEN:
        return UserError(f"{reason(found)}; {PLACE}")
    return DiskError(f"{reason(found)}; {MACHINE[found.errno or 0][1]}")


@contextmanager
def told() -> Iterator[None]:
    """Raise what the file system refuses meanwhile as one message."""
    try:
        yield
    except Exception as error:
        found = disk_error(error)
        if found is None:
            raise
        raise found from error
