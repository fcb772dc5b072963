"""The report of a folder: of a run, of a job with many members, or of a sweep."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from meddistill.errors import UserError
from meddistill.files import read_json, shown, write_atomically
from meddistill.report.page import Page, render
from meddistill.report.surface import surface_tables
from meddistill.report.tables import Table, run_table
from meddistill.sweep import JOBS, flat_metrics, read_rows
from meddistill.trial.folder import RECORD

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
        report_jobs(folder)
        if (folder / SWEEP).exists():
            _write_sweep_page(folder, folder / SWEEP)
    elif (folder / METRICS).exists():
        report_members(folder)
        _write_sweep_page(folder, folder / METRICS)
    elif (folder / "metrics.json").exists():
        from meddistill.report.run_page import run_page

        metrics = read_json(folder / "metrics.json")
        report_run(folder, metrics)
        _write_page(folder, run_page(folder, metrics))
    else:
        raise UserError(f"{folder} is no folder of a finished run, sweep or trial")


def _write_sweep_page(folder: Path, table: Path) -> None:
    from meddistill.report.sweep_page import sweep_page

    _write_page(folder, sweep_page(folder.resolve().name, pd.read_csv(table)))


def say_page(folder: Path) -> None:
    """How to get the page: the end of a run doesn't wait for plots."""
    print(f"A page with plots: meddistill report {shown(folder)}")


def _write_page(folder: Path, page: Page) -> None:
    write_atomically(folder / PAGE, render(page))
    print(f"Page: {shown(folder / PAGE)}")


def report_run(folder: Path, metrics: Mapping[str, Any]) -> None:
    """A single run: its table, and `report.md`."""
    table = run_table(metrics)
    _write(folder, [table])
    table.show()
    print(f"Report: {shown(folder / REPORT)}")


def report_members(folder: Path) -> None:
    """A job with many members: the surface they make."""
    for table in surface_tables(pd.read_csv(folder / METRICS)):
        table.show()
    print(f"Table: {shown(folder / METRICS)}")


def report_jobs(folder: Path) -> None:
    """A multirun's jobs: the verdicts of trials, or the surface that students make."""
    from meddistill.report.trials import is_of_trials, report_trials

    report_trials(folder) if is_of_trials(folder) else report_sweep(folder)


def report_sweep(folder: Path) -> None:
    """A sweep: all students in `sweep.csv`, the surface they make in `report.md`."""
    collect(folder).to_csv(folder / SWEEP, index=False)
    tables = surface_tables(pd.read_csv(folder / SWEEP))  # as anybody reads the file
    _write(folder, tables)
    for table in tables:
        table.show()
    print(f"Table: {shown(folder / SWEEP)}\nReport: {shown(folder / REPORT)}")


def collect(folder: Path) -> pd.DataFrame:
    """A row a student of a sweep: its job's settings, its own, and its measures."""
    return pd.concat([_job(folder, job) for job in read_rows(folder / JOBS)], ignore_index=True)


def _job(folder: Path, job: Mapping[str, Any]) -> pd.DataFrame:
    """The students of a job; one row for a failed one."""
    here = folder / job["folder"]
    if (here / METRICS).exists():
        frame = pd.read_csv(here / METRICS)
    elif (here / "metrics.json").exists():
        facts = {"member": 0, "seed": job["seed"], "status": "completed"}
        frame = pd.DataFrame([facts | flat_metrics(read_json(here / "metrics.json"))])
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
    write_atomically(folder / REPORT, "\n".join(table.markdown() for table in tables))
