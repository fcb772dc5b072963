"""Cards of labels alone: points moved by the loss, rounded ones, and FasterRisk's, on equal splits.

    python scripts/benchmark_scorecard.py FOLDER_OF_TABLES --python OTHER/bin/python [--repeats 5]

OTHER is an environment with `pip install fasterrisk` (it needs numpy below 2); without --python its
cards are left out, and with --limit MINUTES those of a split that take longer. All read the same
bands of the same training rows. `real points` is the card as it was trained: all columns, no
rounding. Prints the table of docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import copy
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegressionCV

from meddistill.data.datamodule import CohortDataModule
from meddistill.data.split import split_cohort
from meddistill.data.tables.table import table
from meddistill.evaluation.calibration import calibration_slope_intercept
from meddistill.evaluation.predictions import evaluate
from meddistill.models.scorecard import ScoreCard
from meddistill.training.classifier import Classifier
from meddistill.training.finishing import finish
from meddistill.training.fit import fit

TABLES = {
    "heart disease": ("heart_uci_4sites.csv", ["severity_num", "site"]),
    "cervical cancer": ("cervical_cancer_risk.csv", ["Hinselmann", "Schiller", "Cytology"]),
    "ICU mortality": (
        "physionet2012_icu_tabular.csv.gz", ["RecordID", "set", "SAPS-I", "SOFA"],
    ),
}  # fmt: skip
BANDS = {"_target_": "meddistill.data.tables.bands.Bands"}
TRAINER = {"accelerator": "cpu", "devices": 1, "max_epochs": 200, "enable_progress_bar": False,
           "num_sanity_val_steps": 0}  # fmt: skip
COLUMNS, COEFFICIENTS = 8, 24
CARDS = {
    "card": {}, "card, plain rounding": {"rounding": "plain"},
    "card, points to 3": {"most_points": 3},
    "card, points to 3, plain rounding": {"most_points": 3, "rounding": "plain"},
}  # fmt: skip
OTHERS = """
import sys, numpy as np
from fasterrisk.fasterrisk import RiskScoreClassifier, RiskScoreOptimizer
rows = np.load(sys.argv[1])
most, coefficients, columns = map(int, sys.argv[3:])
while True:
    search = RiskScoreOptimizer(
        X=rows["train"], y=2.0 * rows["target"] - 1, k=coefficients, lb=-most, ub=most,
        group_sparsity=columns, featureIndex_to_groupIndex=rows["group"],
    )
    try:
        search.optimize()
        break
    except ValueError:  # the columns chosen have fewer coefficients
        coefficients -= 4
multiplier, intercept, points = search.get_models(model_index=0)
card = RiskScoreClassifier(multiplier, intercept, points)
np.savez(sys.argv[2], risk=card.predict_prob(rows["test"]), points=points)
"""
Found = tuple[str, NDArray[np.float64], int, float]
"""Name, [test rows] risks, columns, seconds."""


def trained(data: CohortDataModule) -> Iterator[Found]:
    """The card of real points, and what is made whole of it."""
    module = Classifier(_Unfinished(data.in_shape, 2), 2, partial(torch.optim.Adam, lr=1e-3))
    with tempfile.TemporaryDirectory() as folder:
        seconds = fit(module, data, Path(folder), TRAINER).seconds
    inputs, real = torch.from_numpy(data.inputs_at(data.split.test)), module.network
    yield "real points", _risks(real, inputs), data.in_shape[0], seconds
    for name, settings in CARDS.items():
        card = ScoreCard(data.in_shape, 2, COLUMNS, **settings)
        card.load_state_dict(copy.deepcopy(real.state_dict()))
        module.network = card
        started = time.perf_counter()
        finish(module, data)
        columns = int((card.points != 0).any(1).sum())
        yield name, _risks(card, inputs), columns, seconds + time.perf_counter() - started


class _Unfinished(torch.nn.Module):
    """A card that stays as it is trained."""

    def __init__(self, in_shape: tuple[int, ...], num_classes: int) -> None:
        super().__init__()
        card = ScoreCard(in_shape, num_classes)
        self.points, self.offset = card.points, card.offset
        self.register_buffer("scale", card.scale)

    forward = ScoreCard.forward


@torch.no_grad()
def _risks(network: torch.nn.Module, inputs: torch.Tensor) -> NDArray[np.float64]:
    return network(inputs).double().softmax(-1)[:, 1].numpy()


def logistic(data: CohortDataModule) -> Found:
    """scikit-learn's logistic regression of the usual inputs, its C chosen by cross-validation."""
    train, target = data.split.train, data.cohort.target
    started = time.perf_counter()
    model = LogisticRegressionCV(
        Cs=10,
        cv=5,
        scoring="neg_log_loss",
        max_iter=2000,
        l1_ratios=(0,),
        use_legacy_attributes=False,
    ).fit(data.inputs_at(train), target[train])
    risk = model.predict_proba(data.inputs_at(data.split.test))[:, 1]
    columns = len(data.cohort.records.schema.columns)
    return "logistic regression", risk, columns, time.perf_counter() - started


