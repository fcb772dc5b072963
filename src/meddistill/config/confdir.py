"""Where the configs lie, and what can be chosen; imports nothing heavy."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from textwrap import fill

LINE = 110
"""Columns of a line of help."""
VERBS = {
    "teacher": "train a teacher, once",
    "distill": "train a student from a frozen teacher, which is found or trained",
    "trial": "is distillation worth it on these data: arms, repeated splits, a verdict, a report",
}

FOLDER_VERBS = {
    "report": "of a finished run, sweep or trial: tables printed, a page with plots beside it",
    "pick": "one student of a sweep, written out as an ordinary run folder",
    "export": "the model of a run in a folder to hand on: no rows, no ids, no paths",
}


def conf_dir() -> Path:
    """`conf` inside an installed package, or at the top of a checkout."""
    inside = Path(__file__).parents[1] / "conf"
    return inside if inside.is_dir() else Path(__file__).parents[3] / "conf"


def choices(group: str, *more: Path) -> list[str]:
    """Names that `group=` can take; a leading underscore marks a part of others."""
    folders = [conf_dir(), *more]
    names = {file.stem for folder in folders for file in (folder / group).glob("*.yaml")}
    return sorted(name for name in names if not name.startswith("_"))


def listed_choices(groups: Iterable[str], width: int = 12, more: Iterable[Path] = ()) -> str:
    """Each group with what it can be, configs of one's own in the folders `more` among them."""
    more = list(more)
    return "\n".join(
        fill(
            f"  {group:<{width}} {', '.join(choices(group, *more))}",
            width=LINE, subsequent_indent=" " * (width + 3), break_on_hyphens=False,
        )
        for group in groups
    )  # fmt: skip
