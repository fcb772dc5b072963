"""Times recurrent students in a stack against the same students one by one.

    python scripts/benchmark_series.py --members 16 --width 14

Made series of 48 steps and a tenth of their cells observed; the students learn from labels and
made answers. A stack and single students take turns in one process, and the ratio of seconds a
student is the median over the turns. Said too is how far a member's answers are from its student's.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from meddistill.config.compose import build_network
from meddistill.data.cohort import Cohort, number_rows
from meddistill.data.datamodule import CohortDataModule
from meddistill.data.series.records import SeriesRecords
from meddistill.data.split import split_cohort
from meddistill.losses.kd import KD
from meddistill.stack.fit import Recipe, StackFit, Student, fit_stack
from meddistill.training.distiller import Distiller
from meddistill.training.fit import fit

GRU = {"_target_": "meddistill.models.recurrent.GRU", "pools": ["last", "mean", "max"]}
LOSS = {"_target_": "meddistill.losses.kd.KD", "temperature": 2.0, "alpha": 0.5}
ADAM = {"_target_": "torch.optim.Adam", "_partial_": True, "lr": 1e-3, "fused": True}
TRAINER = {"accelerator": "cpu", "devices": 1, "enable_progress_bar": False}
STEPS, VARIABLES, OBSERVED, ALONE = 48, 12, 0.1, 2


def made_data(rows: int) -> CohortDataModule:
    """Noise with gaps, whose first variable is higher in half of the rows."""
    random = np.random.default_rng(0)
    target = np.arange(rows) % 2
    block = random.normal(size=(rows, STEPS, 1 + VARIABLES)).astype(np.float32)
    block[..., 1] += target[:, None]
    block[..., 1:][random.random((rows, STEPS, VARIABLES)) > OBSERVED] = np.nan
    block[..., 0] = np.arange(STEPS)
    records = SeriesRecords(block, tuple(f"v{number}" for number in range(VARIABLES)))
    cohort = Cohort("made", records, target, ("well", "ill"), number_rows(rows))
    answers = np.log(random.dirichlet((1, 1), rows)).astype(np.float32)
    return CohortDataModule(cohort, split_cohort(cohort), batch_size=64).with_answers(answers)


def in_a_stack(
    data: CohortDataModule, network: dict[str, Any], members: int, epochs: int
) -> tuple[float, StackFit]:
    """Seconds a student, and what they came to."""
    recipe = Recipe(network, LOSS, ADAM, {**TRAINER, "max_epochs": epochs}, epochs)
    students = [Student(0, seed, {}, {}) for seed in range(members)]
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        fitted = fit_stack(recipe, students, [data], Path(folder))
        return (time.perf_counter() - started) / members, fitted


def alone(
    data: CohortDataModule, network: dict[str, Any], seed: int, epochs: int
) -> tuple[float, np.ndarray]:
    """Seconds of one student, and its probabilities by row."""
    own = data.with_seed(seed)
    student = build_network(network, "student", own.in_shape, own.num_classes, seed)
    module = Distiller(
        student, own.num_classes, lambda weights: torch.optim.Adam(weights, lr=1e-3, fused=True),
        KD(2.0, 0.5), seed=seed,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        settings = {**TRAINER, "max_epochs": epochs}
        fit(module, own, Path(folder), settings, patience=epochs)
        took = time.perf_counter() - started
    return took, own.answers_of(student.cpu().eval()).softmax(dim=-1).numpy()


def compare(members: int, width: int, rows: int, epochs: int, turns: int) -> str:
    """What the turns came to."""
    data, network = made_data(rows), {**GRU, "width": width}
    ratios, apart = [], 0.0
    for _ in range(turns):
        together, fitted = in_a_stack(data, network, members, epochs)
        singles = [alone(data, network, seed, epochs) for seed in range(ALONE)]
        ratios.append(statistics.mean(took for took, _ in singles) / together)
        apart = max(
            float(np.abs(own - fitted.probabilities[seed]).max())
            for seed, (_, own) in enumerate(singles)
        )
    return (
        f"{members} GRUs of {width} units: {statistics.median(ratios):.1f} times one by one "
        f"({min(ratios):.1f} to {max(ratios):.1f}); largest difference of a probability {apart:.0e}"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Time what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--members", type=int, default=16)
    parser.add_argument("--width", type=int, default=14)
    parser.add_argument("--rows", type=int, default=600)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--turns", type=int, default=5)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    print(compare(given.members, given.width, given.rows, given.epochs, given.turns))


if __name__ == "__main__":
    main()
