"""What comes of calling rows positive from a threshold on, in a run's and a trial's page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from meddistill.evaluation.calibration import wilson
from meddistill.evaluation.thresholds import called_at, rule_of
from meddistill.measures import HALF
from meddistill.report.curves import Answered
from meddistill.report.page import Cell, DataTable
from meddistill.report.tables import number
from meddistill.report.trial_tables import AT_THRESHOLD, measures_table

HEADS = {name: head for name, head in AT_THRESHOLD.items() if name != "threshold"}
CAPTION = "At the threshold"
PREVALENCE = (
    "Predictive values hold where the positive class is as frequent as among these rows, {:.1%}: "
    "where it is rarer, fewer of those called positive are."
)


def run_tables(test: Answered, given: float | str, chosen: float) -> list[DataTable]:
    """Sensitivity, specificity and predictive values of a run on test rows; of two classes alone.

    Args:
        test: Answers to the test rows.
        given: The threshold as it was set.
        chosen: What it came to.
    """
    if test.probabilities.shape[1] != 2:
        return []
    positive = test.target == 1
    rows: list[list[Cell]] = []
    for name, (hits, of) in called_at(test.probabilities[:, 1], positive, chosen).items():
        share = hits / of if of else float("nan")
        rows.append(
            [HEADS[name], (number(share), share), f"{hits:,} of {of:,}", _interval(hits, of)]
        )
    notes = [
        f"A row is called positive {rule_of(given).words}"
        + (f": at {chosen:.4g}." if isinstance(given, str) else "."),
        PREVALENCE.format(float(positive.mean())),
    ]
    heads = ["measure", "test rows", "rows", "Wilson's 95 % interval"]
    return [DataTable(heads, rows, notes, CAPTION)]


def _interval(hits: int, of: int) -> str:
    if not of:
        return "-"
    low, high = wilson(np.array([hits / of]), np.array([of]))
    return f"{low[0]:.4f} to {high[0]:.4f}"


def threshold_tables(setting: Mapping[str, Any], summary: Mapping[str, Any]) -> list[DataTable]:
    """The same of a trial's arms, where the threshold is not the usual half."""
    rule = rule_of(summary["threshold"])
    if rule.given == HALF:
        return []
    notes = [
        f"A row is called positive {rule.words}; each student's own validation rows count.",
        "Predictive values hold where the positive class is as frequent as among the test rows.",
    ]
    return [measures_table(setting, summary, AT_THRESHOLD, CAPTION, notes)]
