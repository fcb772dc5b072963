"""Measurements, a row each, as steps of variables: binned or kept, in order of time."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from meddistill.data.series.arrays import LATER, block_of, in_single
from meddistill.data.series.long_rows import Long
from meddistill.data.series.records import SeriesRecords
from meddistill.data.series.static import Statics
from meddistill.errors import UserError, listed, shown

Floats = NDArray[np.float32]
log = logging.getLogger(__name__)


def long_records(
    long: Long, ids: Sequence[str], statics: Statics, spec: Mapping[str, Any]
) -> SeriesRecords:
    """Measurements as records, a row for each of `ids`.

    Args:
        long: Measurements of these ids alone.
        ids: In the order wanted.
        statics: [ids] static columns.
        spec: Its `variables`, `step` and `names`; what is later than its `until` is left out.

    Raises:
        UserError: An id has no measurement by then, or a variable has two values at one time.
    """
    until = spec["until"]
    early = long if until is None else long.at(long.time <= until)
    if len(early.time) < len(long.time):
        log.warning(LATER, len(long.time) - len(early.time), until)
    unknown = set(ids) - {early.ids[place] for place in np.unique(early.id)}
    if unknown:
        when = "" if until is None else f" until {until:g}"
        absent = [id for id in ids if id in unknown]
        raise UserError(f"id {listed(absent)} has no row that is read{when}: leave it out")
    values, times = pivot(early, ids, spec["variables"], spec["step"])
    return SeriesRecords(
        block_of(values, times, statics.values), tuple(spec["variables"]), statics.names,
        statics.categories, spec["step"], until, spec["names"], tuple(ids),
        time_kind=long.time_kind,
    )  # fmt: skip


def pivot(
    long: Long, ids: Sequence[str], variables: Sequence[str], step: float | None
) -> tuple[Floats, Floats]:
    """Values [ids, time, variables] and times [ids, time] of measurements, NaN where there is none.

    A step is a time at which an id has a measurement; with `step` the beginning of a bin so wide,
    in which a variable's values are averaged.

    Args:
        long: Measurements of these ids alone.
        ids: In the order wanted.
        variables: In the order wanted.
        step: Width of a bin; None keeps the times.

    Raises:
        UserError: A variable has two values at one time, and there are no bins.
    """
    places = {name: place for place, name in enumerate(ids)}
    columns = {name: place for place, name in enumerate(variables)}
    row = np.array([places.get(name, -1) for name in long.ids])[long.id]
    column = np.array([columns.get(name, -1) for name in long.variables])[long.variable]
    time = long.time if step is None else np.floor(long.time / step) * step
    if step is None:
        _refuse_twice(long, row, column)
    frame = pd.DataFrame({"row": row, "time": time, "column": column, "value": long.value})
    cells = frame.groupby(["row", "time", "column"], as_index=False).mean()
    steps = cells[["row", "time"]].drop_duplicates()
    steps = steps.assign(place=steps.groupby("row").cumcount())
    cells = cells.merge(steps, on=["row", "time"])
    shape = len(ids), int(steps["place"].max()) + 1
    values = np.full((*shape, len(variables)), np.nan, dtype=np.float32)
    times = np.full(shape, np.nan)
    values[cells["row"], cells["place"], cells["column"]] = cells["value"]
    times[steps["row"], steps["place"]] = steps["time"]
    return values, in_single(times)


def _refuse_twice(long: Long, row: NDArray[np.int64], column: NDArray[np.int64]) -> None:
    twice = pd.DataFrame({"row": row, "time": long.time, "column": column}).duplicated()
    if twice.any():
        first = int(np.argmax(twice))
        raise UserError(
            f"row {long.row[first]}: {shown(long.variables[long.variable[first]])} of id "
            f"{shown(long.ids[long.id[first]])} has a second value at time "
            f"{long.time[first]:g} ({int(twice.sum())} such rows): leave one of them, or average "
            "them in bins by data.step"
        )
