"""How good the arms are where further cells of test rows are hidden (`trial.hide`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from meddistill.data.hiding import Patterns, check_hidden
from meddistill.data.records import Records
from meddistill.errors import SettingError, number
from meddistill.evaluation.members import evaluate_members
from meddistill.evaluation.resampling import estimate
from meddistill.measures import largest_difference
from meddistill.seeding import derive
from meddistill.stack.tables import Table
from meddistill.trial.answers import Answers
from meddistill.trial.units import Unit

MEASURES = ("auroc", "log_loss")
COLUMNS = ("setting", "split", "arm", "hide", "hidden", *MEASURES)


def shares_asked(settings: Mapping[str, Any]) -> list[float]:
    """`trial.hide`: shares of a test row's known cells, ascending; none without.

    Raises:
        SettingError: They are no such list.
    """
    values = settings["trial"]["hide"]
    if values is None:
        return []
    if not isinstance(values, list) or not values:
        mend = "must be a list of shares: trial.hide=[0,0.1,0.3,0.5,0.7]"
        raise SettingError("trial.hide", values, mend)
    shares = [number("trial.hide", value, at_least=0, at_most=0.9) for value in values]
    if len(set(shares)) < len(shares):
        raise SettingError("trial.hide", values, "names a share twice")
    return sorted(shares)


def check_rows(settings: Mapping[str, Any], records: Records) -> None:
    """Refuse to hide cells of rows that have none."""
    if shares := shares_asked(settings):
        check_hidden(max(shares), records, "trial.hide")


def hidden_lines(answers: Answers, unit: Unit, table: Table) -> list[dict[str, Any]]:
    """A line for each share: the measures of the labelled test rows, averaged over seeds.

    The cells are drawn as in training, in the patterns of the split's training rows, but with as
    large a share of each row; the same ones for all arms and settings.
    """
    if not answers.models:
        return []
    data = table.data
    rows = data.split.test[data.labelled[data.split.test]]
    test, target = data.cohort.records.take(rows), data.cohort.target[rows]
    patterns = Patterns(data.cohort.records.take(data.split.train).known)
    lines = []
    for share in shares_asked(unit.settings):
        stream = derive(0, "hidden test cells", unit.split, str(share))
        hidden = patterns.draw(test.known, share, np.random.default_rng(stream))
        found = _measured(answers, test.emptied(hidden), target)
        lines.append(
            {
                "setting": unit.setting,
                "split": unit.split,
                "arm": answers.arm,
                "hide": share,
                "hidden": hidden.sum() / max(1, test.known.sum()),
                **found,
            }
        )
    return lines


def _measured(answers: Answers, rows: Records, target: NDArray[np.int64]) -> dict[str, float]:
    """Means over seeds of measures that no threshold decides; NaN where one of them diverged."""
    found = [np.exp(model.log_probabilities(rows)) for model in answers.models]
    measures = evaluate_members(np.stack(found), target)
    return {name: float(measures[name].mean()) for name in MEASURES}


def summed_up(lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The shares asked for, and what they came to, for a trial's summary; nothing without."""
    if not lines:
        return {}
    shares = sorted({line["hide"] for line in lines})
    came = [float(np.mean([x["hidden"] for x in lines if x["hide"] == share])) for share in shares]
    return {"hide": {"shares": shares, "hidden": came}}


def over_splits(
    lines: pd.DataFrame, summary: Mapping[str, Any], ratio: float
) -> dict[str, dict[str, dict[str, list[dict[str, float]]]]]:
    """By measure and arm, for each share: `levels`, and `differences` to the main arm.

    Both are means over splits with the corrected 95 % interval (Nadeau and Bengio 2003), and
    differences are paired by split. No such measure is below 0.

    Args:
        lines: Of one setting, as `hidden_lines` gives them.
        summary: What the trial compared.
        ratio: Test rows over training rows.
    """
    found: dict[str, Any] = {"levels": {}, "differences": {}}
    for name in MEASURES:
        wide = lines.pivot(index="split", columns=["arm", "hide"], values=name)
        arms = [arm for arm in summary["arms"] if arm in wide]
        largest = largest_difference(name)
        for kind, others in (("levels", 0.0), ("differences", wide.get(summary["main"], np.nan))):
            values = {arm: (wide[arm] - others).to_numpy(dtype=np.float64).T for arm in arms}
            found[kind][name] = {
                arm: [_interval(each, ratio, largest, 0.0 if kind == "levels" else -largest)
                      for each in own]
                for arm, own in values.items()
            }  # fmt: skip
    return found


def _interval(
    values: NDArray[np.float64], ratio: float, largest: float, lowest: float
) -> dict[str, float]:
    own = estimate(values, ratio, largest)
    return {"mean": own.mean, "low": float(np.maximum(lowest, own.low)), "high": own.high}
