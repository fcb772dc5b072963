"""The plots of a trial's report, from its predictions by row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from meddistill.evaluation.calibration import reliability
from meddistill.evaluation.decision import net_benefit, treat_all
from meddistill.evaluation.direction import lower_is_better
from meddistill.evaluation.members import evaluate_members
from meddistill.evaluation.operating import precision_recall, roc
from meddistill.evaluation.predictions import probability_columns
from meddistill.report.page import Plot
from meddistill.report.plots import (
    classes_plot,
    curves_plot,
    decision_plot,
    forest_plot,
    pareto_plot,
    reliability_plot,
)

Numbers = NDArray[np.float64]
THRESHOLDS = np.linspace(0.01, 0.8, 80)
POOLED = "Test rows of all splits together; a row is in it once for each split that tested it."


def forest(setting: Mapping[str, Any], summary: Mapping[str, Any], measure: str, name: str) -> Plot:
    """Differences of every arm to the baseline."""
    margin = summary["margins"].get(measure, 0.0)
    rows = []
    for arm, found in setting["differences"].items():
        own, label = found[measure], str(summary["arms"][arm]["label"])
        if own["low"] == own["low"] and own["low"] is not None:
            rows.append((label, own["mean"], own["low"], own["high"], own["word"]))
    words = "; ".join(f"{r[0]} {r[1]:+.4f} ({r[2]:+.4f} to {r[3]:+.4f})" for r in rows)
    figure = f"forest-{setting['number']}-{measure}"
    baseline = summary["arms"][summary["baseline"]]["label"]
    svg = forest_plot(figure, rows, margin, lower_is_better(measure), f"difference in {name}")
    return Plot(
        svg, f"Difference in {name} to the {baseline} with 95 % intervals: {words}.",
        f"{name}: difference to the {baseline}, with 95 % intervals. Shaded: the margin of "
        f"practical equivalence, {margin:g} either way.",
    )  # fmt: skip


def for_two_classes(
    setting: Mapping[str, Any], summary: Mapping[str, Any], test: pd.DataFrame
) -> list[Plot]:
    """ROC, precision-recall, reliability and decision curves of the positive class."""
    column = probability_columns(summary["data"]["classes"])[1]
    answers = _answers(test, summary, column)
    place = setting["number"]
    rocs, precisions, reliable, benefits, areas = [], [], [], [], []
    for label, number, score, positive in answers:
        rocs.append((label, number, *roc(score, positive)))
        precisions.append((label, number, *precision_recall(score, positive)))
        mean, share, _, low, high = reliability(score, positive)
        reliable.append((label, number, mean, share, low, high))
        benefits.append((label, number, net_benefit(score, positive, THRESHOLDS)))
        areas.append(label)
    prevalence = float(answers[0][3].mean())
    of, names = summary["data"]["positive"], ", ".join(areas)
    return [
        Plot(
            curves_plot(f"roc-{place}", rocs, "1 - specificity", "sensitivity", diagonal=True),
            f"ROC curves of {names}; the areas are in the table of measures.", f"ROC. {POOLED}",
        ),
        Plot(
            curves_plot(f"pr-{place}", precisions, "recall (sensitivity)", "precision",
                        level=prevalence),
            f"Precision-recall curves of {names}; the prevalence is {prevalence:.2f}.",
            f"Precision and recall; the line is the prevalence, {prevalence:.2f}. {POOLED}",
        ),
        Plot(
            reliability_plot(f"reliability-{place}", reliable),
            f"Share of {of} among test rows against the probability given, of {names}; the table "
            "of calibration has errors, slopes and intercepts.",
            f"Reliability for {of} in tenths of the rows, with Wilson's 95 % intervals (which take "
            "rows for independent). On the diagonal probabilities come true.",
        ),
        Plot(
            decision_plot(f"decision-{place}", THRESHOLDS, benefits,
                          treat_all(prevalence, THRESHOLDS)),
            f"Net benefit of acting on {names} against the threshold probability.",
            "Decision curve: net benefit a patient, in true positives, of acting where the "
            "probability reaches the threshold.",
        ),
    ]  # fmt: skip


def for_more_classes(
    setting: Mapping[str, Any], summary: Mapping[str, Any], test: pd.DataFrame
) -> list[Plot]:
    """AUROC of each class against the rest, and the reliability of the most probable class."""
    classes = summary["data"]["classes"]
    columns = probability_columns(classes)
    arms, reliable = [], []
    for name, number in _shown(summary):
        rows = test[test["arm"] == name]
        values = rows[columns].to_numpy(dtype=np.float64)
        target = rows["label"].to_numpy()
        label = str(summary["arms"][name]["label"])
        arms.append((label, number, per_class_auroc(values, target)))
        found = reliability(values.max(axis=1), values.argmax(axis=1) == target)
        reliable.append((label, number, found[0], found[1], found[3], found[4]))
    words = "; ".join(
        f"{label}: " + ", ".join(f"{c} {v:.3f}" for c, v in zip(classes, values, strict=True))
        for label, _, values in arms
    )
    place = setting["number"]
    return [
        Plot(
            classes_plot(f"classes-{place}", classes, arms, "AUROC against the rest"),
            f"AUROC of each class against the rest. {words}.", f"Each class's AUROC. {POOLED}",
        ),
        Plot(
            reliability_plot(f"reliability-{place}", reliable),
            "Share of rows whose most probable class was right, against its probability.",
            "Reliability of the most probable class in tenths of the rows.",
        ),
    ]  # fmt: skip


def per_class_auroc(values: Numbers, target: NDArray[np.int64]) -> Numbers:
    """[classes] AUROC of each class against the rest; NaN where it doesn't occur."""
    found = []
    for number in range(values.shape[1]):
        score = values[:, number]
        pair = np.stack([1 - score, score], axis=1)[None]
        found.append(evaluate_members(pair, (target == number).astype(np.int64))["auroc"][0])
    return np.array(found, dtype=np.float64)


