"""Times a thousand students: a stacked sweep, a plain PyTorch loop, and Hydra's basic sweeper.

Times are the processor's (user and system), which other processes of a shared machine change less
than the clock's. Rounds take all ways in turn; what is printed are medians over rounds.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import pandas as pd
import torch
from torch.nn import functional as F

from meddistill.data.batches import Rows
from meddistill.data.datamodule import CohortDataModule
from meddistill.data.split import split_cohort
from meddistill.data.tables.breast_cancer import breast_cancer
from meddistill.models.mlp import MLP

TEMPERATURES = (1, 1.5, 2, 3, 4, 5, 6, 8, 10, 15)
ALPHAS = (0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.85, 1)
BATCH, EPOCHS, PATIENCE = 64, 200, 20
LOOPED, PLAIN, FEWER = 25, 20, 5
PROGRAM = (sys.executable, "-m", "meddistill")
TEACHER = ("teacher=mlp", "teacher.trainer.max_epochs=20")


@dataclass(frozen=True)
class Command:
    """A finished process: processor's seconds, and peak memory in MiB."""

    seconds: float
    mebibytes: float


def run(folder: Path, *arguments: str) -> Command:
    """One `meddistill` process on one thread, its output thrown away."""
    environment = {**os.environ, "MEDDISTILL_STORE": str(folder / "store"), "OMP_NUM_THREADS": "1"}
    with (folder / "output.txt").open("w") as output:
        process = subprocess.Popen(
            [*PROGRAM, *arguments], cwd=folder, env=environment, stdout=output, stderr=output
        )
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit((folder / "output.txt").read_text())
    return Command(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def sweep(folder: Path, name: str, *axes: str) -> tuple[Command, Path]:
    """A sweep over `axes`; its process, and its folder."""
    process = run(folder, "distill", "-m", *TEACHER, f"hydra.sweep.dir={name}", *axes)
    return process, folder / name


def axes(seeds: int) -> tuple[str, ...]:
    """A hundred pairs of temperature and alpha, and seeds."""
    temperature, alpha = (",".join(map(str, values)) for values in (TEMPERATURES, ALPHAS))
    return f"loss.temperature={temperature}", f"loss.alpha={alpha}", f"seed=range(0,{seeds})"


def taught(folder: Path) -> CohortDataModule:
    """The rows and the teacher's answers that the sweeps read."""
    cohort = breast_cancer()
    data = CohortDataModule(cohort, split_cohort(cohort), batch_size=BATCH)
    (answers,) = (folder / "store" / "teachers").glob("*/answers.parquet")
    frame = pd.read_parquet(answers).drop(columns="row")
    return data.with_answers(frame.to_numpy(dtype="float32"))


def loop(data: CohortDataModule, settings: Sequence[tuple[float, float, int]]) -> float:
    """Seconds of a plain PyTorch loop, one student after the other, stopped early as ours are."""
    parts = data.train_rows, data.labelled_validation
    train, validation = (data.rows.at(torch.from_numpy(part)) for part in parts)
    started = time.process_time()
    for temperature, alpha, seed in settings:
        student(train, validation, temperature, alpha, seed)
    return time.process_time() - started


def student(
    train: Rows, validation: Rows, temperature: float, alpha: float, seed: int
) -> dict[str, torch.Tensor]:
    """The best weights of one student."""
    torch.manual_seed(seed)
    network = MLP((30,), 2, width=32)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)
    best, best_epoch, weights = float("inf"), 0, {}
    for epoch in range(EPOCHS):
        for index in torch.randperm(len(train.target)).split(BATCH):
            logits = network(train.inputs[index])
            soft = F.log_softmax(logits / temperature, dim=1)
            answers = F.log_softmax(train.answers[index] / temperature, dim=1)
            divergence = F.kl_div(soft, answers, reduction="batchmean", log_target=True)
            loss = (1 - alpha) * F.cross_entropy(logits, train.target[index])
            loss = loss + alpha * temperature**2 * divergence
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            score = float(F.cross_entropy(network(validation.inputs), validation.target))
        if score < best:
            best, best_epoch = score, epoch
            weights = {key: value.clone() for key, value in network.state_dict().items()}
        if epoch - best_epoch >= PATIENCE:
            break
    return weights


def operations(epochs: float, train: int, validation: int) -> float:
    """Multiplications and additions of the matrix products of a 30-32-2 student."""
    first, second = 2 * 30 * 32, 2 * 32 * 2
    forward, backward = first + second, first + 2 * second
    return epochs * (train * (forward + backward) + validation * forward)


def matrix_rate() -> float:
    """Operations a second of one large matrix product on this core."""
    a = torch.randn(1024, 1024)
    best = float("inf")
    for _ in range(10):
        started = time.perf_counter()
        a @ a
        best = min(best, time.perf_counter() - started)
    return 2 * 1024**3 / best


