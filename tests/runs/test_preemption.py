"""Told to stop, a process saves and leaves; SLURM is asked to run it again once, where it may."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conftest import SMALL_TEACHER
from meddistill.cli import app
from meddistill.runs import preemption
from meddistill.runs.preemption import Stopped

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture(autouse=True)
def _not_told_yet(monkeypatch):
    monkeypatch.setattr(preemption._Told, "at", None)  # and again afterwards


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """A stand-in for scontrol: what SLURM says of job 7_1; what it was asked to do."""

    def answers(facts):
        (tmp_path / "scontrol").write_text(
            f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n[ $1 = show ] && echo "{facts}"\nexit 0\n'
        )
        (tmp_path / "scontrol").chmod(0o755)

    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_JOB_ID", "9")
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "7")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "1")
    answers.requeued = lambda: "requeue 7_1" in (tmp_path / "asked").read_text()
    return answers


@pytest.mark.parametrize(
    ("facts", "requeued", "says"),
    [
        ("JobState=RUNNING Requeue=1 BatchFlag=1", True, "is requeued"),
        ("JobState=COMPLETING Requeue=1 BatchFlag=1", False, "is COMPLETING: not requeued"),
        ("JobState=RUNNING Requeue=0 BatchFlag=1", False, "sbatch --requeue"),
        ("JobState=RUNNING Requeue=1 BatchFlag=0", False, "repeat the command"),
        ("", False, "unknown to SLURM"),
    ],
)
def test_a_running_batch_job_alone_is_requeued(slurm, caplog, facts, requeued, says):
    slurm(facts)
    with pytest.raises(Stopped):
        preemption.leave()
    assert slurm.requeued() is requeued
    assert says in caplog.text


def test_a_second_process_of_a_job_leaves_the_requeue_to_the_first(slurm, monkeypatch, tmp_path):
    slurm("JobState=RUNNING Requeue=1 BatchFlag=1")
    monkeypatch.setenv("SLURM_PROCID", "1")
    with pytest.raises(Stopped):
        preemption.leave()
    assert not (tmp_path / "asked").exists()


@pytest.mark.slow
def test_a_sweep_that_is_told_to_stop_goes_on_with_the_job_it_was_in(tmp_path):
    command = [sys.executable, "-m", "meddistill", "distill", "-m", *SMALL_TEACHER,
               "hydra/sweeper=basic", "seed=0,1", "trainer.max_epochs=300", "patience=300",
               "save_seconds=0.1", "hydra.sweep.dir=sweep"]  # fmt: skip
    first = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             text=True)  # fmt: skip
    while first.poll() is None and len(list(tmp_path.glob("sweep/*/logs/*/metrics.csv"))) < 2:
        time.sleep(0.05)
    first.send_signal(signal.SIGTERM)
    err = first.communicate()[1]
    assert first.returncode == preemption.EXIT_CODE
    assert "the same command goes on from here" in err
    assert len(list(tmp_path.glob("sweep/*/checkpoints/last.ckpt"))) == 1
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("resuming from") == 1
    assert len(list(tmp_path.glob("sweep/*/metrics.json"))) == 2


@pytest.mark.slow
def test_killed_at_random_moments_runs_and_stacks_end_as_the_undisturbed_ones():
    done = subprocess.run([sys.executable, SCRIPTS / "kill_and_resume.py", "--kills", "4"],
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_told_to_stop_before_anything_is_begun_a_run_leaves_no_folder(meddistill, monkeypatch):
    monkeypatch.setattr(app, "run", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    code, _, err = meddistill("distill", "loss=ce", "hydra.run.dir=stopped")
    assert code == preemption.EXIT_CODE
    assert "the same command goes on from here" in err
    assert not Path("stopped").exists()
