"""A self-contained HTML page: verdicts, tables, figures; nothing is fetched from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from meddistill.errors import visible

Cell = str | tuple[str, float]
"""Text, or text and the number it sorts by."""


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str
    kind = "text"


@dataclass(frozen=True)
class Notice:
    """What must not be overlooked."""

    title: str
    text: str
    kind = "notice"


@dataclass(frozen=True)
class Verdicts:
    """The verdicts of one setting: what was compared on, the word, and it in a sentence."""

    title: str
    summary: str
    cards: Sequence[tuple[str, str, str]]
    kind = "verdicts"


@dataclass(frozen=True)
class DataTable:
    """A table that sorts by a click on a head; the first column holds names.

    Args:
        columns: Heads.
        rows: Cells.
        notes: Lines below it.
        caption: Above it.
        fixed: Whether its order is to be kept, so that no head sorts it.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    notes: Sequence[str] = ()
    caption: str = ""
    fixed: bool = False
    kind = "table"

    def cells(self) -> list[list[tuple[str, str]]]:
        """Text and sort key of every cell."""
        return [
            [(cell, cell) if isinstance(cell, str) else (cell[0], repr(cell[1])) for cell in row]
            for row in self.rows
        ]


@dataclass(frozen=True)
class Plot:
    """A figure with what it shows in words, for who can't see it."""

    svg: str
    alternative: str
    caption: str
    kind = "plot"


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Args:
        title: Its head.
        parts: What it holds.
        side_by_side: Whether plots stand beside each other where there is room.
        own_page: Whether it is printed on a page of its own.
    """

    title: str
    parts: Sequence[Text | Notice | Verdicts | DataTable | Plot]
    side_by_side: bool = False
    own_page: bool = False


@dataclass(frozen=True)
class Page:
    """The whole page."""

    title: str
    lead: str
    sections: Sequence[Section]
    footer: Sequence[str] = field(default_factory=tuple)


def render(page: Page) -> str:
    """The page as HTML; whatever is not ours in it is escaped."""
    return str(_template().render(page=page))


def words_class(word: str) -> str:
    """A verdict's class in the style sheet."""
    return word.lower().replace(" ", "-")


def _written(value: Any) -> Any:
    """Text without control characters; our own figures (`safe`) as they are."""
    return visible(value) if type(value) is str else value


@cache
def _template() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("meddistill", "report"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, finalize=_written,
    )  # fmt: skip
    environment.filters["words_class"] = words_class
    return environment.get_template("page.html.jinja")
