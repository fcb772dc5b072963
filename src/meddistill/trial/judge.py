"""Every arm's measures on every split, from its predictions by row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from meddistill.evaluation.calibration import calibration_measures
from meddistill.evaluation.fidelity import agreement, kl_from_teacher, negative_transfer
from meddistill.evaluation.members import evaluate_members
from meddistill.evaluation.operating import operating_points
from meddistill.evaluation.predictions import probability_columns
from meddistill.evaluation.prior import prior_measures
from meddistill.evaluation.thresholds import called_at, rule_of
from meddistill.measures import HALF

Numbers = NDArray[np.float64]
KEYS = ["setting", "split", "arm"]


def judge(predictions: pd.DataFrame, summary: Mapping[str, Any]) -> pd.DataFrame:
    """A line for each setting, split and arm: its measures on test rows, averaged over seeds.

    Args:
        predictions: As `predictions.parquet` holds them.
        summary: What the trial compared.
    """
    lines = []
    treated = {(each["setting"], each["split"], each["arm"]): each["seeds"]
               for each in summary.get("treated", ())}  # fmt: skip
    grouped: Any = predictions.groupby(["setting", "split"], sort=False, observed=True)
    for (setting, split), rows in grouped:
        facts = {"setting": int(setting), "split": str(split)}
        own = {arm: seeds for (*unit, arm), seeds in treated.items() if unit == [*facts.values()]}
        lines += [{**facts, **line} for line in _judge_unit(rows, summary, own)]
    frame = pd.DataFrame(lines)
    order = {name: number for number, name in enumerate(summary["arms"])}
    means = frame.groupby(KEYS, sort=False).mean().drop(columns="seed").reset_index()
    return means.sort_values(["setting", "arm"], key=lambda c: c.map(order).fillna(c),
                             kind="stable", ignore_index=True)  # fmt: skip


def _judge_unit(
    rows: pd.DataFrame,
    summary: Mapping[str, Any],
    treated: Mapping[str, Sequence[Mapping[str, Any]]],
) -> list[dict[str, Any]]:
    """A line an arm and seed of one split; `treated` says by arm what was done to each seed's."""
    test, validation = (rows[rows["part"] == part] for part in ("test", "validation"))
    answers, target = by_model(test, summary["data"]["classes"])
    held, held_target = by_model(validation, summary["data"]["classes"])
    rule = rule_of(summary["threshold"])
    chosen = np.array([rule(held[model], held_target) for model in answers])
    every = evaluate_members(np.stack(list(answers.values())), target, chosen)
    lines = []
    for number, ((arm, seed), values) in enumerate(answers.items()):
        line = {"arm": arm, "seed": seed} | {name: v[number] for name, v in every.items()}
        lines.append(line)
        if np.isnan(values).any() or np.isnan(held[arm, seed]).any():
            continue  # training diverged: there is nothing to measure
        line |= operating_points(values, target)
        line |= calibration_measures(values, target, held[arm, seed], held_target)
        if rule.given != HALF:
            line |= decision_measures(values, target, chosen[number])
        if arm in treated and treated[arm][seed]:
            line |= prior_measures(values, target, treated[arm][seed])
        line |= _fidelity(values, target, seed, answers, summary["baseline"])
    return lines


def decision_measures(
    values: Numbers, target: NDArray[np.int64], threshold: float
) -> dict[str, float]:
    """The threshold, and how often who is called positive or negative is so."""
    counts = called_at(values[:, 1], target == 1, threshold)
    shares = {name: hits / of if of else np.nan for name, (hits, of) in counts.items()}
    return {"threshold": threshold, "ppv": shares["ppv"], "npv": shares["npv"]}


def by_model(
    rows: pd.DataFrame, classes: Sequence[str]
) -> tuple[dict[tuple[str, int], Numbers], NDArray[np.int64]]:
    """Probabilities [rows, classes] of each arm and seed on one part, and the class numbers."""
    found = {}
    target = np.zeros(0, dtype=np.int64)
    grouped: Any = rows.groupby(["arm", "seed"], sort=False, observed=True)
    for (arm, seed), lines in grouped:
        found[str(arm), int(seed)] = lines[probability_columns(classes)].to_numpy(dtype=np.float64)
        target = lines["label"].to_numpy(dtype=np.int64)
    return found, target


def _fidelity(
    values: Numbers,
    target: NDArray[np.int64],
    seed: int,
    answers: Mapping[tuple[str, int], Numbers],
    baseline: str,
) -> dict[str, float]:
    """How far it follows the teacher, and into errors that the student alone doesn't make."""
    teacher, alone = answers.get(("teacher", 0)), answers.get((baseline, seed))
    if teacher is None:
        return {}
    found = {"agreement": agreement(values, teacher), "kl": kl_from_teacher(values, teacher)}
    if alone is not None:
        found["negative_transfer"] = negative_transfer(teacher, values, alone, target)
    return found
