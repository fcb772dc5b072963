"""Being told to stop: save what is being trained, have SLURM run the job again, and leave.

SIGTERM comes where a cluster takes a machine away (and from `kill`, `docker stop`, `scancel`),
SIGUSR1 ahead of a time limit under `sbatch --signal=USR1@90`. This is the one owner of the
requeue: Lightning's own is off, and submitit's waits for another signal (SIGUSR2).
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from meddistill.runs.runfolder import is_main_process

log = logging.getLogger(__name__)
EXIT_CODE = 128 + signal.SIGTERM
WAIT = 10.0
"""Seconds that a fit may take to reach the end of its epoch; SLURM kills 30 s after SIGTERM."""


class Stopped(SystemExit):
    """The process was told to stop, and what it did is saved."""

    def __init__(self) -> None:
        super().__init__(EXIT_CODE)


class _Told:
    """What this process was told. `saving` counts the fits that save by themselves."""

    at: float | None = None
    saving: int = 0


@contextmanager
def watched() -> Iterator[None]:
    """Heed SIGTERM, and under SLURM SIGUSR1, while a job runs."""
    _Told.at, _Told.saving = None, 0
    if threading.current_thread() is not threading.main_thread():
        yield  # Python hands signals to the main thread alone
        return
    before = {number: signal.signal(number, _hear) for number in _signals()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _signals() -> list[signal.Signals]:
    under_slurm = "SLURM_JOB_ID" in os.environ
    return [signal.SIGTERM, *([signal.SIGUSR1] if under_slurm else [])]


def _hear(number: int, frame: FrameType | None) -> None:
    """Leave at once, unless a fit is going on that wants to save before."""
    if _Told.at is None:
        log.warning("%s: stopping", signal.Signals(number).name)
        _Told.at = time.monotonic()
        if not _Told.saving:
            leave()


@contextmanager
def saves() -> Iterator[None]:
    """A fit that asks `told` at the end of every epoch, and saves and leaves when it is."""
    _Told.saving += 1
    try:
        yield
    finally:
        _Told.saving -= 1
    if told():
        leave()


def take_back() -> None:
    """Heed SIGTERM again after Lightning put a handler of its own in our place."""
    if signal.getsignal(signal.SIGTERM) is not _hear and _is_watched():
        signal.signal(signal.SIGTERM, _hear)


def _is_watched() -> bool:
    return threading.current_thread() is threading.main_thread() and _Told.saving > 0


def told() -> bool:
    """Whether this process was told to stop."""
    return _Told.at is not None


def overdue() -> bool:
    """Whether it was told so long ago that the end of the epoch can't be waited for."""
    return _Told.at is not None and time.monotonic() - _Told.at > WAIT


def leave() -> None:
    """Have SLURM run the job again where there is one, and stop.

    Raises:
        Stopped: Always.
    """
    if _Told.at is None:
        _Told.at = time.monotonic()
    job = _job()
    if job is not None and is_main_process():
        _requeue(job)
    raise Stopped


def _job() -> str | None:
    """This job's id; of an array the task's, since one of them has the number of all."""
    if array := os.environ.get("SLURM_ARRAY_JOB_ID"):
        return f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    return os.environ.get("SLURM_JOB_ID")


def _requeue(job: str) -> None:
    """Put a running batch job back into the queue; a cancelled one stays cancelled."""
    facts = _facts(job)
    if facts.get("JobState") != "RUNNING":
        log.warning("job %s is %s: not requeued", job, facts.get("JobState", "unknown to SLURM"))
    elif facts.get("Requeue") != "1" or facts.get("BatchFlag") == "0":
        log.warning("job %s may not be requeued (sbatch --requeue): repeat the command", job)
    else:
        done = subprocess.run(
            ["scontrol", "requeue", job], capture_output=True, text=True, check=False
        )
        if done.returncode:
            log.error("job %s was not requeued: %s", job, done.stderr.strip())
        else:
            log.warning("job %s is requeued and will go on from here", job)


def _facts(job: str) -> dict[str, str]:
    """What SLURM says of a job; empty where it doesn't answer."""
    command = ["scontrol", "show", "job", "--oneliner", job]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return {}
    pairs = (word.partition("=") for word in said.stdout.split())
    return {name: value for name, _, value in pairs}
