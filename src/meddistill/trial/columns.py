"""Which columns the students of a trial read, and what each more of them buys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from meddistill.evaluation.resampling import estimate
from meddistill.measures import largest_difference
from meddistill.stack.tables import Table
from meddistill.trial.units import Unit, setting_title


def columns_read(units: Sequence[Unit], tables: Sequence[Table]) -> dict[str, Any]:
    """`columns` of a trial's summary: of each setting what its splits' students read.

    How many `labels` there are in words, the mean `count` and `cost` of the columns, the `share` of
    the splits in which each is read, the share of the teacher's answers that it tells `alone`, and
    which they tell together (`told`), means over splits; nothing where every student reads all.
    """
    if all(table.choice is None for table in tables):
        return {}
    prices: dict[str, float] = {}
    for table in tables:
        prices |= table.choice.costs if table.choice is not None else {}
    of_setting: dict[int, list[Table]] = {}
    for unit, table in zip(units, tables, strict=True):
        of_setting.setdefault(unit.setting, []).append(table)
    return {"columns": [_of_setting(each, prices) for each in of_setting.values()]}


def _of_setting(tables: Sequence[Table], prices: Mapping[str, float]) -> dict[str, Any]:
    every = list(tables[0].data.cohort.records.columns)
    choices = [table.choice for table in tables if table.choice is not None]
    read = [choice.columns for choice in choices] or [every]
    known = choices[0].alone if choices else {}
    told = [max(choice.told.values()) for choice in choices if choice.told]
    shares = {name: float(np.mean([name in names for names in read])) for name in every}
    costs = [sum(prices.get(name, 0.0) for name in names) for names in read]
    return {
        "labels": _labels(tables[0].settings),
        "count": float(np.mean([len(names) for names in read])),
        "cost": float(np.mean(costs)) if prices else None,
        "share": {name: share for name, share in shares.items() if share},
        "alone": {
            name: float(np.mean([choice.alone[name] for choice in choices])) for name in known
        },
        "told": float(np.mean(told)) if told else None,
    }


def with_own_costs(summary: Mapping[str, Any], number: int) -> Mapping[str, Any]:
    """A trial's summary with the costs of its arms in one of its settings."""
    own = summary.get("costs_by_setting")
    return summary if own is None else {**summary, "costs": own[number]}


def _labels(settings: Mapping[str, Any]) -> str:
    """How many labels there are, in words."""
    known = {"data.labels": settings["data"]["labels"]}
    if "labels" in settings["teacher"]:
        known["teacher.labels"] = settings["teacher"]["labels"]
    return setting_title(known)


def levels(measures: pd.DataFrame, summary: Mapping[str, Any], ratio: float) -> dict[str, Any]:
    """Mean and 95 % interval over splits of each arm on each measure with a verdict.

    The interval is the corrected one (Nadeau and Bengio 2003) of the mean itself: of how good an
    arm is, not of how it differs from another. No such measure is below 0.

    Args:
        measures: Of one setting, a line for each split and arm.
        summary: What the trial compared.
        ratio: Test rows over training rows.
    """
    found: dict[str, Any] = {}
    for name in summary["margins"]:
        found[name] = {}
        for arm in summary["arms"]:
            values = measures.loc[measures["arm"] == arm, name].to_numpy(dtype=np.float64)
            own = estimate(values, ratio, largest_difference(name))
            found[name][arm] = {
                "mean": own.mean,
                "low": float(np.maximum(0.0, own.low)),
                "high": own.high,
            }
    return found