def fasterrisk(
    data: CohortDataModule, python: str, most: int, minutes: float | None
) -> Iterator[Found]:
    """FasterRisk's best card of the same bands, in its own environment; none if it is late."""
    train, target = data.inputs_at(data.split.train), data.cohort.target[data.split.train]
    counts = train.sum(0)
    usual = counts.argmax(1, keepdims=True)
    counts[np.arange(len(counts))[:, None], usual] = 0  # the most frequent band has no points
    column, band = counts.nonzero()
    test = data.inputs_at(data.split.test)[:, column, band]
    with tempfile.TemporaryDirectory() as folder:
        rows, answers = f"{folder}/rows.npz", f"{folder}/answers.npz"
        group = np.unique(column, return_inverse=True)[1]
        np.savez(rows, train=train[:, column, band].astype(float), target=target,
                 test=test.astype(float), group=group)  # fmt: skip
        started = time.perf_counter()
        numbers = map(str, (most, COEFFICIENTS, COLUMNS))
        command, limit = [python, "-c", OTHERS, rows, answers, *numbers], minutes and 60 * minutes
        try:
            subprocess.run(command, check=True, timeout=limit)
        except subprocess.TimeoutExpired:
            print(f"FasterRisk, points to {most}: no card of a split in {minutes:g} minutes")
            return
        seconds = time.perf_counter() - started
        found = np.load(answers)
        columns = len(np.unique(group[found["points"] != 0]))
        yield f"FasterRisk, points to {most}", found["risk"], columns, seconds


def main() -> None:
    """Print a table for each data set."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--python")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--limit", type=float, help="minutes of a card of FasterRisk's")
    parser.add_argument("--only", nargs="+", default=list(TABLES))
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    for name in chosen.only:
        file, drop = TABLES[name]
        cohort = replace(table(chosen.folder / file, "target", drop=drop), fewest=5)
        lines: list[dict[str, float | str]] = []
        for seed in range(chosen.repeats):
            split = split_cohort(cohort, split_seed=seed)
            bands = CohortDataModule(cohort, split, preprocessing=BANDS)
            found = [logistic(CohortDataModule(cohort, split)), *trained(bands)]
            if chosen.python:
                for most in (9, 3):
                    found += fasterrisk(bands, chosen.python, most, chosen.limit)
            for method, risk, columns, seconds in found:
                both, target = np.stack([1 - risk, risk], 1), cohort.target[split.test]
                measures = evaluate(both, target)
                slope = calibration_slope_intercept(both, target)[0]
                lines.append({"card": method, "AUROC": measures["auroc"],
                              "log loss": measures["log_loss"], "calibration slope": slope,
                              "columns": columns, "seconds": seconds})  # fmt: skip
        print(f"\n{name}: {len(cohort.target):,} rows, means over {chosen.repeats} splits\n")
        means = pd.DataFrame(lines).groupby("card", sort=False).mean().round(4)
        print("| | " + " | ".join(means.columns) + " |\n" + "| --- " * 6 + "|")
        for method, row in means.iterrows():
            print(f"| {method} | " + " | ".join(f"{value:g}" for value in row) + " |", flush=True)


if __name__ == "__main__":
    main()
