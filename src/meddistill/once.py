"""The same finding is said once a command, with how often it came; the log files hold every one."""

from __future__ import annotations

import logging
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from meddistill.errors import visible

log = logging.getLogger(__name__)
NOTE: dict[str, Any] = {"extra": {"finding": True}}
"""For a logger's `info`: what is found in data is said once as a warning is, and not counted."""
LONGEST = 200
_counts: Counter[tuple[Any, ...]] = Counter()
_said: dict[tuple[Any, ...], str] = {}


class Once(logging.Filter):
    """Lets a warning through that this command hasn't given yet: by its words, not its numbers."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to say it."""
        is_warning = record.levelno >= logging.WARNING
        if not is_warning and not getattr(record, "finding", False):
            return True
        given = record.args if isinstance(record.args, tuple) else (str(record.args),)
        words = tuple(str(each) for each in given if not isinstance(each, (int, float)))
        key = (record.levelno, record.name, str(record.msg), *words)
        _counts[key] += 1
        if is_warning:
            _said.setdefault(key, record.getMessage())
        return _counts[key] == 1


@contextmanager
def counted() -> Iterator[None]:
    """Around a command: at its end it says what was found more than once, and how often.

    Warnings of libraries are said in the same way, without the lines of code that gave them.
    """
    shown, warnings.showwarning = warnings.showwarning, _as_log
    try:
        yield
    finally:
        warnings.showwarning = shown
        for key, text in _said.items():
            if _counts[key] > 1:
                print(f"{_counts[key]} times in all: {visible(text)[:LONGEST]}")
        _counts.clear()
        _said.clear()


def _as_log(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
    """In place of `warnings.showwarning`."""
    log.warning("%s: %s", category.__name__, " ".join(str(message).split()))
