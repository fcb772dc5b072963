"""The students of a sweep or a job, a row each, every one once."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from meddistill.runs.reading import flat_metrics, parse, read_csv, read_metrics
from meddistill.runs.runfolder import RunFolder
from meddistill.stack.folder import METRICS, StackFolder
from meddistill.sweeps.jobs import JOBS, read_rows

log = logging.getLogger(__name__)
STUDENT = ("member", "status", "seed")
"""Columns of a table with a row a student."""
OWN = ("job", "folder", "member", "status", "error", "score", "epochs", "seconds")
"""Columns in which the same student, trained twice, may differ; so may its measures."""
MEASURES = ("val/", "test/", "teacher/val/", "teacher/test/")


def collect(folder: Path) -> tuple[pd.DataFrame, str]:
    """A row a student of a sweep: its job's settings, its own, and its measures.

    Returns:
        The rows, and `sweep.csv`'s text of them.
    """
    jobs = read_rows(folder / JOBS)
    rows = pd.concat([_job(folder, job) for job in jobs], ignore_index=True)
    # One type a column, whatever the jobs wrote; a hash such as 651e9999 is no number.
    typed = parse(rows.to_csv(index=False), dtype={"folder": str})
    made_from = {job["folder"]: _made_from(folder / job["folder"]) for job in jobs}
    again = _again(typed, typed["folder"].map(made_from))
    _say(folder, again)
    return typed[~again].reset_index(drop=True), rows[~again].to_csv(index=False)


def members(job: Path) -> pd.DataFrame:
    """A row a student of a job with many.

    Raises:
        DamagedError: Its table is damaged.
    """
    frame = read_csv(job / METRICS, STUDENT)
    again = _again(frame, pd.Series("", index=frame.index))
    _say(job, again)
    return frame[~again].reset_index(drop=True)


def _again(frame: pd.DataFrame, made_from: pd.Series[Any]) -> pd.Series[bool]:
    """Which rows are of a student that another row has: the first that finished is kept.

    Args:
        frame: A row a student; one without a member for a job that failed as a whole, whose
            students nobody knows.
        made_from: What else a row's numbers were made from, as text.
    """
    same = [name for name in frame if name not in OWN and not str(name).startswith(MEASURES)]
    finished_first = (frame["status"] != "completed").sort_values(kind="stable").index
    settings = frame[same].assign(**{"made from": made_from}).loc[finished_first]
    known = frame.reindex(columns=["member"])["member"].notna()
    return settings.duplicated().reindex(frame.index) & known


def _say(folder: Path, again: pd.Series[bool]) -> None:
    if count := int(again.sum()):
        log.warning(
            "%s: students that are there twice, with the same settings: %d; each counts once, as "
            "first finished", folder, count,
        )  # fmt: skip


def _made_from(job: Path) -> str:
    """The content of the files that a job's settings name."""
    kind = StackFolder if (job / METRICS).exists() else RunFolder
    made_by = kind(job, {}).made_by() or {}
    return json.dumps({k: v for k, v in made_by.items() if k.startswith("content of ")})


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
