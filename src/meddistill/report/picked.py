"""`meddistill pick`: the student picked, its table, and what its numbers are worth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from meddistill.files.atomic import read_json, shown
from meddistill.report.folders import report_run
from meddistill.sweeps.pick import pick


def show_pick(folder: Path, wanted: Sequence[str], best: bool, to: Path | None) -> None:
    """Pick a student, and print its table and what its numbers are worth."""
    path, fitting = pick(folder, wanted, best, to)
    report_run(path, read_json(path / "metrics.json"))
    if best and fitting == 1:
        print("One student fits: nothing was chosen.")
    elif best:
        print(
            "Chosen for its validation score, which is therefore too good to expect again; "
            f"'meddistill report {shown(folder)}' says what choosing so gives on test rows."
        )
