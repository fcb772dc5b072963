"""The plots of a trial's report, from its predictions by row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from meddistill.evaluation.predictions import probability_columns
from meddistill.measures import lower_is_better
from meddistill.report.curves import Answered, curves
from meddistill.report.page import Plot
from meddistill.report.plots import forest_plot, pareto_plot

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


def pooled_curves(
    setting: Mapping[str, Any], summary: Mapping[str, Any], test: pd.DataFrame
) -> list[Plot]:
    """The curves of a few arms on all test rows together: more would hide each other."""
    shown = ("teacher", summary["baseline"], summary["main"], "logistic")
    models = answered(summary, test, [name for name in summary["arms"] if name in shown])
    return curves(models, summary["data"]["classes"], str(setting["number"]), POOLED)


def answered(
    summary: Mapping[str, Any], test: pd.DataFrame, names: Sequence[str]
) -> list[Answered]:
    """Each arm's answers on all test rows together, without an arm that diverged everywhere."""
    found = []
    for name in names:
        rows = test[test["arm"] == name]
        answers = rows[probability_columns(summary["data"]["classes"])].to_numpy(dtype=np.float64)
        known = ~np.isnan(answers).any(axis=1)
        if known.any():
            label, number = str(summary["arms"][name]["label"]), list(summary["arms"]).index(name)
            target = rows["label"].to_numpy()[known]
            found.append(Answered(label, number, answers[known], target))
    return found


def pareto(setting: Mapping[str, Any], summary: Mapping[str, Any]) -> Plot | None:
    """Log loss against multiply-adds or latency of one row."""
    points = []
    for number, name in enumerate(summary["arms"]):
        cost = (summary["costs"].get(name) or {}).get("raw_row_ms")
        found = setting["arms"][name]["measures"]["log_loss"]
        if cost and found["splits"] > 1:
            mean, error = found["mean"], found["sd"] / np.sqrt(found["splits"])
            label = str(summary["arms"][name]["label"])
            points.append((label, number, cost, mean, mean - error, mean + error))
    if not points:
        return None
    words = "; ".join(f"{p[0]} {p[2]:.3g} ms, {p[3]:.4f}" for p in points)
    return Plot(
        pareto_plot(f"pareto-{setting['number']}", points, "time for one raw row, ms (log scale)"),
        f"Log loss against the time for one raw row: {words}.",
        "Log loss against the time for one raw row; the line joins the arms that no other beats in "
        "both. Whiskers: standard deviation over splits by the root of their number.",
    )
