"""How often the sentence about the simplest arm names one that is truly worse, by simulation.

    python scripts/simulate_simplest.py

A trial is a sample of rows with repeated random splits of it, as `meddistill trial` makes them. The
arms are logistic regressions that read the first 2, 5 or 10 of ten inputs, so the smallest is truly
worse by what the other inputs tell. The truth of an arm is its mean over all trials' models on
20,000 further rows.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from meddistill.evaluation.members import evaluate_members
from meddistill.measures import lower_is_better
from meddistill.trial.simplest import simplest

ARMS = {"two": 2, "five": 5, "ten": 10}
MARGINS = {"auroc": 0.01, "log_loss": 0.02}
OWN, FURTHER = 0.8, (0.0, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4)
"""Weight of the first two inputs, and of each of the next three; the last five tell nothing."""
ROWS, FRESH, SPLITS, TRIALS = 1000, 20_000, 15, 100
TEST, TRAIN = 0.2, 0.6
Numbers = np.ndarray[Any, np.dtype[np.float64]]


def drawn(rows: int, further: float, random: np.random.Generator) -> tuple[Numbers, Any]:
    """Inputs [rows, 10] and labels of patients, a quarter of them ill."""
    weights = np.array([OWN, OWN, *[further] * 3, *[0.0] * 5])
    inputs = random.normal(size=(rows, len(weights)))
    chance = 1 / (1 + np.exp(1.2 - inputs @ weights))
    return inputs, (random.random(rows) < chance).astype(np.int64)


def measured(model: LogisticRegression, inputs: Numbers, target: Any) -> dict[str, float]:
    """Both measures of a model on rows."""
    found = evaluate_members(model.predict_proba(inputs)[None], target)
    return {name: float(found[name][0]) for name in MARGINS}


def trial(further: float, seed: int, fresh: tuple[Numbers, Any]) -> tuple[Any, pd.DataFrame]:
    """What the sentence says of one trial, and the truth of each arm's models."""
    random = np.random.default_rng(seed)
    inputs, target = drawn(ROWS, further, random)
    own, true = [], []
    for split in range(SPLITS):
        train, test = train_test_split(
            np.arange(ROWS), train_size=TRAIN, test_size=TEST, stratify=target,
            random_state=split,
        )  # fmt: skip
        for arm, width in ARMS.items():
            model = LogisticRegression(C=10).fit(inputs[train][:, :width], target[train])
            facts = {"split": split, "arm": arm}
            own.append(facts | measured(model, inputs[test][:, :width], target[test]))
            if split == 0:
                true.append(facts | measured(model, fresh[0][:, :width], fresh[1]))
    tables = {name: pd.DataFrame(own).pivot(index="split", columns="arm", values=name)
              for name in MARGINS}  # fmt: skip
    return simplest(tables, summary(), TEST / TRAIN), pd.DataFrame(true)


def summary() -> Mapping[str, Any]:
    """What a trial of these arms would say of them."""
    return {
        "arms": {name: {"label": f"{name} inputs"} for name in ARMS},
        "costs": {name: {"parameters": width + 1} for name, width in ARMS.items()},
        "baseline": "ten",
        "margins": MARGINS,
    }


def shortfalls(true: pd.DataFrame) -> dict[str, float]:
    """By arm how much worse than the best it truly is, in margins, by its worst measure."""
    means = true.groupby("arm")[list(MARGINS)].mean()
    gaps = []
    for name, margin in MARGINS.items():
        signed = means[name] * (1 if lower_is_better(name) else -1)
        gaps.append((signed - signed.min()) / margin)
    return {str(arm): float(gap) for arm, gap in pd.concat(gaps, axis=1).max(axis=1).items()}


def main() -> None:
    """A line for each weight of the further inputs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=TRIALS)
    trials = parser.parse_args().trials
    print("| weight | two inputs worse by | named | named and truly worse | said to be as good | "
          "and truly worse |\n|---|---|---|---|---|---|")  # fmt: skip
    for further in FURTHER:
        fresh = drawn(FRESH, further, np.random.default_rng(10**6))
        found, true = zip(*(trial(further, seed, fresh) for seed in range(trials)), strict=True)
        gap = shortfalls(pd.concat(true))
        worse = [gap[each["arm"]] > 1 for each in found]
        good = [each["as_good"] for each in found]
        named = {arm: sum(each["arm"] == arm for each in found) / trials for arm in ARMS}
        both = sum(a and b for a, b in zip(worse, good, strict=True)) / trials
        shares = [sum(worse) / trials, sum(good) / trials, both]
        who = ", ".join(f"{arm} {share:.0%}" for arm, share in named.items())
        cells = [f"{further:g}", f"{gap['two']:.2f} margins", who, *(f"{s:.0%}" for s in shares)]
        print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
