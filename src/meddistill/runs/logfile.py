"""What a run logs: lines that steer no terminal, and its log file."""

from __future__ import annotations

import logging
import sys
from contextlib import suppress

from meddistill.errors import visible


class Visible(logging.Formatter):
    """Lines whose control characters are spelled out: names of columns and classes are the user's.

    Line breaks stay, as in a traceback.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        return visible(super().format(record))


class LogFile(logging.FileHandler):
    """A log file that stops nothing: a finished run in a read-only folder is shown without it."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, where the file can be opened."""
        with suppress(OSError):
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  (logging's name)
        """Leave the full disk's traceback out of the terminal: the run's own files will tell."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)
