"""New rows in whatever form they come, as the records that a model reads."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from meddistill.data.npz_file import ARRAY_FILES, load_arrays
from meddistill.data.records import Records
from meddistill.data.series.array_records import records_of
from meddistill.data.series.arrays import Arrays, cut_after
from meddistill.data.series.beside import check_measured, statics_of
from meddistill.data.series.long_rows import Long, column_names
from meddistill.data.series.pivot import long_records
from meddistill.data.series.records import SeriesRecords
from meddistill.data.series.static import CATEGORY, NUMBER
from meddistill.data.series.times import check_kind
from meddistill.data.series.variables import are_known
from meddistill.data.tables.reading import read_raw
from meddistill.errors import UserError, listed, shown

FORMS = (
    "an .npz file, a mapping of arrays, a long table (pandas.DataFrame, or a file, with id, time, "
    "variable and value), or a pair of it and a table of static columns"
)

log = logging.getLogger(__name__)


def read_records(raw: Any, spec: Mapping[str, Any]) -> SeriesRecords:
    """Rows with the variables and static columns of `spec`, in its order.

    Args:
        raw: An .npz file, a mapping of arrays, a long table, a pair of it and a table with a row of
            static columns for each id; frames, or paths of files; or records.
        spec: Of the training records.

    Raises:
        UserError: The rows are none of these, or something of them doesn't fit; it is named.
    """
    if isinstance(raw, SeriesRecords):
        check_kind("the clock of these series", raw.time_kind, spec["time_kind"])
        return cut_after(_in_order(raw, spec), spec["until"])
    if isinstance(raw, Records):
        raise UserError(f"the model reads series, and these rows are {raw.kind}")
    given = raw if isinstance(raw, tuple) else (raw,)
    parts = [_opened(part) for part in given]
    if len(parts) in (1, 2) and all(isinstance(part, pd.DataFrame) for part in parts):
        where = str(given[0]) if isinstance(given[0], (str, Path)) else "the rows"
        return of_long(parts[0], parts[1] if len(parts) > 1 else None, spec, where)
    raw = parts[0] if len(parts) == 1 else raw
    if isinstance(raw, Mapping):
        return of_arrays({str(name): np.asarray(each) for name, each in raw.items()}, spec)
    raise UserError(f"rows of series come as {FORMS}, not as {type(raw).__name__}")


def _opened(raw: Any) -> Any:
    """What stands in a file, if it is the path of one."""
    if not isinstance(raw, (str, Path)):
        return raw
    path = Path(raw)
    if path.suffix.lower() in ARRAY_FILES:
        return load_arrays(path, "rows")
    return read_raw(path, ",", ".", "utf-8").frame


def of_arrays(arrays: Arrays, spec: Mapping[str, Any]) -> SeriesRecords:
    """Arrays with the variables and static columns of `spec`, in its order.

    Raises:
        UserError: An array is absent, or holds what it can't; it is named with its row.
    """
    records = records_of(arrays, spec["names"], spec["static"], spec["step"], spec)
    return cut_after(_in_order(records, spec), spec["until"])


def of_long(
    frame: pd.DataFrame, beside: pd.DataFrame | None, spec: Mapping[str, Any], where: str
) -> SeriesRecords:
    """Measurements, and static columns beside them: in a table of their own, or among them.

    Raises:
        UserError: A column is absent, an id is in one table alone, or a cell can't be read.
    """
    names = column_names(frame, spec["names"], where)
    long = Long.read(frame, names, where, spec["variables"], spec["time_kind"])
    for note in long.notes:
        log.warning("%s: %s", where, note)
    if beside is not None:
        check_measured(beside, names["id"], long.ids)
    table = frame if beside is None else beside
    statics = statics_of(long.ids, table, names["id"], spec["static"])
    spec = {**spec, "names": {**spec["names"], **names}}
    return long_records(long, long.ids, statics, spec)


def _in_order(records: SeriesRecords, spec: Mapping[str, Any]) -> SeriesRecords:
    """Records with the variables and static columns of `spec` alone, in its order."""
    variables, static = tuple(spec["variables"]), tuple(spec["static"])
    _check_kinds(records, spec["static"])
    if records.variables == variables and records.static == static:
        return records
    are_known(records.variables, variables)
    for name, have, wanted in (
        ("variables", records.variables, variables), ("static columns", records.static, static)
    ):  # fmt: skip
        absent = [each for each in wanted if each not in have]
        if absent:
            raise UserError(
                f"these series lack {name} that the model was trained with: {listed(absent)}; "
                f"there are {listed(have, 20)}"
            )
    columns: NDArray[np.int64] = np.array([
        0,
        *(1 + records.variables.index(name) for name in variables),
        *(1 + len(records.variables) + records.static.index(name) for name in static),
    ])  # fmt: skip
    return replace(
        records,
        block=records.block[:, :, columns],
        variables=variables,
        static=static,
        categories=tuple(records.categories[records.static.index(name)] for name in static),
    )


def _check_kinds(records: SeriesRecords, kinds: Mapping[str, str]) -> None:
    """Refuse numbers where a model reads categories, and the other way round."""
    for name, names in zip(records.static, records.categories, strict=True):
        own = NUMBER if names is None else CATEGORY
        if kinds.get(name, own) != own:
            raise UserError(
                f"static column {shown(name)} is a {own} here, and was a {kinds[name]} in training"
            )
