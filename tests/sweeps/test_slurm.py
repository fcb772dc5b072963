"""On a real SLURM: jobs are queued, preempted, cancelled and killed, and nothing is lost.

`make test-slurm` starts a throw-away cluster on this machine; nothing is sent to any other.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        "MEDDISTILL_TEST_SLURM" not in os.environ, reason="needs a local SLURM (make test-slurm)"
    ),
]
COMMAND = (sys.executable, "-m", "meddistill")
TEACHER = ("teacher.members=1", "teacher.network.width=16", "teacher.trainer.max_epochs=5")
LONG = (
    *TEACHER,
    "student.dropout=0.1",
    "trainer.max_epochs=1500",
    "patience=1500",
    "logger.csv.flush_logs_every_n_steps=100",  # `training` looks for the file
    "save_seconds=100",
)
LAUNCHER = ("hydra/launcher=slurm", "hydra.launcher.mem_gb=1", "hydra.launcher.timeout_min=20")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder with an empty store."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEDDISTILL_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return tmp_path


def said(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def launch(*arguments, verb="distill", where="sweep"):
    """A sweep whose jobs go into the queue, in the background."""
    return subprocess.Popen(
        [*COMMAND, verb, "-m", *LAUNCHER, *arguments, f"hydra.sweep.dir={where}"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def wait_for(what, seconds=90):
    """Until `what` answers something; it."""
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, said("squeue")
        time.sleep(0.2)
    return found


def jobs(folder="sweep"):
    """The lines of `jobs.csv`."""
    with Path(folder, "jobs.csv").open(newline="") as file:
        return sorted(csv.DictReader(file), key=lambda row: int(row["job"]))


def training(count=1, folder="sweep"):
    """Run folders in which a student is being trained."""
    found = [path.parents[2] for path in Path(folder).glob("*/logs/version_0/metrics.csv")]
    found += [path.parents[3] for path in Path(folder).glob("*/parts/*/checkpoints/last.ckpt")]
    return found if len(found) >= count else []


def job_ids():
    return said("squeue", "--noheader", "--array", "--format=%i", "--states=R").split()


def weights(folder):
    [best] = Path(folder).glob("checkpoints/best.ckpt")
    return hashlib.sha256(best.read_bytes()).hexdigest()


def metrics(folder):
    return json.loads(Path(folder, "metrics.json").read_text())


def restarts(job):
    return int(re.search(r"Restarts=(\d+)", said("scontrol", "show", "job", job))[1])


def alone(*settings, where="alone"):
    """The undisturbed run's weights."""
    subprocess.run([*COMMAND, "distill", *settings, f"hydra.run.dir={where}"], check=True,
                   capture_output=True)  # fmt: skip
    return weights(where)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Weights of the long run that nobody disturbs."""
    folder = tmp_path_factory.mktemp("whole")
    return alone(*LONG, f"store={folder}/store", where=folder / "run")


def test_a_stacked_sweep_of_several_jobs(here):
    done = launch(*TEACHER, "seed=range(0,6)", "student=mlp_small,mlp_tiny", "trainer.max_epochs=5",
                  "hydra.sweeper.members_per_job=3")  # fmt: skip
    out = done.communicate(timeout=180)[0]
    assert done.returncode == 0, out
    assert "queued as SLURM job" in out
    assert [row["status"] for row in jobs()] == ["completed"] * 4
    assert len(Path("sweep/sweep.csv").read_text().splitlines()) == 13


def test_four_jobs_train_one_missing_teacher_once(here):
    done = launch(*TEACHER, "hydra/sweeper=basic", "seed=range(0,4)", "trainer.max_epochs=2",
                  "hydra.launcher.mem_gb=null")  # fmt: skip
    out = done.communicate(timeout=240)[0]
    assert done.returncode == 0, out
    logs = "".join(path.read_text() for path in Path("sweep").glob("*/distill.log"))
    assert logs.count("training member 1 of 1") == 1
    assert len(list(Path("store/teachers").glob("*/manifest.json"))) == 1


def test_a_job_near_its_time_limit_saves_is_requeued_once_and_ends_with_the_same_weights(
    here, whole
):
    done = launch(*LONG, "hydra/sweeper=basic", "seed=0")
    [folder] = wait_for(training)
    signal_job("USR1", folder)  # SLURM's own before the limit; two processes get SIGTERM below
    finish_requeued(done, folder)
    assert weights(folder) == whole


def signal_job(way, folder):
    """Signal the one job there is, in the middle of its training."""
    [job] = wait_for(job_ids)
    time.sleep(2)
    said("scancel", "-s", way, job)
    wait_for(lambda: restarts(job))
    assert (folder / "checkpoints" / "last.ckpt").exists()  # save_seconds was far from over
    (folder / "job").write_text(job)


def finish_requeued(done, folder):
    """The sweep ends well, its job requeued once and resumed."""
    out = done.communicate(timeout=180)[0]
    assert done.returncode == 0, out
    assert restarts((folder / "job").read_text()) == 1
    assert "resuming from" in (folder / "distill.log").read_text()


def test_a_signalled_job_of_two_processes_goes_on_as_two_and_is_the_same(here):
    two = ("accelerator=ddp", "hydra.launcher.tasks_per_node=2", "hydra/sweeper=basic", "seed=0")
    quick = [*TEACHER, "trainer.max_epochs=500", "patience=500", *LONG[-2:]]
    undisturbed = launch(*quick, *two, where="undisturbed")
    out = undisturbed.communicate(timeout=180)[0]
    assert undisturbed.returncode == 0, out
    done = launch(*quick, *two)
    [folder] = wait_for(training)
    signal_job("TERM", folder)
    finish_requeued(done, folder)
    assert "2 processes on 1 node(s) train together" in (folder / "distill.log").read_text()
    assert weights(folder) == weights(next(Path("undisturbed").glob("*/metrics.json")).parent)
    assert len(jobs()) == 1


def test_trials_and_optuna_run_in_the_queue(here):
    trial = ("arm=[teacher,student_alone,distilled]", "trial.repeats=2", "trial.seeds=1",
             "student=mlp_tiny,logistic", "trial.few_labels=null")  # fmt: skip
    search = ("experiment=optuna", "hydra.sweeper.n_trials=2", "hydra.sweeper.n_jobs=2")
    quick = (*TEACHER, "trainer.max_epochs=2")
    both = [launch(*quick, *trial, verb="trial", where="trials"),
            launch(*quick, *search, where="search")]  # fmt: skip
    for done in both:
        out = done.communicate(timeout=240)[0]
        assert done.returncode == 0, out
    assert len(Path("trials/verdicts.csv").read_text().splitlines()) == 1 + 2 * 2
    assert [row["status"] for row in jobs("search")] == ["completed"] * 2


def test_a_preempted_stack_goes_on_and_every_member_is_the_same(here):
    quick = (*LONG[:-1], "save_seconds=1", "seed=range(0,4)", "loss.alpha=0.5,1")
    subprocess.run([*COMMAND, "distill", "-m", *quick, "hydra.sweep.dir=alone"],
                   check=True, capture_output=True)  # fmt: skip
    done = launch(*quick)
    wait_for(training)
    [job] = wait_for(job_ids)
    time.sleep(2)
    said("sbatch", "--partition=high", "--nodes=2", "--exclusive", "--output=/dev/null",
         "--wrap=sleep 2")  # fmt: skip
    wait_for(lambda: restarts(job))
    out = done.communicate(timeout=180)[0]
    assert done.returncode == 0, out
    assert restarts(job) == 1
    [one], [other] = (list(Path(name).glob("*/predictions.parquet")) for name in ("sweep", "alone"))
    assert one.read_bytes() == other.read_bytes()


def _processes(job):
    """Of an array's task: its Python, by what SLURM put into its environment."""
    array, _, task = job.partition("_")
    marks = [f"SLURM_ARRAY_JOB_ID={array}\0".encode(), f"SLURM_ARRAY_TASK_ID={task}\0".encode()]
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            mine = all(mark in path.read_bytes() for mark in marks)
            runs = b"submitit" in (path.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if mine and runs and b"python" in (path.parent / "cmdline").read_bytes().split(b"\0")[0]:
            found.append(int(path.parent.name))
    return found


@pytest.mark.parametrize("way", ["scancel", "kill -9"])
def test_a_job_that_is_ended_fails_with_its_log_named_and_only_it_is_done_again(here, way):
    two = (*LONG[:-1], "save_seconds=1", "hydra/sweeper=basic", "seed=0,1")
    done = launch(*two)
    wait_for(lambda: len(list(Path("sweep").glob("*/checkpoints/last.ckpt"))) == 2)
    first = min(wait_for(lambda: len(job_ids()) == 2 and job_ids()))
    if way == "scancel":
        said("scancel", first)
    else:
        for process in _processes(first):
            os.kill(process, signal.SIGKILL)
    out = done.communicate(timeout=180)[0]
    assert done.returncode != 0
    failed, other = sorted(jobs(), key=lambda row: row["status"], reverse=True)
    assert (failed["status"], other["status"]) == ("failed", "completed")
    assert ("CANCELLED" if way == "scancel" else "FAILED") in failed["error"]
    log = re.search(r"its log: (\S+)", failed["error"])[1]
    assert Path(log).exists()
    assert failed["error"] in " ".join(out.split())
    before = weights(f"sweep/{other['folder']}")
    again = launch(*two)
    out = again.communicate(timeout=180)[0]
    assert again.returncode == 0, out
    assert [row["status"] for row in jobs()] == ["completed"] * 2
    assert weights(f"sweep/{other['folder']}") == before
    assert "resuming from" in Path("sweep", failed["folder"], "distill.log").read_text()
    assert "resuming from" not in Path("sweep", other["folder"], "distill.log").read_text()


def test_two_nodes_share_one_fit_and_its_metrics_are_exact(here):
    settings = (*TEACHER, "trainer.max_epochs=5")
    alone(*settings)
    command = " ".join([*COMMAND, "distill", *settings, "trainer.strategy=ddp",
                        "trainer.num_nodes=2", "hydra.run.dir=two"])  # fmt: skip
    job = ("sbatch", "--wait", "--nodes=2", "--ntasks-per-node=1", "--output=two.txt",
           "--open-mode=append", f"--wrap=srun --kill-on-bad-exit {command}")  # fmt: skip
    said(*job)
    out = Path("two.txt").read_text()
    assert "2 processes on 2 node(s) train together" in out
    assert out.count("Test rows of") == 1
    assert len(list(Path("store/teachers").glob("*/manifest.json"))) == 1
    for part in ("validation", "test"):
        own, other = (metrics(name)["student"][part] for name in ("two", "alone"))
        assert own == pytest.approx(other, abs=1e-4)
    said(*job)  # finished: both processes see it and none waits for the other
    assert Path("two.txt").read_text().count("Test rows of") == 2


def test_a_queue_that_refuses_says_so(here):
    done = launch(*TEACHER, "hydra/sweeper=basic", "seed=0", "hydra.launcher.partition=nowhere")
    out = done.communicate(timeout=60)[0]
    assert done.returncode == 2
    assert "hydra/launcher=slurm: the jobs can't be queued" in out
    assert "invalid partition" in out
