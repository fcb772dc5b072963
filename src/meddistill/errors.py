"""What the user got wrong, said in one message: where, what and how to mend it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any


class UserError(Exception):
    """A mistake the user can mend; the command line prints it alone and exits with 2."""

    exit_code = 2


class DiskError(UserError):
    """What the machine could not do; the command line prints it alone and exits with 1."""

    exit_code = 1


class DamagedError(UserError, ValueError):
    """A file of ours that does not hold what was written.

    Args:
        path: The file.
        why: What is wrong with it.
        mend: What to do about it.
    """

    def __init__(self, path: Path, why: str, mend: str = "") -> None:
        mend = mend or "the command that made it makes it again in another folder"
        super().__init__(f"{path} is damaged ({why[:200]}); {mend}")
        self.path, self.why, self.mend = path, why, mend

    def __reduce__(self) -> tuple[type[DamagedError], tuple[Path, str, str]]:
        """Launchers pickle a failed job's error; by default only the message would come back."""
        return type(self), (self.path, self.why, self.mend)


class SettingError(UserError):
    """A setting out of its range.

    Args:
        key: Name of the setting, as typed on the command line as far as it is known.
        value: The value it was given.
        mend: What the value must be instead.
    """

    def __init__(self, key: str, value: object, mend: str) -> None:
        super().__init__(f"{key}={value}: {mend}")
        self.key, self.value, self.mend = key, value, mend

    def __reduce__(self) -> tuple[type[SettingError], tuple[str, str, str]]:
        """Launchers pickle a failed job's error; by default only the message would come back."""
        return type(self), (self.key, str(self.value), self.mend)

    def under(self, prefix: str) -> SettingError:
        """The same error with its key's config group put before it."""
        return SettingError(f"{prefix}.{self.key}", self.value, self.mend)


def number(
    key: str,
    value: Any,
    *,
    above: float | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
) -> float:
    """`value` as a finite float inside its range, or a `SettingError` that names the range."""
    limits = {"above": above, "at least": at_least, "at most": at_most}
    words = " and ".join(f"{word} {limit:g}" for word, limit in limits.items() if limit is not None)
    mend = f"must be a number {words}".rstrip()
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise SettingError(key, value, mend)
    below = (above is not None and value <= above) or (at_least is not None and value < at_least)
    if below or (at_most is not None and value > at_most):
        raise SettingError(key, value, mend)
    return float(value)


def integer(key: str, value: Any, *, at_least: int = 0) -> int:
    """`value` as a whole number of at least `at_least`, or a `SettingError`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < at_least:
        raise SettingError(key, value, f"must be a whole number of at least {at_least}")
    return value
