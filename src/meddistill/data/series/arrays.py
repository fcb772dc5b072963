"""Arrays of series as records: shapes, lengths, times and gaps, each mistake with its row."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from meddistill.data.series.records import Block, SeriesRecords
from meddistill.data.series.static import Statics, read_statics
from meddistill.errors import UserError, listed, shown

Arrays = Mapping[str, NDArray[Any]]
Floats = NDArray[np.float32]
LATER = "%d step(s) later than %g (data.until) are not read"
log = logging.getLogger(__name__)


def array(arrays: Arrays, name: str, what: str) -> NDArray[Any]:
    """One of the arrays by its name.

    Raises:
        UserError: There is none of this name.
    """
    if name not in arrays:
        raise UserError(f"no array {shown(name)} ({what}); there are {listed(arrays, 20)}")
    return np.asarray(arrays[name])


def series_values(arrays: Arrays, name: str) -> Floats:
    """[rows, time, variables] float32, of float16 too; infinite cells are missing.

    Raises:
        UserError: The array has another shape, no row, or a cell that is no number.
    """
    values = array(arrays, name, "the series")
    if values.ndim == 2:
        values = values[:, :, None]
    if values.ndim != 3 or 0 in values.shape:
        raise UserError(
            f"array {shown(name)} has shape {values.shape}: series are [rows, time, variables], "
            "none of them 0"
        )
    if values.dtype.kind not in "fiub":
        _refuse_text(values, name)
    wide = values.astype(np.float32)
    wide[np.isinf(wide)] = np.nan
    return wide


def _refuse_text(values: NDArray[Any], name: str) -> None:
    for row, step, variable in np.ndindex(values.shape):
        cell = values[row, step, variable]
        if not isinstance(cell, (int, float, np.number)):
            raise UserError(
                f"array {shown(name)}, row {row}, step {step}, variable {variable}: {shown(cell)} "
                "is no number: save the series as numbers, NaN where a value is missing"
            )


def variable_names(
    arrays: Arrays, name: str | None, count: int, trained: Sequence[str] | None = None
) -> tuple[str, ...]:
    """[V] names of the variables: the array's; where there is none those of training, or x0, x1.

    Raises:
        UserError: There are more or fewer names than variables, or one stands twice.
    """
    if name is None or name not in arrays:
        names = [f"x{place}" for place in range(count)] if trained is None else trained
        if len(names) != count:
            raise UserError(
                f"the series have {count} variables; the model was trained with {len(names)}: "
                f"{listed(names, 20)}"
            )
        return tuple(names)
    names = [str(each).strip() for each in np.asarray(arrays[name]).ravel().tolist()]
    if len(names) != count:
        raise UserError(f"array {shown(name)} has {len(names)} names of {count} variables")
    if len(set(names)) < count:
        twice = next(each for each in names if names.count(each) > 1)
        raise UserError(f"array {shown(name)} names {shown(twice)} twice: rename one")
    return tuple(names)


def series_lengths(arrays: Arrays, name: str | None, rows: int, steps: int) -> NDArray[np.int64]:
    """[rows] real steps of each row, all of them where nothing says.

    Raises:
        UserError: A length is no whole number, 0, or beyond the array.
    """
    if name is None or name not in arrays:
        return np.full(rows, steps)
    lengths = np.asarray(arrays[name])
    if lengths.shape != (rows,) or lengths.dtype.kind not in "iuf" or (lengths % 1 != 0).any():
        raise UserError(f"array {shown(name)} must hold a whole number for each of {rows} rows")
    for wrong, why in (
        (lengths > steps, f"is beyond the {steps} steps of the array"),
        (lengths < 0, "is no length"),
        (lengths == 0, "is an empty series: leave the row out"),
    ):
        if wrong.any():
            row, count = int(np.argmax(wrong)), int(wrong.sum())
            raise UserError(
                f"array {shown(name)}, row {row}: length {lengths[row]} {why} ({count} such rows)"
            )
    return lengths.astype(np.int64)


def series_times(
    arrays: Arrays, name: str | None, lengths: NDArray[np.int64], steps: int, step: float | None
) -> Floats:
    """[rows, time] of each step, NaN at padding.

    Raises:
        UserError: Times are missing, not ascending, or there twice.
    """
    real = np.arange(steps) < lengths[:, None]
    if name is None or name not in arrays:
        if step is None:
            raise UserError(f"no array {shown(name or 'times')}: the model reads each step's time")
        times = np.broadcast_to(np.arange(steps) * step, real.shape)
        return np.where(real, times, np.nan).astype(np.float32)
    given = np.asarray(arrays[name])
    if given.dtype.kind not in "iuf" or given.shape not in (real.shape, real.shape[1:]):
        raise UserError(f"array {shown(name)} must hold numbers of shape {real.shape}")
    times = np.where(real, given, np.nan).astype(np.float64)
    _check_ascending(name, times, real)
    return in_single(times)


def in_single(times: NDArray[np.float64]) -> Floats:
    """Times [rows, time] as networks read them.

    Raises:
        UserError: In single precision some can't be told apart, as seconds of an era can't.
    """
    single = times.astype(np.float32)
    merged = (np.diff(single, axis=1) <= 0) & (np.diff(times, axis=1) > 0)
    if merged.any():
        row, step = (int(each[0]) for each in np.nonzero(merged))
        raise UserError(
            f"row {row}: times {times[row, step]:.17g} and {times[row, step + 1]:.17g} are one in "
            "single precision, which networks read: count them from a row's first one"
        )
    return single


def _check_ascending(name: str, times: NDArray[np.float64], real: NDArray[np.bool_]) -> None:
    unknown = real & ~np.isfinite(times)
    wrong = np.zeros_like(real)
    wrong[:, 1:] = real[:, 1:] & ~(times[:, 1:] > times[:, :-1])
    for found, why in ((unknown, "is missing"), (wrong, "is not after the step before it")):
        if found.any():
            row, place = (int(each[0]) for each in np.nonzero(found))
            raise UserError(
                f"array {shown(name)}, row {row}, step {place}: time {times[row, place]:g} {why}: "
                "a row's times must ascend, each once"
            )


def block_of(values: Floats, times: Floats, statics: NDArray[np.float32]) -> Block:
    """[rows, time, 1 + V + S] with NaN at padding."""
    rows, steps, width = values.shape
    block = np.empty((rows, steps, 1 + width + statics.shape[1]), dtype=np.float32)
    block[:, :, 0] = times
    block[:, :, 1 : 1 + width] = values
    block[:, :, 1 + width :] = statics[:, None]
    block[np.isnan(times)] = np.nan
    return block


def static_arrays(arrays: Arrays, kinds: Mapping[str, str | None], rows: int) -> Statics:
    """Static columns by the names of their arrays [rows].

    Raises:
        UserError: An array is absent, or has no value for each row.
    """
    columns = {}
    for name in kinds:
        column = array(arrays, name, "a static column")
        if column.shape != (rows,):
            raise UserError(f"array {shown(name)} has shape {column.shape}, not ({rows},)")
        columns[name] = column.astype(object) if column.dtype.kind in "SU" else column
    frame = pd.DataFrame(columns, index=pd.RangeIndex(rows))
    return read_statics(frame, kinds)


def array_columns(arrays: Arrays, names: Iterable[str], rows: int) -> pd.DataFrame:
    """[rows] what is known of them besides the series.

    Raises:
        UserError: An array is absent, or has no value for each row.
    """
    frame = {}
    for name in sorted(names):
        column = array(arrays, name, "what is known of each row")
        if column.shape not in ((rows,), (rows, 1)):
            raise UserError(f"array {shown(name)} has shape {column.shape}, not ({rows},)")
        flat = column.reshape(rows)
        frame[name] = flat.astype(object) if flat.dtype.kind in "SU" else flat
    return pd.DataFrame(frame, index=pd.RangeIndex(rows))


def cut_after(records: SeriesRecords, until: float | None) -> SeriesRecords:
    """Records without what is later than `until`.

    Raises:
        UserError: Nothing is left of a row.
    """
    if until is None or until == records.until:
        return records
    late = records.times > until
    if not late.any():
        return replace(records, until=until)
    log.warning(LATER, int(late.sum()), until)
    block = records.block.copy()
    block[late] = np.nan
    cut = replace(records, block=block, until=until)
    if (cut.lengths == 0).any():
        row = int(np.argmin(cut.lengths))
        raise UserError(f"row {row} has no step until {until:g}: nothing is known of it by then")
    return replace(cut, block=block[:, : int(cut.lengths.max())])
