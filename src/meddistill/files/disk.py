"""What the file system refused, in one sentence: which file, why, and what to do."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from meddistill.errors import DiskError, UserError

PLACE = "choose another place (store=..., hydra.run.dir=... or hydra.sweep.dir=...)"
AGAIN = "repeat the command that makes it"
ROOM = f"make room or {PLACE}, and repeat the command, which goes on from here"
REFUSALS: dict[int, tuple[type[UserError], str, str]] = {
    errno.ENOSPC: (DiskError, "the disk is full", ROOM),
    errno.EDQUOT: (DiskError, "the disk's quota is used up", ROOM),
    errno.EFBIG: (DiskError, "a file may not become that large here", PLACE),
    errno.EIO: (DiskError, "the disk failed (input/output error)", f"check it, or {PLACE}"),
    errno.ESTALE: (DiskError, "the network's file system lost it", AGAIN),
    errno.EMFILE: (DiskError, "too many files are open", "raise the limit (ulimit -n)"),
    errno.ENFILE: (DiskError, "too many files are open on this machine", "close other programs"),
    errno.ENOENT: (UserError, "it is not there, or not any more", AGAIN),
    errno.EROFS: (UserError, "its file system is read-only", PLACE),
    errno.EACCES: (UserError, "there is no right to it", PLACE),
    errno.EPERM: (UserError, "it is not permitted", PLACE),
    errno.ENAMETOOLONG: (UserError, "its name is too long", PLACE),
    errno.ENOTDIR: (UserError, "a file stands where a folder must be", PLACE),
    errno.EEXIST: (UserError, "a file stands where a folder must be", PLACE),
    errno.EISDIR: (UserError, "a folder stands where a file must be", PLACE),
    errno.ELOOP: (UserError, "its links lead round in a circle", PLACE),
}
"""By error number whether the machine or a chosen place is to blame, why, and the mend."""


def refused(error: BaseException | None) -> OSError | None:
    """The file system's refusal that caused `error`, if one did and the user was not told yet."""
    while error is not None and not isinstance(error, UserError):
        if isinstance(error, OSError) and error.errno in REFUSALS:
            return error
        error = error.__cause__
    return None


def reason(error: OSError) -> str:
    """Which file was refused, and why."""
    return f"{error.filename or 'a file'}: {REFUSALS[error.errno or 0][1]}"


def disk_error(error: BaseException | None) -> UserError | None:
    """What the file system refused, if that is what caused `error`, as one message.

    Returns:
        A `DiskError` where the machine is to blame, a `UserError` where a place was chosen that
        won't do, None of any other error.
    """
    found = refused(error)
    if found is None:
        return None
    kind, _, mend = REFUSALS[found.errno or 0]
    return kind(f"{reason(found)}; {mend}")


@contextmanager
def told(folder: Path) -> Iterator[None]:
    """Raise what the file system refuses meanwhile as one message.

    Args:
        folder: To be named where the error names no file, as those of pyarrow don't.
    """
    try:
        yield
    except Exception as error:
        cause = refused(error)
        if cause is not None and cause.filename is None:
            cause.filename = str(folder)
        found = disk_error(error)
        if found is None:
            raise
        raise found from error
