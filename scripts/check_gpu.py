"""What a GPU changes, in under four minutes, as one table.

    python scripts/check_gpu.py
    python scripts/check_gpu.py --accelerator cpu --members 20 40   # the script itself, without one

The main job there and on the CPU (probabilities equal within `TOLERANCE`; without dropout, for
which a GPU draws other random numbers), the same in bf16, stacks of students of tables, the
ResNet's images a second and its share of a plain loop's, and a run that is killed and goes on. A
line that fails is named, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

import benchmark_images

TOLERANCE, HALF_TOLERANCE = 1e-3, 0.05
"""Largest differences of a probability to the CPU's: sums in another order; bf16's eight bits."""
TEACHER = ("teacher=mlp", "teacher.trainer.max_epochs=20")
EXACT = (*TEACHER, "teacher.network.dropout=0")
STUDENT = ("trainer.max_epochs=30", "logger=none")
Check = Callable[[Path], str]


def job(folder: Path, *arguments: str) -> Path:
    """The folder of a job that was done there."""
    command = [sys.executable, "-m", "meddistill", "distill", *arguments, f"hydra.run.dir={folder}"]
    done = subprocess.run(command, cwd=folder.parent, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    return folder


def answers(folder: Path) -> np.ndarray:
    """[rows, classes] of a finished run."""
    table = pd.read_parquet(folder / "predictions.parquet")
    return table[[name for name in table if name.startswith("p_")]].to_numpy()


class Checks:
    """The checks, each from a folder to what it found; an assertion is what failed.

    Args:
        accelerator: `gpu`, or `cpu` to try the script itself.
        members: Students of each stack.
    """

    def __init__(self, accelerator: str, members: Sequence[int]) -> None:
        self.accelerator, self.members = accelerator, members

    def main_job(self, place: Path) -> str:
        """Teacher and student on both."""
        mine, cpu = (
            answers(job(place / name, *EXACT, *STUDENT, f"accelerator={name}", f"store={name}"))
            for name in (self.accelerator, "cpu")
        )
        difference = float(np.abs(mine - cpu).max())
        assert difference <= TOLERANCE, f"probabilities differ by {difference:.1e}"
        return f"largest difference of a probability to the CPU {difference:.1e}"

    def half(self, place: Path) -> str:
        """bf16-mixed beside full precision."""
        full, half = (
            answers(job(place / precision, *EXACT, *STUDENT, f"accelerator={self.accelerator}",
                        f"trainer.precision={precision}", "store=store"))
            for precision in ("32-true", "bf16-mixed")
        )  # fmt: skip
        difference = float(np.abs(full - half).max())
        assert difference <= HALF_TOLERANCE, f"probabilities differ by {difference:.1e}"
        return f"largest difference of a probability to 32-true {difference:.1e}"

    def stacks(self, place: Path) -> str:
        """Students of breast cancer in one job each."""
        found = []
        for count in self.members:
            axes = f"stack.axes=['seed=range(0,{count // 10})','loss.alpha=range(0,10,1)']"
            axes = axes.replace("range(0,10,1)", ",".join(str(k / 10) for k in range(10)))
            started = time.perf_counter()
            folder = job(place / str(count), *TEACHER, *STUDENT, axes,
                         f"accelerator={self.accelerator}", "store=store")  # fmt: skip
            done = json.loads((folder / "job.json").read_text())["summary"]
            assert done["finished"] == count, f"{done['finished']} of {count} were trained"
            found.append(f"{count:,} students in {time.perf_counter() - started:.0f} s")
        return ", ".join(found)

    def images(self, place: Path) -> str:
        """The ResNet against a plain loop."""
        turns = 3 if self.accelerator == "gpu" else 1
        count = 4096 if self.accelerator == "gpu" else 256
        rate, share = benchmark_images.compare(count, 3, turns, self.accelerator)
        return f"{rate:,.0f} images a second, {share:.2f} of a plain loop"

    def kill(self, place: Path) -> str:
        """A killed run and its repeat."""
        more = (
            *TEACHER, "trainer.max_epochs=200", "patience=200", "save_seconds=0", "logger=none",
            "trainer.deterministic=true", f"accelerator={self.accelerator}", "store=store",
        )  # fmt: skip
        whole = answers(job(place / "whole", *more))
        command = [sys.executable, "-m", "meddistill", "distill", *more,
                   f"hydra.run.dir={place / 'killed'}"]  # fmt: skip
        running = subprocess.Popen(command, cwd=place, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)  # fmt: skip
        state = place / "killed" / "checkpoints" / "last.ckpt"
        while not state.exists() and running.poll() is None:
            time.sleep(0.05)
        os.kill(running.pid, signal.SIGKILL)
        was_killed = running.wait() == -signal.SIGKILL
        again = answers(job(place / "killed", *more))
        difference = float(np.abs(whole - again).max())
        assert was_killed, "it was finished before it could be killed"
        assert difference <= TOLERANCE, f"probabilities differ by {difference:.1e}"
        return f"largest difference of a probability to the undisturbed run {difference:.1e}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run every check and print what each found."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--accelerator", choices=("gpu", "cpu"), default="gpu")
    parser.add_argument("--members", type=int, nargs="+", default=[1000, 10_000])
    given = parser.parse_args(arguments)
    if given.accelerator == "gpu" and not torch.cuda.is_available():
        print("there is no GPU here that torch can use (torch.cuda.is_available() is False)")
        return 1
    torch.set_num_threads(1)
    name = torch.cuda.get_device_name() if given.accelerator == "gpu" else "CPU"
    print(f"{name}, torch {torch.__version__}")
    checks = Checks(given.accelerator, given.members)
    every: dict[str, Check] = {
        "main job": checks.main_job, "bf16": checks.half, "stacks": checks.stacks,
        "ResNet": checks.images, "kill and resume": checks.kill,
    }  # fmt: skip
    failed = 0
    for title, check in every.items():
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as place:
            try:
                found = check(Path(place))
            except (AssertionError, RuntimeError) as error:
                failed, found = failed + 1, f"FAILED: {error}"
        print(f"{title:16} {found} ({time.perf_counter() - started:.0f} s)", flush=True)
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