def pareto(setting: Mapping[str, Any], summary: Mapping[str, Any]) -> Plot | None:
    """Log loss against multiply-adds or latency of one row."""
    points = []
    for number, name in enumerate(summary["arms"]):
        cost = (summary["costs"].get(name) or {}).get("one_row_ms")
        found = setting["arms"][name]["measures"]["log_loss"]
        if cost:
            mean, error = found["mean"], found["sd"] / np.sqrt(setting["splits"])
            label = str(summary["arms"][name]["label"])
            points.append((label, number, cost, mean, mean - error, mean + error))
    if not points:
        return None
    words = "; ".join(f"{p[0]} {p[2]:.3g} ms, {p[3]:.4f}" for p in points)
    return Plot(
        pareto_plot(f"pareto-{setting['number']}", points, "time for one row, ms (log scale)"),
        f"Log loss against the time for one row: {words}.",
        "Log loss against the time for one row; the line joins the arms that no other beats in "
        "both. Whiskers: standard deviation over splits by the root of their number.",
    )


def _answers(
    test: pd.DataFrame, summary: Mapping[str, Any], column: str
) -> list[tuple[str, int, Numbers, NDArray[np.bool_]]]:
    """Label, number, positive class's probability and truth of the arms that plots show."""
    found = []
    for name, number in _shown(summary):
        rows = test[test["arm"] == name]
        score = rows[column].to_numpy(dtype=np.float64)
        label = str(summary["arms"][name]["label"])
        found.append((label, number, score, rows["label"].to_numpy() == 1))
    return found


def _shown(summary: Mapping[str, Any]) -> Sequence[tuple[str, int]]:
    """The arms of curves, with their numbers: all of them would hide each other."""
    wanted = ("teacher", summary["baseline"], summary["main"], "logistic")
    return [(name, k) for k, name in enumerate(summary["arms"]) if name in wanted]
