"""What the user got wrong, said in one message: where, what and how to mend it."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

LONGEST, LONGEST_VALUE = 1500, 200
"""Characters of a message, and of a setting's value in it, at most."""
UNUSUAL = re.compile(r"[^\n -~\u00a1-\u00ac\u00ae-\u02ff\u0370-\u058f\u1e00-\u1fff]")
"""Characters to look at: some of them steer a terminal, or can't be seen."""


PLAIN = re.compile(r"[\w./%*@?|+-]+( +[\w./%*@?|+-]+)*")
"""A text that needs no quotes inside a list."""


class UserError(Exception):
    """A mistake the user can mend; the command line prints it alone and exits with 2.

    Whatever cells and names stand in the message, it can neither steer a terminal nor fill it.
    """

    exit_code = 2

    def __init__(self, message: object) -> None:
        super().__init__(shortened(visible(str(message)), LONGEST))


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
        why = " ".join(why.split())[:200]
        super().__init__(f"{path} is damaged ({why}); {mend}")
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
        given = shortened(visible(typed(value)).replace("\n", "\\n"), LONGEST_VALUE)
        super().__init__(f"{key}={given}: {mend}")
        self.key, self.value, self.mend = key, value, mend

    def __reduce__(self) -> tuple[type[SettingError], tuple[str, str, str]]:
        """Launchers pickle a failed job's error; by default only the message would come back."""
        return type(self), (self.key, typed(self.value), self.mend)

    def under(self, prefix: str) -> SettingError:
        """The same error with its key's config group put before it."""
        return SettingError(f"{prefix}.{self.key}", self.value, self.mend)


def typed(value: object) -> str:
    """A setting's value as it is typed on the command line: null, true, [age,sex], {crp: 10}."""
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(_element, value))}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{name}: {_element(each)}' for name, each in value.items())}}}"
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)


def _element(value: object) -> str:
    """A value inside another; a text in quotes where it has signs of the grammar in it."""
    if isinstance(value, str) and not PLAIN.fullmatch(value):
        return repr(value)
    return typed(value)


def visible(text: str) -> str:
    """`text` with control characters and marks of direction spelled out; line breaks stay."""

    def spelled(found: re.Match[str]) -> str:
        character = found[0]
        unseen = unicodedata.category(character)[0] == "C" or character in "\u2028\u2029"
        return character.encode("unicode_escape").decode() if unseen else character

    return UNUSUAL.sub(spelled, text)


def shortened(text: str, most: int) -> str:
    """`text` of at most `most` characters: its middle gives way."""
    if len(text) <= most:
        return text
    head = (most - 5) * 2 // 3
    return f"{text[:head]} ... {text[head + 5 - most :]}"


def shown(value: object, most: int = 60) -> str:
    """A cell or a name from a user's file in quotes, on one line of printable characters."""
    text = shortened(visible(str(value)).replace("\n", "\\n"), most)
    return f'"{text}"' if "'" in text else f"'{text}'"


def listed(names: Iterable[object], most: int = 5) -> str:
    """Names from a user's file as `shown`, the first few of them."""
    every = list(names)
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(shown(name) for name in every[:most]) + more


def columns_named(names: Iterable[object], most: int = 5) -> str:
    """`listed` after the word column, in the plural where there are several."""
    every = list(names)
    return f"column{'s' if len(every) > 1 else ''} {listed(every, most)}"


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


def optional_number(key: str, value: Any, *, above: float | None = None) -> float | None:
    """`number`, or None as it is."""
    return None if value is None else number(key, value, above=above)


def optional_integer(key: str, value: Any, *, at_least: int = 0) -> int | None:
    """`integer`, or None as it is."""
    return None if value is None else integer(key, value, at_least=at_least)
