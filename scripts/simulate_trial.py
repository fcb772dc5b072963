"""How honest and how strong the trial's verdict is, shown by simulation.

    python scripts/simulate_trial.py null
    python scripts/simulate_trial.py power --data sim_child_oracle.csv

`null`: both arms are the student alone, under other seeds; BETTER and WORSE are both wrong.
`power`: the teacher is the exact posterior (columns `oracle_p_<class>`), weakened in steps toward
the uniform distribution; how often the verdict finds it out.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from hydra import compose, initialize_config_dir
from numpy.typing import NDArray

from meddistill.config.compose import build
from meddistill.config.confdir import conf_dir
from meddistill.config.resolvers import register_resolvers, resolved
from meddistill.data.cohort import Cohort
from meddistill.data.datamodule import CohortDataModule
from meddistill.data.split import split_cohort
from meddistill.evaluation.members import evaluate_members
from meddistill.evaluation.verdict import judge_differences
from meddistill.measures import lower_is_better
from meddistill.stack.folder import StackFolder
from meddistill.stack.tables import Table
from meddistill.trial.students import student_answers
from meddistill.trial.units import Unit

MEASURES = ("auroc", "log_loss")
SPLITS, SEEDS = 10, 2
NULL_ROWS, NULL_TRIALS = 300, 200
POWER_ROWS, POWER_TRIALS = 1000, 20
LABELS = (100, 300)
WEAKENED = (0.0, 0.1, 0.2, 0.3, 0.5, 1.0)
WORDS = ("BETTER", "NO DIFFERENCE", "INCONCLUSIVE", "WORSE")


def settings(*overrides: str) -> dict[str, Any]:
    """The trial's config, with `overrides`."""
    register_resolvers()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return resolved(compose("trial", [*overrides]))


def untuned(config: dict[str, Any]) -> dict[str, Any]:
    """The config with one try for the student alone."""
    config["arms"]["student_alone"]["tune"] = {}
    return config


def sampled(cohort: Cohort, count: int, seed: int) -> tuple[Cohort, NDArray[np.int64]]:
    """`count` rows with the cohort's shares of classes, and their positions."""
    random = np.random.default_rng(seed)
    rows: list[int] = []
    for label in range(len(cohort.classes)):
        mine = np.flatnonzero(cohort.target == label)
        rows += random.choice(mine, round(count * len(mine) / len(cohort.target)), False).tolist()
    chosen = np.sort(np.array(rows))
    part = replace(
        cohort,
        records=cohort.records.take(chosen),
        target=cohort.target[chosen],
        row=cohort.row[chosen],
    )
    return part, chosen


def table(
    config: Mapping[str, Any], cohort: Cohort, split_seed: int, labels: float,
    answers: NDArray[np.float32] | None = None,
) -> Table:  # fmt: skip
    """One split of a sample."""
    data = CohortDataModule(cohort, split_cohort(cohort, split_seed), labels, config["batch_size"])
    taught = data if answers is None else data.with_answers(answers)
    return Table(config, taught, None)


def answered(
    config: Mapping[str, Any], arms: Sequence[str], tables: Sequence[Table], seeds: int
) -> dict[str, list[NDArray[np.float32]]]:
    """Each arm's answers [seeds, rows, classes] on each table."""
    built = {name: build(config["arms"][name], name, _recursive_=False) for name in arms}
    units = [Unit(0, config)] * len(tables)
    found: dict[str, list[NDArray[np.float32]]] = {
        name: [np.zeros(0, np.float32)] * len(tables) for name in arms
    }
    with tempfile.TemporaryDirectory() as folder:
        run = StackFolder(Path(folder), config)
        for answers in student_answers(built, units, tables, seeds, run):
            found[answers.arm][answers.unit] = answers.probabilities
    return found


def measures(tables: Sequence[Table], answers: Sequence[NDArray[np.float32]]) -> pd.DataFrame:
    """A line a split: means over seeds on its test rows."""
    lines = []
    for each, probabilities in zip(tables, answers, strict=True):
        test = each.data.split.test
        found = evaluate_members(probabilities[:, test], each.data.cohort.target[test])
        lines.append({name: float(found[name].mean()) for name in MEASURES})
    return pd.DataFrame(lines)


def words(
    tables: Sequence[Table], one: pd.DataFrame, other: pd.DataFrame, config: Mapping[str, Any]
) -> dict[str, str]:
    """The verdict on `one - other` for each measure."""
    split = tables[0].data.split
    ratio = len(split.test) / len(split.train)
    return {
        name: judge_differences(
            (one[name] - other[name]).to_numpy(), ratio, lower_is_better(name),
            config["trial"]["margins"][name],
        ).word
        for name in MEASURES
    }  # fmt: skip


