"""A sweep's jobs: a line for each as it finishes, whatever becomes of the others."""

from __future__ import annotations

import csv
import io
import itertools
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from meddistill.errors import DamagedError
from meddistill.files.atomic import locked, write_atomically
from meddistill.runs.runfolder import is_main_process

log = logging.getLogger(__name__)
JOBS = "jobs.csv"
COLUMNS = ("job", "status", "folder", "seed", "overrides", "error")
LISTED_ANEW = "the sweep's command, repeated, lists its jobs anew"
_sweep_folder: list[Path] = []  # of this process: Hydra keeps its callbacks to itself


class SweepTable(Callback):
    """Hydra's callback that keeps `jobs.csv`; it runs where the job runs."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Settle the sweep's folder, and remember it to show the table even after a failure.

        The jobs compose configs of their own, in which the folder's hash would be another.
        """
        folder = str(config.hydra.sweep.dir)
        with read_write(config.hydra), open_dict(config.hydra):
            config.hydra.sweep.dir = folder
            quoted = folder.replace("\\", "\\\\").replace("'", "\\'")
            config.hydra.overrides.hydra.append(f"hydra.sweep.dir='{quoted}'")
        _sweep_folder.append(Path(folder))

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Note that the job finished or failed."""
        if config.hydra.mode != RunMode.MULTIRUN or not is_main_process():
            return
        note_job(config, Path(config.hydra.runtime.output_dir), job_return)


def note_job(config: DictConfig, folder: Path, job_return: JobReturn) -> None:
    """Write a job's line into `jobs.csv`."""
    row: dict[str, Any] = {"job": OmegaConf.select(config, "hydra.job.num")}
    row["status"] = job_return.status.name.lower()
    row["folder"] = folder.name
    row["seed"] = config.get("seed")
    row["overrides"] = json.dumps([as_typed(each) for each in config.hydra.overrides.task])
    row["error"] = ""
    if job_return.status != JobStatus.COMPLETED:
        error = job_return._return_value
        row["error"] = " ".join(str(error).split())
        log.error("job %s failed: %s", row["job"], error)
    add_row(folder.parent / JOBS, row)


def as_typed(override: str) -> str:
    """An override without the backslashes that Hydra puts before its own signs, such as a colon."""
    key, equals, text = override.partition("=")
    if "\\" not in text:
        return override
    value = OverridesParser.create().parse_override(override).value()
    return f"{key}{equals}{value}" if isinstance(value, str) else override


def add_row(path: Path, row: dict[str, Any]) -> None:
    """Put a job's row into the table, in place of an earlier one of the same folder.

    Its number is the command's or, where an earlier command into the same folder has a job of that
    number, the next that is free.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.with_suffix(".lock")):
        others = [old for old in _earlier(path) if old["folder"] != row["folder"]]
        taken = {str(old["job"]) for old in others}
        job = next(n for n in itertools.count(int(row["job"])) if str(n) not in taken)
        rows = [*others, {**row, "job": job}]
        columns = list(dict.fromkeys(key for each in rows for key in each))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_atomically(path, text.getvalue())


def _earlier(path: Path) -> list[dict[str, Any]]:
    """The table's rows; none of a damaged one, which is said."""
    try:
        return read_rows(path)
    except DamagedError as error:
        log.warning("%s", error)
        return []


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The table's rows, as text; none where there is no table.

    Raises:
        DamagedError: It is cut, or is another table.
    """
    if not path.exists():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (csv.Error, UnicodeDecodeError) as error:
        raise DamagedError(path, str(error), LISTED_ANEW) from error
    if not rows or any(row.get(name) is None for row in rows for name in COLUMNS):
        raise DamagedError(path, "it is no whole table of jobs", LISTED_ANEW)
    return rows


def own_sweeps() -> Iterator[Path]:
    """Folders of this process's sweeps that have jobs, each told once."""
    while _sweep_folder:
        folder = _sweep_folder.pop()
        if (folder / JOBS).exists():
            yield folder
