"""What treating an imbalance of classes does to answers, in a run's and a trial's page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from meddistill.evaluation.prior import WHICH, prior_measures
from meddistill.measures import BENT
from meddistill.report.curves import Answered
from meddistill.report.page import Cell, DataTable
from meddistill.report.tables import number
from meddistill.report.trial_tables import measures_table

HEADS = {
    "log_loss": "log loss",
    "calibration_slope": "calibration slope",
    "mean": "mean prediction",
    "off": "largest error of a class's mean",
}
CAPTION = "The true prior"
MEANT = (
    "Labels that are weighed or drawn in balance are those of another prior, and whoever fits them "
    "answers for that. Brought back: divided by the known factor of each class, or, of the focal "
    "loss, at a temperature fitted on validation rows."
)


def run_table(test: Answered, treated: Mapping[str, Any], classes: list[str]) -> DataTable:
    """Both ways to read a run's answers to its test rows."""
    found = prior_measures(test.probabilities, test.target, treated)
    shown = {name: head for name, head in HEADS.items() if f"{name}_back" in found}
    rows: list[list[Cell]] = [
        [said, *((number(value), value) for name in shown for value in [found[f"{name}_{which}"]])]
        for which, said in WHICH.items()
    ]
    given = WHICH["bent" if any(treated["left"]) else "back"]
    notes = [MEANT, f"The model's own answers are the line '{given}'."]
    if len(classes) == 2:
        share = float(np.mean(test.target == 1))
        notes.append(f"The share of {classes[1]} among these rows is {share:.4f}.")
    return DataTable(["answers", *shown.values()], rows, notes, CAPTION)


def trial_table(setting: Mapping[str, Any], summary: Mapping[str, Any]) -> list[DataTable]:
    """Both ways to read the answers of each arm that treats an imbalance."""
    if "treated" not in summary:
        return []
    other = "off" if len(summary["data"]["classes"]) == 2 else "mean"
    names = {
        f"{name}_{which}": f"{head}, {said}"
        for name, head in HEADS.items()
        if name != other
        for which, said in WHICH.items()
    }
    treated = {each["arm"] for each in summary["treated"]}
    own = {name: arm for name, arm in setting["arms"].items() if name in treated}
    notes = [MEANT, *_bent(summary), *_untreated(setting, summary)]
    return [measures_table({**setting, "arms": own}, summary, names, CAPTION, notes)]


def _bent(summary: Mapping[str, Any]) -> list[str]:
    """Which arms answer as their labels were treated, here and in every other table."""
    arms = {
        each["arm"]: None
        for each in summary["treated"]
        if any(any(said.get("left", ())) for said in each["seeds"])
    }
    return [f"{summary['arms'][arm]['label']}, in every table: {BENT}." for arm in arms]


def _untreated(setting: Mapping[str, Any], summary: Mapping[str, Any]) -> list[str]:
    """In how many splits an arm's chosen try took nothing from labels, so that none was treated."""
    number = summary["settings"].index(setting["title"])
    counts = Counter(
        each["arm"]
        for each in summary["treated"]
        if each["setting"] == number and not any(each["seeds"])
    )
    return [
        f"{summary['arms'][arm]['label']}: chosen without a treatment of its labels (a try that "
        f"takes nothing from them, such as loss.alpha=1) in {count} of {setting['splits']} splits, "
        "which are left out of its figures."
        for arm, count in counts.items()
    ]
