"""Times the trainer, stacked sweeps and raw rows against plain ways, side by side in one run.

    python scripts/benchmark.py overhead
    python scripts/benchmark.py sweep
    python scripts/benchmark.py predict
    python scripts/benchmark.py wide

`overhead`: 100 epochs of the small student on breast cancer, batch 64, distilled from stored
answers, one thread. All take the same steps; the full loop and the trainer also validate
with the same torchmetrics, write a CSV line, and keep the best epoch's checkpoint. The loop writes
it at every better epoch; the trainer keeps it in memory and writes its state every ten seconds, as
a second full loop does.

`sweep`: up to 10,000 students in `benchmark_sweep.py`.

`predict` and `wide`: answers for raw rows, and tables of many columns, in `benchmark_rows.py`.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import CSVLogger
from sklearn.linear_model import LogisticRegression
from torch.nn import functional as F

import benchmark_rows
import benchmark_sweep
from meddistill.data.datamodule import CohortDataModule
from meddistill.data.split import split_cohort
from meddistill.data.tables.breast_cancer import breast_cancer
from meddistill.evaluation.metrics import training_metrics
from meddistill.losses.kd import KD
from meddistill.models.mlp import MLP
from meddistill.training.distiller import Distiller
from meddistill.training.fit import fit

EPOCHS, BATCH, TEMPERATURE, ALPHA = 100, 64, 2.0, 0.5


def taught_data() -> CohortDataModule:
    """Breast cancer with the answers of a logistic regression for a teacher."""
    cohort = breast_cancer()
    data = CohortDataModule(cohort, split_cohort(cohort), batch_size=BATCH)
    train = data.split.train
    teacher = LogisticRegression().fit(data.rows.inputs.numpy()[train], cohort.target[train])
    probabilities = teacher.predict_proba(data.rows.inputs.numpy()).clip(1e-6)  # no log of 0
    return data.with_answers(np.log(probabilities))


def student() -> MLP:
    """The small student, the same first weights each time."""
    torch.manual_seed(0)
    return MLP((30,), 2, width=32)


def adam(parameters: object) -> torch.optim.Optimizer:
    """The default optimizer."""
    return torch.optim.Adam(parameters, lr=1e-3, fused=True)


def trainer(data: CohortDataModule, folder: Path, *callbacks: Callback) -> None:
    """This project's way, checkpoints, log and resume included; any callback sees every step."""
    module = Distiller(student(), 2, adam, KD(TEMPERATURE, ALPHA))
    settings = {"accelerator": "cpu", "devices": 1, "max_epochs": EPOCHS, "num_sanity_val_steps": 0}
    settings |= {"enable_progress_bar": False}
    fit(module, data, folder, settings, patience=EPOCHS, loggers=[CSVLogger(folder)],
        callbacks=callbacks)  # fmt: skip


def loop(data: CohortDataModule, folder: Path, full: bool, to_disk: bool = True) -> None:
    """A hand-written loop; `full` adds validation, metrics, log and the best epoch's weights."""
    parts = data.train_rows, data.labelled_validation
    train, validation = (data.rows.at(torch.from_numpy(part)) for part in parts)
    network, best = student(), float("inf")
    optimizer, metrics = adam(network.parameters()), training_metrics(2)
    generator = torch.Generator().manual_seed(0)
    with (folder / "log.csv").open("w", newline="") as file:
        log = csv.writer(file)
        for epoch in range(EPOCHS):
            total = torch.zeros(())
            for index in torch.randperm(len(train.target), generator=generator).split(BATCH):
                logits = network(train.inputs[index])
                soft = F.log_softmax(logits / TEMPERATURE, dim=1)
                answers = F.log_softmax(train.answers[index] / TEMPERATURE, dim=1)
                divergence = F.kl_div(soft, answers, reduction="batchmean", log_target=True)
                loss = (1 - ALPHA) * F.cross_entropy(logits, train.target[index])
                loss = loss + ALPHA * TEMPERATURE**2 * divergence
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                total += loss.detach()
            if not full:
                continue
            network.eval()
            with torch.no_grad():
                metrics.update(network(validation.inputs).softmax(dim=1), validation.target)
            values = {name: float(value) for name, value in metrics.compute().items()}
            metrics.reset()
            network.train()
            log.writerow([epoch, float(total), *values.values()])
            if values["log_loss"] < best:
                best = values["log_loss"]
                weights = {key: value.clone() for key, value in network.state_dict().items()}
                if to_disk:
                    torch.save(weights, folder / "best.tmp")
                    (folder / "best.tmp").replace(folder / "best.ckpt")
        if full:
            torch.save(weights, folder / "best.ckpt")


def seconds(work: Callable[[Path], None]) -> float:
    """CPU time of one call in an empty folder: other work on the machine plays no part."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        work(Path(folder))
        return time.process_time() - start


def overhead(repeats: int) -> None:
    """Print medians and ratios of `repeats` rounds, each taking all ways in turn."""
    torch.set_num_threads(1)
    data = taught_data()
    ways: dict[str, Callable[[Path], None]] = {
        "bare loop, no validation": lambda folder: loop(data, folder, full=False),
        "hand-written loop that does the same": lambda folder: loop(data, folder, full=True),
        "it, with the best weights in memory": lambda folder: loop(data, folder, True, False),
        "meddistill": lambda folder: trainer(data, folder),
        "meddistill, Lightning sees every step": lambda folder: trainer(data, folder, Callback()),
    }
    for work in ways.values():
        seconds(work)
    rounds = [{name: seconds(work) for name, work in ways.items()} for _ in range(repeats)]
    medians = {name: statistics.median(each[name] for each in rounds) for name in ways}
    bare, same, *_ = medians.values()
    print(f"{EPOCHS} epochs, batch {BATCH}, one thread, median of {repeats}:\n")
    print("| | seconds | to the bare loop | to the loop that does the same |\n|---|---|---|---|")
    for name, value in medians.items():
        print(f"| {name} | {value:.3f} | {value / bare:.2f} | {value / same:.2f} |")


def main() -> None:
    """Run the chosen benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("benchmark", choices=["overhead", "sweep", "predict", "wide"])
    parser.add_argument("--repeats", type=int, default=5, help="rounds of it")
    parser.add_argument("--largest", type=int, default=10_000, help="students of sweep")
    arguments = parser.parse_args()
    if arguments.benchmark == "sweep":
        benchmark_sweep.benchmark(arguments.largest, arguments.repeats)
    else:
        ways = {
            "overhead": overhead, "predict": benchmark_rows.predict, "wide": benchmark_rows.wide
        }  # fmt: skip
        ways[arguments.benchmark](arguments.repeats)


if __name__ == "__main__":
    main()
