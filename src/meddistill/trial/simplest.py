"""The cheapest arm that is not shown to be worse than the best: what a hospital would take.

Cost is what a prediction takes, counted in parameters (of trees: nodes), which are the same on
every machine. Of equally large arms the baseline comes first, since it needs no teacher, then the
order of the trial's arms. Controls are no candidates, nor is what nobody can count, such as a
teacher that is a file of scores; the latter is compared with all the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from meddistill.evaluation.resampling import Numbers
from meddistill.evaluation.standing import shortfalls, standings
from meddistill.evaluation.verdict import NAMES
from meddistill.measures import lower_is_better


def simplest(
    tables: Mapping[str, pd.DataFrame], summary: Mapping[str, Any], ratio: float
) -> dict[str, Any] | None:
    """The arm, what it costs, how it stands to the best, and that in words.

    Args:
        tables: Of each measure with a margin: a line a split, a column an arm.
        summary: What the trial compared.
        ratio: Test rows over training rows.

    Returns:
        None where there are no two arms to compare, or no cost is known.
    """
    arms = [name for name in summary["arms"] if _has_values(name, tables, summary)]
    ordered = by_cost(arms, summary)
    if len(arms) < 2 or not ordered or not tables:
        return None
    measured = {name: table[arms].to_numpy(np.float64).T for name, table in tables.items()}
    standing = dict(zip(arms, standings(measured, summary["margins"], ratio), strict=True))
    left = [name for name in ordered if not standing[name].out]
    if not left:
        return None
    arm = left[0]
    found = {
        "arm": arm,
        "label": str(summary["arms"][arm]["label"]),
        "parameters": summary["costs"][arm]["parameters"],
        "raw_row_ms": summary["costs"][arm].get("raw_row_ms"),
        "as_good": standing[arm].as_good,
        "worse": [name for name in arms if standing[name].out],
        "to_best": {name: _to_best(measured, name, arm, arms, ratio) for name in measured},
    }
    return found | {"sentence": sentence(found, summary)}


def by_cost(arms: Sequence[str], summary: Mapping[str, Any]) -> list[str]:
    """Arms of known cost, the cheapest first."""
    sizes = {name: (summary["costs"].get(name) or {}).get("parameters") for name in arms}
    known = [name for name in arms if sizes[name] is not None]
    return sorted(known, key=lambda name: (sizes[name], name != summary["baseline"]))


def _has_values(name: str, tables: Mapping[str, pd.DataFrame], summary: Mapping[str, Any]) -> bool:
    """Whether an arm can be compared: it is no control, and has a value on each measure."""
    if summary["arms"][name].get("control"):
        return False
    return all(name in table and table[name].notna().any() for table in tables.values())


def _to_best(
    measured: Mapping[str, Numbers], measure: str, arm: str, arms: Sequence[str], ratio: float
) -> dict[str, Any]:
    """The arm with the best mean on a measure, and how much worse the simplest one is."""
    sign = -1.0 if lower_is_better(measure) else 1.0
    best = int(np.argmax(sign * np.nanmean(measured[measure], axis=1)))
    if arms[best] == arm:
        return {"best": arm}
    intervals = shortfalls(measured, measure, list(arms).index(arm), ratio)
    mean, low, high = (float(part[best]) for part in intervals)
    return {"best": arms[best], "mean": mean, "low": low, "high": high}


def sentence(found: Mapping[str, Any], summary: Mapping[str, Any]) -> str:
    """It in words: not shown to be worse is one thing, shown to be as good another."""
    latency = found["raw_row_ms"]
    cost = f"{found['parameters']:,} parameters"
    cost += f", {latency:.2g} ms for a raw row" if latency else ""
    is_best = not any("mean" in own for own in found["to_best"].values())
    beside = " and ".join(
        _beside(measure, own, summary) for measure, own in found["to_best"].items()
    )
    said = (
        f"Simplest: of the arms not shown to be worse than the best by more than the margins, the "
        f"{found['label']} costs least ({cost}); {beside}. "
    )
    if found["as_good"]:
        return f"{said}That no other is better by more than the margins is shown."
    doubt = "the data don't rule out that another arm is better by more than the margins."
    if is_best:
        return f"{said}So it stands here, though {doubt}"
    return f"{said}That is no proof of being as good: {doubt}"


def _beside(measure: str, own: Mapping[str, Any], summary: Mapping[str, Any]) -> str:
    name, margin = NAMES.get(measure, measure.replace("_", " ")), summary["margins"][measure]
    if "mean" not in own:
        return f"by {name} it is the best"
    label = summary["arms"][own["best"]]["label"]
    interval = (
        f", simultaneous 95 % interval {own['low']:+.3f} to {own['high']:+.3f}"
        if own["low"] == own["low"]
        else ""
    )
    return f"by {name} the {label} is {own['mean']:.3f} better{interval} (margin {margin:g})"
