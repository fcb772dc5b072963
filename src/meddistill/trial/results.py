"""From an arm's measures on every split to means, paired differences and verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from meddistill.evaluation.delong import delong_interval, delong_test
from meddistill.evaluation.operating import confusion_matrix
from meddistill.evaluation.predictions import probability_columns
from meddistill.evaluation.prior import MEASURES as PRIOR
from meddistill.evaluation.resampling import holm
from meddistill.evaluation.thresholds import rule_of
from meddistill.evaluation.verdict import Verdict, judge_differences, sentence
from meddistill.measures import largest_difference, lower_is_better
from meddistill.trial.columns import levels, with_own_costs
from meddistill.trial.folder import PART
from meddistill.trial.hidden import over_splits
from meddistill.trial.judge import by_model
from meddistill.trial.simplest import simplest

NOT_COMPARED = ("scaling_temperature", "calibration_slope", "calibration_intercept", "kl",
                "agreement", "negative_transfer", "threshold", "ppv", "npv", *PRIOR)  # fmt: skip
"""Measures that are described and not tested: no direction of theirs is better."""


def results(
    measures: pd.DataFrame,
    tries: pd.DataFrame,
    predictions: pd.DataFrame,
    summary: Mapping[str, Any],
    hidden: pd.DataFrame | None = None,
) -> list[dict[str, Any]]:
    """What each setting came to.

    Args:
        measures: A line for each setting, split and arm, as `judge` gives them.
        tries: Every try's validation log loss.
        predictions: Answers by row.
        summary: What the trial compared.
        hidden: A line for each setting, split, arm and share of hidden cells, where there are any.
    """
    found = []
    for number, title in enumerate(summary["settings"]):
        own, tried, rows = (each[each["setting"] == number] for each in
                            (measures, tries, predictions))  # fmt: skip
        units = [unit for unit in summary["units"] if unit["setting"] == number]
        ratio = _ratio(units, summary["official"])
        compared = _compared(own, summary, ratio)
        test = rows[rows["part"] == "test"]
        judged = {name: wide(own, name) for name in summary["margins"]}
        found.append(
            {
                **_columns(summary, number, own, ratio),
                **_hidden(hidden, number, summary, ratio),
                "title": title,
                "splits": len(units),
                "ratio": ratio,
                "rows": {k: float(np.mean([u[k] for u in units])) for k in
                         ("train", "labelled", "validation", "test")},
                "gate": _gate(tried, summary),
                "cut_short": _cut_short(tried, summary),
                "verdicts": _verdicts(own, summary, ratio),
                "simplest": simplest(judged, with_own_costs(summary, number), ratio),
                "arms": _arms(own, tried, summary),
                "differences": compared,
                "one_auroc": _one_auroc(test, summary),
                "confusion": _confusion(rows, summary),
            }
        )  # fmt: skip
    return found


def _columns(
    summary: Mapping[str, Any], number: int, measures: pd.DataFrame, ratio: float
) -> dict[str, Any]:
    """Which columns the students of a setting read, and how good its arms are with them."""
    if "columns" not in summary:
        return {}
    return {"columns": {**summary["columns"][number], "levels": levels(measures, summary, ratio)}}


def _hidden(
    lines: pd.DataFrame | None, number: int, summary: Mapping[str, Any], ratio: float
) -> dict[str, Any]:
    """How good the arms of a setting are with further cells hidden."""
    if lines is None:
        return {}
    return {"hidden": over_splits(lines[lines["setting"] == number], summary, ratio)}


def _ratio(units: Sequence[Mapping[str, Any]], official: bool) -> float:
    """Test rows over training rows, by which splits that share patients depend on each other.

    Trainings on the same official parts share all patients: an interval over them is of trainings
    alone, which are drawn anew each time.
    """
    if official:
        return 0.0
    return float(np.mean([u["test"] for u in units]) / np.mean([u["train"] for u in units]))


def wide(measures: pd.DataFrame, name: str) -> pd.DataFrame:
    """One measure, a line a split and a column an arm."""
    return measures.pivot(index="split", columns="arm", values=name)


def _verdicts(
    measures: pd.DataFrame, summary: Mapping[str, Any], ratio: float
) -> list[dict[str, Any]]:
    """The main arm against the baseline, a verdict for each measure with a margin."""
    labels = {name: arm["label"] for name, arm in summary["arms"].items()}
    found = []
    for name, margin in summary["margins"].items():
        table = wide(measures, name)
        verdict = _judged(table, summary["main"], summary["baseline"], name, ratio, margin)
        pair = labels[summary["main"]], labels[summary["baseline"]]
        said = sentence(verdict, *pair, name, margin)
        found.append({"measure": name, "margin": margin, "sentence": said, **vars(verdict)})
    return found


def _compared(
    measures: pd.DataFrame, summary: Mapping[str, Any], ratio: float
) -> dict[str, dict[str, Any]]:
    """Every arm minus the baseline on every measure; Holm's correction over the arms."""
    names = [str(c) for c in measures if c not in ("setting", "split", "arm", *NOT_COMPARED)]
    others = [arm for arm in summary["arms"] if arm != summary["baseline"]]
    found: dict[str, dict[str, Any]] = {arm: {} for arm in others}
    for name in names:
        table = wide(measures, name)
        margin = summary["margins"].get(name, 0.0)
        judged = {
            arm: _judged(table, arm, summary["baseline"], name, ratio, margin) for arm in others
        }
        adjusted = holm(np.array([judged[arm].p for arm in others], dtype=np.float64))
        for arm, p_holm in zip(others, adjusted, strict=True):
            own = judged[arm]
            found[arm][name] = {"mean": own.mean, "low": own.low, "high": own.high, "p": own.p,
                                "p_holm": float(p_holm), "word": own.word}  # fmt: skip
    return found


