"""How far long work is, and how long it will take, in lines that don't flood a log."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)
BETWEEN = 5.0
"""Seconds between two lines."""


class Pace:
    """Counts finished pieces of work and says now and then how far it is.

    Args:
        what: Such as 'trained {} students'; the count stands where the braces are.
        total: Pieces to do.
    """

    def __init__(self, what: str, total: int) -> None:
        self.what, self.total, self.done = what, total, 0
        self.started = self.told = time.perf_counter()

    def step(self, count: int = 1) -> None:
        """`count` more pieces are done."""
        self.done += count
        now = time.perf_counter()
        if self.done >= self.total or now - self.told < BETWEEN:
            return
        self.told, seconds = now, now - self.started
        left = seconds / self.done * (self.total - self.done)
        counted = self.what.format(f"{self.done:,} of {self.total:,}")
        log.info("%s in %.0f s, about %.0f s to go", counted, seconds, left)


def in_words(seconds: float) -> str:
    """A length of time of two digits in a unit that suits it."""
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


@contextmanager
def quiet(*names: str, level: int = logging.WARNING) -> Iterator[None]:
    """Loggers that say warnings alone: their lines are noise where there are dozens of them."""
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(level)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
