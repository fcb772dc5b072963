"""matplotlib figures as inline SVG that takes on the page's colours."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK, GRID, SHADE = "#010101", "#020202", "#030303"
SERIES = [f"#0a000{number}" for number in range(8)]
"""Stand-ins: the page's light and dark schemes say which colours they are."""
VARIABLES = {INK: "currentColor", GRID: "var(--grid)", SHADE: "var(--shade)"} | {
    colour: f"var(--s{number})" for number, colour in enumerate(SERIES)
}
MARKERS = ["o", "s", "^", "D", "v", "P", "X", "*"]
LINES: list[Any] = ["-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (7, 2))]
SETTINGS: Any = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # a class may be named $\\frac$
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": GRID,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "axes.axisbelow": True,
}


@dataclass(frozen=True)
class Style:
    """How one arm is drawn everywhere: colour, marker and line differ, not colour alone."""

    color: str
    marker: str
    linestyle: Any


def style(number: int) -> Style:
    """The style of the arm of that number."""
    place = number % len(SERIES)
    return Style(SERIES[place], MARKERS[place], LINES[place])


@contextmanager
def drawing(width: float, height: float) -> Iterator[tuple[Figure, Axes]]:
    """A figure of inches with one pair of axes, without pyplot and its state."""
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure, figure.add_subplot()


def as_svg(figure: Figure, name: str) -> str:
    """The figure as an `<svg>` that scales to its box; `name` makes its ids its own."""
    file = io.StringIO()
    with matplotlib.rc_context({**SETTINGS, "svg.hashsalt": name}):
        none = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        with warnings.catch_warnings():  # letters that matplotlib's font lacks, the page's may have
            warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
            figure.savefig(file, format="svg", transparent=True, metadata=none)
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r"<[^>]+>", lambda found: _as_the_pages(found[0], name), text)
    return text.replace("<svg ", '<svg aria-hidden="true" ', 1)


def _as_the_pages(tag: str, name: str) -> str:
    """A tag with the page's font and colours; what stands between tags is the user's words."""
    tag = re.sub(r'\b(id="|clip-path="url\(#|xlink:href="#)', lambda m: _prefixed(m, name), tag)
    tag = re.sub(r'font-family: [^;"]*', "font-family: inherit", tag)
    for colour, variable in VARIABLES.items():
        tag = tag.replace(colour, variable)
    return tag


def _prefixed(found: re.Match[str], name: str) -> str:
    """An id, or a reference to one, with the figure's name before it."""
    return f"{found[0]}{name}-"
