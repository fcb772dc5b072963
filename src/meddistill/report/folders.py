"""The report of a folder: of a run, of a job with many members, or of a sweep."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from meddistill.errors import UserError
from meddistill.files.atomic import shown
from meddistill.report.page import Page, render
from meddistill.report.publishing import noted, publish
from meddistill.report.surface import surface_tables
from meddistill.report.tables import Table, run_table
from meddistill.runs.notes import notes_of
from meddistill.runs.reading import read_metrics
from meddistill.stack.folder import METRICS
from meddistill.sweeps.jobs import JOBS, own_sweeps
from meddistill.sweeps.students import collect, members
from meddistill.trial.folder import RECORD

SWEEP, REPORT, PAGE = "sweep.csv", "report.md", "report.html"


def report(folder: Path, examples: int | None = None) -> None:
    """Print the report of `folder` and write its page, `report.html`, beside the results.

    Args:
        folder: Of a run, a job, a sweep or a trial.
        examples: Pictures or series of a run's largest errors on its page; None for none.

    Raises:
        UserError: There is no finished run, sweep or trial, or it is no run on such rows.
    """
    if examples is not None and not (folder / "metrics.json").exists():
        raise UserError(f"--examples shows pictures or series of one run, and {folder} is none")
    # What draws is imported where it is needed: matplotlib and scikit-learn take a second.
    if (folder / RECORD).exists():
        from meddistill.report.trial import report_trial

        report_trial(folder)
    elif (folder / JOBS).exists():
        students = report_jobs(folder)
        if students is not None:
            _write_sweep_page(folder, students)
    elif (folder / METRICS).exists():
        _write_sweep_page(folder, report_members(folder))
    elif (folder / "metrics.json").exists():
        from meddistill.report.run_page import run_page

        metrics = read_metrics(folder)
        page = run_page(folder, metrics, examples)
        report_run(folder, metrics)
        _write_page(folder, page)
    else:
        raise UserError(f"{folder} is no folder of a finished run, sweep or trial")


def _write_sweep_page(folder: Path, students: pd.DataFrame) -> None:
    from meddistill.report.sweep_page import sweep_page

    _write_page(folder, sweep_page(folder.resolve().name, students))


def say_page(folder: Path) -> None:
    """How to get the page: the end of a run doesn't wait for plots."""
    print(f"A page with plots: meddistill report {shown(folder)}")


def _write_page(folder: Path, page: Page) -> None:
    publish(folder / PAGE, render(noted(page, folder)), "Page")


def report_run(folder: Path, metrics: Mapping[str, Any]) -> None:
    """A single run: its table, that of a card or of gene sets, and `report.md`."""
    tables = [run_table(metrics)]
    if card := metrics.get("scorecard"):
        from meddistill.report.scorecard import card_table

        tables.append(card_table(card, metrics["data"]["positive"]))
    if sets := metrics.get("pathways"):
        from meddistill.report.pathways import pathways_table

        tables.append(pathways_table(sets, metrics["data"]["classes"]))
    for table in tables:
        table.show()
    _write(folder, tables)


def report_members(folder: Path) -> pd.DataFrame:
    """A job with many members: the surface they make; the members, a row each."""
    students = members(folder)
    for table in surface_tables(students):
        table.show()
    print(f"Table: {shown(folder / METRICS)}")
    return students


def report_jobs(folder: Path) -> pd.DataFrame | None:
    """A multirun's jobs: the verdicts of trials, or the surface that students make.

    Returns:
        The students, a row each; None of trials.
    """
    from meddistill.report.trials import is_of_trials, report_trials

    if is_of_trials(folder):
        report_trials(folder)
        return None
    return report_sweep(folder)


def show_sweeps() -> None:
    """Print this process's sweeps and write their reports."""
    for folder in own_sweeps():
        report_jobs(folder)
        if (folder / SWEEP).exists():
            say_page(folder)


def report_sweep(folder: Path) -> pd.DataFrame:
    """A sweep: all students in `sweep.csv`, the surface they make in `report.md`."""
    students, text = collect(folder)
    tables = surface_tables(students)
    for table in tables:
        table.show()
    publish(folder / SWEEP, text, "Table")
    _write(folder, tables)
    return students


def _write(folder: Path, tables: list[Table]) -> None:
    if said := notes_of(folder):
        print(said)
    parts = [*(table.markdown() for table in tables), *([f"{said}\n"] if said else [])]
    publish(folder / REPORT, "\n".join(parts), "Report")
