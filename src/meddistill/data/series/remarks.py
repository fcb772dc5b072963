"""What is odd about new series, a sentence a kind: each says what is made of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from meddistill.data.series.pace import Pace
from meddistill.data.series.records import SeriesRecords
from meddistill.data.series.scales import Scales
from meddistill.data.series.static_inputs import StaticInputs
from meddistill.errors import listed, shown


class Fitted(NamedTuple):
    """What training rows have taught, together."""

    spec: dict[str, Any]
    scales: Scales
    statics: StaticInputs
    pace: Pace


def remarks(fitted: Fitted, records: SeriesRecords) -> Iterator[str]:
    """Of rows as they are read: what is missing, and what is far off that of training."""
    seen = ~np.isnan(records.values)
    empty = np.flatnonzero(~seen.any(axis=(1, 2)))
    if len(empty):
        first = records.index[empty[0]]
        yield f"{len(empty)} row(s) without any value, first row {first}: answered by what is left"
    there, known = seen.any(axis=(0, 1)), fitted.scales.known.numpy()
    every = np.array(records.variables, dtype=object)
    unread, absent = every[there & ~known], every[known & ~there]
    if len(unread):
        yield f"values of {listed(unread)} are not read: too few training rows had any"
    if len(absent):
        yield f"no row has a value of {listed(absent)}: answered as not measured"
    far = [*every[fitted.scales.far(records.values)], *fitted.statics.far(records.statics)]
    if far:
        yield f"values far off those of training in {listed(far)}: cut off at its ends"
    yield from fitted.pace.strange(records.times)


def lost(fitted: Fitted, records: SeriesRecords) -> Iterator[str]:
    """Of rows as they came: first steps, and categories, that are not read."""
    most = fitted.spec["steps"]
    beyond = np.maximum(records.lengths - most, 0)
    if beyond.any():
        yield (
            f"{(beyond > 0).sum()} row(s) of more than the {most} steps of training: the last "
            f"{most} are read, the earlier ones (up to {beyond.max()} of a row) are not"
        )
    for column, names in fitted.statics.unknown(records).items():
        yield (
            f"static column {shown(column)}: categories that the model has no input for, answered "
            f"like rare ones: {listed(names)}"
        )
