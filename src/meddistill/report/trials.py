"""A sweep of trials: a line for each, so that data, teachers or losses stand side by side."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from meddistill.evaluation.verdict import NAMES
from meddistill.files.atomic import read_json
from meddistill.report.publishing import publish
from meddistill.report.tables import Table
from meddistill.report.trial_tables import plain, signed_interval
from meddistill.sweeps.jobs import JOBS, read_rows
from meddistill.trial.folder import RECORD, SUMMARY

VERDICTS, REPORT = "verdicts.csv", "report.md"
SAID = ("mean", "low", "high", "p", "word")
NOTE = (
    "The difference is of the main arm to the baseline, in brackets its corrected 95 % interval. "
    "Simplest: the cheapest arm not shown to be worse than the best by more than the margins, with "
    "a star where it is shown that no other is better by more. A trial's own report is in its "
    "folder."
)


def is_of_trials(folder: Path) -> bool:
    """Whether a sweep's jobs were trials."""
    return any((folder / job["folder"] / RECORD).exists() for job in read_rows(folder / JOBS))


def report_trials(folder: Path) -> None:
    """Print the verdicts of all trials; write `verdicts.csv` and `report.md`."""
    jobs = sorted(read_rows(folder / JOBS), key=lambda job: int(job["job"]))
    varied = _varied(jobs)
    lines = [line for job in jobs for line in _lines(folder, job, varied)]
    failed = [f"job {j['job']} failed: {j['error']}" for j in jobs if j["status"] != "completed"]
    table = _table(lines, varied, [NOTE, *failed])
    table.show()
    publish(folder / VERDICTS, pd.DataFrame(lines).to_csv(index=False), "Table")
    publish(folder / REPORT, table.markdown(), "Report")


def _overrides(job: Mapping[str, Any]) -> dict[str, str]:
    parts = (override.partition("=") for override in json.loads(job["overrides"]))
    return {key.lstrip("+~"): value for key, _, value in parts}


def _varied(jobs: Sequence[Mapping[str, Any]]) -> list[str]:
    """The keys in which the jobs differ."""
    every = [_overrides(job) for job in jobs]
    keys = dict.fromkeys(key for own in every for key in own)
    return [key for key in keys if len({own.get(key) for own in every}) > 1]


def _lines(folder: Path, job: Mapping[str, Any], varied: Sequence[str]) -> list[dict[str, Any]]:
    """A line for each setting and measure of a finished trial."""
    results = folder / job["folder"] / SUMMARY
    if not results.exists():
        return []
    found, overrides = read_json(results), _overrides(job)
    front = {"job": int(job["job"]), "folder": job["folder"]}
    front |= {key: overrides.get(key, "") for key in varied}
    arms = {name: found["trial"].get(name) for name in ("baseline", "main")} | {
        "teacher": "teacher"
    }
    return [
        {
            **front, "setting": setting["title"], "measure": verdict["measure"],
            **{name: _mean(setting, arm, verdict["measure"]) for name, arm in arms.items()},
            **{key: verdict[key] for key in SAID},
            **_simplest(setting.get("simplest")),
        }
        for setting in found["settings"]
        for verdict in setting["verdicts"]
    ]  # fmt: skip


def _simplest(found: Mapping[str, Any] | None) -> dict[str, Any]:
    """The cheapest arm not shown to be worse than the best, in columns."""
    found = found or {}
    return {
        "simplest": found.get("label", "-"),
        "simplest_parameters": found.get("parameters"),
        "simplest_shown_as_good": found.get("as_good"),
    }


def _mean(setting: Mapping[str, Any], arm: str, measure: str) -> float | None:
    found = setting["arms"].get(arm)
    return float(found["measures"][measure]["mean"]) if found else None


def _named(line: Mapping[str, Any]) -> str:
    return str(line["simplest"]) + ("*" if line["simplest_shown_as_good"] else "")


def _table(
    lines: Sequence[Mapping[str, Any]], varied: Sequence[str], notes: Sequence[str]
) -> Table:
    columns = ["trial", *varied, "labels", "measure", "teacher", "baseline", "main",
               "difference", "verdict", "simplest"]  # fmt: skip
    rows = [
        [
            line["folder"], *(line[key] for key in varied), line["setting"],
            NAMES.get(line["measure"], line["measure"]),
            *(plain(line[name]) for name in ("teacher", "baseline", "main")),
            signed_interval(line), line["word"], _named(line),
        ]
        for line in lines
    ]  # fmt: skip
    return Table(f"Verdicts of {len({row[0] for row in rows})} trials", columns, rows, notes)
