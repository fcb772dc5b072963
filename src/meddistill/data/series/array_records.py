"""Arrays of series as records, the data's own and new ones."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddistill.data.series.arrays import (
    Arrays,
    Floats,
    block_of,
    series_lengths,
    series_times,
    series_values,
    static_arrays,
    variable_names,
)
from meddistill.data.series.records import SeriesRecords
from meddistill.data.series.times import NUMBER

log = logging.getLogger(__name__)


def records_of(
    arrays: Arrays,
    names: Mapping[str, str | None],
    static: Mapping[str, str | None],
    step: float | None,
    trained: Mapping[str, Any] | None = None,
) -> SeriesRecords:
    """Arrays as records, with all their variables and steps.

    Args:
        arrays: By name.
        names: The arrays' names by what they hold (see `NAMES`).
        static: Static columns by name: what they hold, or None, which goes by the cells.
        step: Time between steps where there are no times.
        trained: Spec of the training records, by which new ones are read where they say nothing
            of their variables and lengths; None of training records themselves.

    Raises:
        UserError: An array is absent, or holds what it can't; it is named with its row.
    """
    values = series_values(arrays, str(names["values"]))
    rows, steps, width = values.shape
    variables = trained["variables"] if trained else None
    lengths = series_lengths(arrays, names["lengths"], rows, steps)
    if trained and names["lengths"] not in arrays:
        lengths = _without_tail(values, lengths, trained["steps"])
    times = series_times(arrays, names["times"], lengths, steps, step)
    statics = static_arrays(arrays, static, rows)
    return SeriesRecords(
        block_of(values, times, statics.values),
        variable_names(arrays, names["variables"], width, variables),
        statics.names,
        statics.categories,
        step,
        names=names,
        time_kind=trained["time_kind"] if trained else NUMBER,
    )


def _without_tail(values: Floats, lengths: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """[rows] steps of which none beyond those of training belongs to a tail without any value.

    Of longer series the last steps are read: those of an empty tail would take the place of values.
    """
    steps = np.arange(1, values.shape[1] + 1)
    last = np.where(~np.isnan(values).all(axis=2), steps, 0).max(axis=1)
    kept: NDArray[np.int64] = np.minimum(lengths, np.maximum(last, most))
    cut = lengths - kept
    if cut.any():
        log.warning(
            "%d row(s) end in steps without any value beyond the %d of training, which are taken "
            "for padding (up to %d of a row): `lengths` says which steps are real",
            (cut > 0).sum(), most, cut.max(),
        )  # fmt: skip
    return kept
