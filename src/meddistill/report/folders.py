"""The report of a folder: of a run, of a job with many members, or of a sweep."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from meddistill.errors import DamagedError, UserError
from meddistill.files import read_json, shown
from meddistill.notes import notes_of
from meddistill.report.page import Page, render
from meddistill.report.publishing import noted, publish
from meddistill.report.reading import parse, read_csv
from meddistill.report.surface import surface_tables
from meddistill.report.tables import Table, run_table
from meddistill.runfolder import RunFolder
from meddistill.sweep import JOBS, flat_metrics, read_rows
from meddistill.trial.folder import RECORD

STUDENT = ("member", "status", "seed")
"""Columns of a table with a row a student."""
REPEAT = "the command that made it, repeated, makes it again"
SWEEP, REPORT, METRICS, PAGE = "sweep.csv", "report.md", "metrics.csv", "report.html"


def report(folder: Path) -> None:
    """Print the report of `folder` and write its page, `report.html`, beside the results.

    Raises:
        UserError: There is no finished run, sweep or trial.
    """
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
        report_run(folder, metrics)
        _write_page(folder, run_page(folder, metrics))
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
    """A single run: its table, and `report.md`."""
    table = run_table(metrics)
    table.show()
    _write(folder, [table])


def report_members(folder: Path) -> pd.DataFrame:
    """A job with many members: the surface they make; the members, a row each."""
    students = read_csv(folder / METRICS, STUDENT)
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


def report_sweep(folder: Path) -> pd.DataFrame:
    """A sweep: all students in `sweep.csv`, the surface they make in `report.md`."""
    text = collect(folder).to_csv(index=False)
    students = parse(text, dtype={"folder": str})
    tables = surface_tables(students)
    for table in tables:
        table.show()
    publish(folder / SWEEP, text, "Table")
    _write(folder, tables)
    return students


def read_metrics(folder: Path) -> dict[str, Any]:
    """What came of a finished run.

    Raises:
        DamagedError: Its file is damaged.
    """
    file = folder / "metrics.json"
    metrics = RunFolder.sound(read_json(file))
    if metrics is None:
        raise DamagedError(file, "it lacks what every run's has", REPEAT)
    return metrics


def collect(folder: Path) -> pd.DataFrame:
    """A row a student of a sweep: its job's settings, its own, and its measures."""
    return pd.concat([_job(folder, job) for job in read_rows(folder / JOBS)], ignore_index=True)


def _job(folder: Path, job: Mapping[str, Any]) -> pd.DataFrame:
    """The students of a job; one row for a failed one."""
    here = folder / job["folder"]
    if (here / METRICS).exists():
        frame = read_csv(here / METRICS, STUDENT)
    elif (here / "metrics.json").exists():
        facts = {"member": 0, "seed": job["seed"], "status": "completed"}
        frame = pd.DataFrame([facts | flat_metrics(read_metrics(here))])
    else:
        frame = pd.DataFrame(
            [{"seed": job["seed"], "status": job["status"], "error": job["error"]}]
        )
    front: dict[str, Any] = {"job": job["job"], "folder": job["folder"]}
    for override in json.loads(job["overrides"]):
        key, _, value = override.partition("=")
        key = key.lstrip("+~")
        if not key.startswith("stack.") and key not in frame:
            front[key] = value
    columns = {name: [value] * len(frame) for name, value in front.items()}
    return pd.concat([pd.DataFrame(columns), frame], axis=1)


def _write(folder: Path, tables: list[Table]) -> None:
    if said := notes_of(folder):
        print(said)
    parts = [*(table.markdown() for table in tables), *([f"{said}\n"] if said else [])]
    publish(folder / REPORT, "\n".join(parts), "Report")
