"""Names of a user's columns, classes and files as text that can't be anything else.

One way for each place they are written to: a terminal (whose markup and escapes they could be), a
Markdown file and a figure. HTML is escaped by the page's template, control characters there too.
"""

from __future__ import annotations

import re

from meddistill.errors import shortened, visible

LONGEST, LONGEST_LABEL = 200, 40
MARKDOWN = re.compile(r"[\\`*\[\]<>|&$~]|(?<![^\W_])_|_(?![^\W_])")
"""What Markdown (GitHub's, with mathematics) could take for its own; `_` inside a word is none."""


def one_line(text: str) -> str:
    """One line of visible characters."""
    return visible(text).replace("\n", "\\n")


def line(text: str, most: int = LONGEST) -> str:
    """One line of visible characters, at most `most`."""
    return shortened(one_line(text), most)


def markdown(text: str) -> str:
    """A line that Markdown shows as it is."""
    return MARKDOWN.sub(lambda found: "\\" + found[0], one_line(text))


def figure_text(text: str, most: int = LONGEST_LABEL) -> str:
    """A line short enough for a figure; matplotlib hides labels that begin with `_`."""
    shown = line(text, most)
    return "\N{ZERO WIDTH SPACE}" + shown if shown.startswith("_") else shown
