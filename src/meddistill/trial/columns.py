"""Which columns the students of a trial read, setting by setting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from meddistill.stack.tables import Table
from meddistill.trial.units import Unit


def columns_read(units: Sequence[Unit], tables: Sequence[Table]) -> dict[str, Any]:
    """`columns` of a trial's summary: of each setting what its splits' students read.

    The mean `count` and `cost` of the columns, the `share` of the splits in which each is read, and
    its mean `importance` for the teacher; nothing where every student reads all columns.
    """
    if all(table.choice is None for table in tables):
        return {}
    settings = range(1 + max(unit.setting for unit in units))
    of_setting = [
        [table for unit, table in zip(units, tables, strict=True) if unit.setting == number]
        for number in settings
    ]
    return {"columns": [_of_setting(each) for each in of_setting]}


def _of_setting(tables: Sequence[Table]) -> dict[str, Any]:
    every = list(tables[0].data.cohort.records.columns)
    choices = [table.choice for table in tables if table.choice is not None]
    if not choices:
        return {"count": len(every), "cost": None, "share": {}, "importance": {}}
    shares = {name: np.mean([name in choice.columns for choice in choices]) for name in every}
    known = [name for name in every if name in choices[0].importance]
    return {
        "count": float(np.mean([len(choice.columns) for choice in choices])),
        "cost": float(np.mean([choice.cost for choice in choices])) if choices[0].costs else None,
        "share": {name: float(share) for name, share in shares.items() if share},
        "importance": {
            name: float(np.mean([choice.importance[name] for choice in choices])) for name in known
        },
    }