def null(trials: int) -> None:
    """Two arms that are the same; a trial is a sample of breast cancer's rows with its splits."""
    config = untuned(settings())
    cohort = build({"_target_": config["data"]["_target_"]}, "data")
    counts = {name: Counter() for name in MEASURES}
    for trial in range(trials):
        sample, _ = sampled(cohort, NULL_ROWS, trial)
        tables = [table(config, sample, seed, 1.0) for seed in range(SPLITS)]
        answers = answered(config, ["student_alone"], tables, 2 * SEEDS)["student_alone"]
        one = measures(tables, [values[:SEEDS] for values in answers])
        other = measures(tables, [values[SEEDS:] for values in answers])
        for name, word in words(tables, one, other, config).items():
            counts[name][word] += 1
    print(f"Both arms the student alone: {trials} trials of {SPLITS} splits, {SEEDS} seeds each.\n")
    show({name: counts[name] for name in MEASURES}, trials, "measure")


def power(path: Path, trials: int) -> None:
    """An exact teacher, weakened; a trial is a sample of its rows with its splits."""
    config = untuned(settings("data=table", f"data.path={path}", "data.target=target"))
    config["arms"]["distilled"]["tune"] = {
        "loss.temperature": [1.0, 2.0],
        "loss.alpha": [0.25, 1.0],
    }
    frame = pd.read_csv(path)
    columns = [name for name in frame if name.startswith("oracle_p_")]
    node = {k: v for k, v in config["data"].items() if k in ("_target_", "path", "target")}
    cohort = build({**node, "drop": columns}, "data")
    posterior = frame[[f"oracle_p_{name}" for name in cohort.classes]].to_numpy(dtype=np.float64)
    counts = {
        (labels, weak, name): Counter[str]()
        for labels in LABELS for name in MEASURES for weak in WEAKENED
    }  # fmt: skip
    for labels, trial in product(LABELS, range(trials)):
        sample, rows = sampled(cohort, POWER_ROWS, trial)
        split = partial(table, config, sample, labels=labels / (0.6 * POWER_ROWS))
        taught = [
            split(seed, answers=weakened(posterior[rows], weak))
            for weak, seed in product(WEAKENED, range(SPLITS))
        ]
        alone = taught[:SPLITS]  # its students hear no teacher: one fit serves for all steps
        other = measures(alone, answered(config, ["student_alone"], alone, SEEDS)["student_alone"])
        every = measures(taught, answered(config, ["distilled"], taught, SEEDS)["distilled"])
        for step, weak in enumerate(WEAKENED):
            one = every[step * SPLITS : (step + 1) * SPLITS].reset_index(drop=True)
            for name, word in words(alone, one, other, config).items():
                counts[labels, weak, name][word] += 1
        print(f"{labels} labels, trial {trial + 1} of {trials}", file=sys.stderr, flush=True)
    print(f"{trials} trials of {SPLITS} splits of {POWER_ROWS} rows, {SEEDS} seeds each.\n")
    lines = {f"{labels} | {weak:g} | {name}": n for (labels, weak, name), n in counts.items()}
    show(lines, trials, "labels | share of the uniform distribution | measure")


def weakened(posterior: NDArray[np.float64], weak: float) -> NDArray[np.float32]:
    """Log probabilities of the posterior with a share of the uniform distribution."""
    mixed = (1 - weak) * posterior + weak / posterior.shape[1]
    return np.log(mixed.clip(1e-6)).astype(np.float32)


def show(counts: Mapping[str, Counter[str]], trials: int, head: str) -> None:
    """Shares of the verdicts, as Markdown."""
    print(f"| {head} | " + " | ".join(WORDS) + " |")
    print("|---" * (head.count("|") + 1 + len(WORDS)) + "|")
    for key, counted in counts.items():
        print(f"| {key} | " + " | ".join(f"{counted[word] / trials:.0%}" for word in WORDS) + " |")


def main() -> None:
    """Run one of the simulations."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=("null", "power"))
    parser.add_argument("--data", type=Path, help="a table with the exact posterior (power)")
    parser.add_argument("--trials", type=int)
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.what == "null":
        null(given.trials or NULL_TRIALS)
    else:
        power(given.data, given.trials or POWER_TRIALS)


if __name__ == "__main__":
    main()