def _judged(
    table: pd.DataFrame, arm: str, baseline: str, name: str, ratio: float, margin: float
) -> Verdict:
    """One arm minus the baseline on one measure, whose table `wide` gives."""
    pairs = (table[arm] - table[baseline]).to_numpy(dtype=np.float64)
    return judge_differences(pairs, ratio, lower_is_better(name), margin, largest_difference(name))


def _arms(
    measures: pd.DataFrame, tries: pd.DataFrame, summary: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Each arm's means and spreads over splits, its validation log loss, what it mostly chose."""
    found = {}
    for arm in summary["arms"]:
        own = measures[measures["arm"] == arm].drop(columns=["setting", "split", "arm"])
        chosen = tries[(tries["arm"] == arm) & tries["chosen"]]
        found[arm] = {
            "measures": {name: _over_splits(own[name]) for name in map(str, own)},
            "validation_log_loss": float(chosen["val/log_loss"].mean()),
            "chosen": _mostly(tries[tries["arm"] == arm]),
        }
    return found


def _over_splits(values: pd.Series[float]) -> dict[str, Any]:
    """Mean and spread of a measure over the splits where it is defined, and how many these are."""
    mean, spread = float(values.mean()), float(values.std(ddof=1))
    return {"mean": mean, "sd": spread, "splits": int(values.count())}


def _mostly(tries: pd.DataFrame) -> dict[str, Any]:
    """The most frequently chosen value of each setting of an arm's tries.

    It is a number, a truth value, text or None, which `tries.csv` holds as an empty cell. Of a
    pruned teacher it is the size: which part has it differs from split to split.
    """
    front = ["setting", "split", "arm", "try", "chosen", "val/log_loss", "epochs"]
    tuned = tries.drop(columns=[*front, PART], errors="ignore").dropna(axis=1, how="all")
    modes = {str(name): tuned[tries["chosen"]][name].mode(dropna=False)[0] for name in tuned}
    return {name: None if pd.isna(value) else _plain(value) for name, value in modes.items()}


def _plain(value: Any) -> Any:
    """A number of numpy's as Python's."""
    return value.item() if isinstance(value, np.generic) else value


def _gate(tries: pd.DataFrame, summary: Mapping[str, Any]) -> dict[str, Any]:
    """Whether the teacher beats the student alone on validation rows, over all splits."""
    chosen = tries[tries["chosen"]]
    mean = chosen.groupby("arm")["val/log_loss"].mean()
    teacher, alone = mean.get("teacher", np.nan), mean[summary["baseline"]]
    return {"teacher": float(teacher), "alone": float(alone), "open": not teacher >= alone}


def _cut_short(tries: pd.DataFrame, summary: Mapping[str, Any]) -> dict[str, int]:
    """By arm the splits whose chosen students trained to the last epoch allowed.

    Arms that did so on fewer than half of the splits are left out.
    """
    last = tries[tries["chosen"] & (tries["epochs"] >= summary["max_epochs"])]
    counts = {arm: int((last["arm"] == arm).sum()) for arm in summary["arms"]}
    splits = tries["split"].nunique()
    return {arm: count for arm, count in counts.items() if 2 * count >= splits}


def _one_auroc(test: pd.DataFrame, summary: Mapping[str, Any]) -> dict[str, Any] | None:
    """DeLong's interval for two classes, on predictions averaged per row over splits and seeds."""
    classes = summary["data"]["classes"]
    if len(classes) != 2:
        return None
    column = probability_columns(classes)[1]
    means = test.groupby(["arm", "row"], observed=True)[column].mean().unstack("arm")
    label = test.groupby("row", observed=True)["label"].first()
    positive = label.loc[means.index].to_numpy() == 1
    found: dict[str, Any] = {"rows": len(means), "arms": {}}
    for arm in summary["arms"]:
        value, low, high = delong_interval(means[arm].to_numpy(), positive)
        found["arms"][arm] = {"auroc": value, "low": low, "high": high}
    main, alone = (means[summary[key]].to_numpy() for key in ("main", "baseline"))
    difference, low, high, p = delong_test(main, alone, positive)
    return found | {"difference": {"mean": difference, "low": low, "high": high, "p": p}}


def _confusion(rows: pd.DataFrame, summary: Mapping[str, Any]) -> dict[str, list[list[float]]]:
    """Mean numbers of test rows a split by true class and called class."""
    sums: dict[str, NDArray[np.float64]] = {}
    counts: dict[str, int] = {}
    rule, classes = rule_of(summary["threshold"]), summary["data"]["classes"]
    for _, own in rows.groupby("split", sort=False, observed=True):
        answers, target = by_model(own[own["part"] == "test"], classes)
        held, held_target = by_model(own[own["part"] == "validation"], classes)
        for (arm, seed), values in answers.items():
            threshold = rule(held[arm, seed], held_target)
            found = confusion_matrix(values, target, threshold).astype(np.float64)
            sums[arm] = sums[arm] + found if arm in sums else found
            counts[arm] = counts.get(arm, 0) + 1
    return {arm: (sums[arm] / counts[arm]).round(2).tolist() for arm in sums}
