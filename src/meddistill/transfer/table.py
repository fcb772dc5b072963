"""The plan of a transfer as people read it, and as a run folder keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from meddistill.files.atomic import read_json, write_json
from meddistill.transfer.plan import Line

PLAN = "init.json"
HEADS = ("student's layer", "teacher's layer", "units taken", "numbers taken")
SHOWN = 8
"""Units that are named in the table."""


def table(lines: Sequence[Line]) -> str:
    """A line for each of the student's layers."""
    rows = [HEADS, *(_cells(line) for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADS))]
    shown = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
             for row in rows]  # fmt: skip
    return "\n".join(["init: what the student takes of its teacher", *map(str.rstrip, shown)])


def save_plan(folder: Path, students: Sequence[Sequence[Line]]) -> None:
    """Keep the plans of one student, or of several, in a folder."""
    plain = [[asdict(line) for line in lines] for lines in students]
    write_json(folder / PLAN, {"students": plain})


def read_plan(folder: Path) -> list[list[Line]]:
    """The plans that were kept, one a student."""
    return [[Line(**line) for line in lines] for lines in read_json(folder / PLAN)["students"]]


def _cells(line: Line) -> tuple[str, str, str, str]:
    share = f"{line.numbers} of {line.size} ({line.numbers / max(1, line.size):.0%})"
    if line.teacher is None:
        return line.layer, "none", line.reason, share
    named = " ".join(map(str, line.units[:SHOWN])) + (" ..." if len(line.units) > SHOWN else "")
    units = f"{len(line.units)} of {line.of}: {named}" if line.units else "all of it"
    return line.layer, line.teacher, units, share