def benchmark(largest: int, rounds: int) -> None:
    """Print the table of medians over `rounds`; sizes up to `largest` students."""
    torch.set_num_threads(1)
    sizes = [size for size in (100, 1_000, 10_000) if size <= largest]
    grid = [(float(t), a, s) for s in range(10) for t in TEMPERATURES for a in ALPHAS]
    chosen = grid[:: len(grid) // LOOPED]
    stacked: dict[int, list[Sweep]] = {size: [] for size in sizes}
    looped = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run(folder, "teacher", *TEACHER)
        data = taught(folder)
        for number in range(rounds):
            looped.append(loop(data, chosen) / len(chosen))
            for size in sizes:
                done = sweep(folder, f"stacked{size}-{number}", *axes(size // 100))
                stacked[size].append(Sweep.of(*done))
        report(stacked, looped)
        against_basic(stacked, *basic_sweeps(folder))


def basic_sweeps(folder: Path) -> tuple[float, float]:
    """Seconds of Hydra's basic sweeper for `PLAIN` students, and for one student more; once."""
    fewer, _ = sweep(folder, "fewer", "hydra/sweeper=basic", f"seed=range(0,{FEWER})")
    plain, _ = sweep(folder, "plain", "hydra/sweeper=basic", f"seed=range(100,{100 + PLAIN})")
    return plain.seconds, (plain.seconds - fewer.seconds) / (PLAIN - FEWER)


@dataclass(frozen=True)
class Sweep:
    """A stacked sweep: seconds of the whole command and of training, mean epochs, peak MiB."""

    whole: float
    training: float
    epochs: float
    mebibytes: float

    @staticmethod
    def of(process: Command, folder: Path) -> Sweep:
        """What its process took, and its `sweep.csv` says."""
        frame = pd.read_csv(folder / "sweep.csv")
        training, epochs = float(frame["seconds"].sum()), float(frame["epochs"].mean())
        return Sweep(process.seconds, training, epochs, process.mebibytes)

    @staticmethod
    def median(sweeps: Sequence[Sweep]) -> Sweep:
        """The median of each number."""
        return Sweep(
            *(statistics.median(numbers) for numbers in zip(*map(astuple, sweeps), strict=True))
        )


def report(stacked: dict[int, list[Sweep]], looped: Sequence[float]) -> None:
    """Milliseconds a student, against the loop and the floor; ratios are medians over rounds."""
    rate, loops = matrix_rate(), [1e3 * each for each in looped]
    print("Breast cancer, 30-32-2 students, one thread, validation each epoch, early stopping.")
    print(f"Plain PyTorch loop: {statistics.median(loops):.1f} ms a student "
          f"({min(loops):.1f} to {max(loops):.1f}; each round on {LOOPED}).")  # fmt: skip
    print(f"Floor: the operations at this core's {rate / 1e9:.0f} GFLOP/s of a large product.\n")
    print("| students | ms a student, training | whole command | peak MiB | loop / training "
          "| loop / whole | GFLOP/s | training / floor |\n|" + "---|" * 8)  # fmt: skip
    for students, sweeps in stacked.items():
        middle = Sweep.median(sweeps)
        training, whole = (
            [one / getattr(each, name) * students for one, each in zip(looped, sweeps, strict=True)]
            for name in ("training", "whole")
        )
        needed = operations(middle.epochs, 343, 113) * students / middle.training
        print(
            f"| {students:,} | {1e3 * middle.training / students:.1f} "
            f"| {1e3 * middle.whole / students:.1f} | {middle.mebibytes:.0f} "
            f"| {statistics.median(training):.1f} | {shown(whole)} | {needed / 1e9:.1f} "
            f"| {rate / needed:.1f} |"
        )


def shown(ratios: Sequence[float]) -> str:
    """A median with its range."""
    return f"{statistics.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})"


def against_basic(stacked: dict[int, list[Sweep]], twenty: float, each: float) -> None:
    """A sweep's whole command against Hydra's basic sweeper.

    Args:
        stacked: By number of students.
        twenty: Seconds of the basic sweep over `PLAIN` students.
        each: Seconds of it for one student more.
    """
    start = twenty - PLAIN * each
    print(f"\nhydra/sweeper=basic: {twenty:.1f} s for {PLAIN} students, {each:.3f} s for one more.")
    print("\n| students | scaled by the number of students | with one start-up "
          "| without start-up in either |\n|---|---|---|---|")  # fmt: skip
    for students, sweeps in stacked.items():
        whole = Sweep.median(sweeps).whole
        ratios = (
            twenty / PLAIN * students / whole,
            (start + each * students) / whole,
            each * students / (whole - start),
        )
        print(f"| {students:,} | " + " | ".join(f"{ratio:.0f}" for ratio in ratios) + " |")
