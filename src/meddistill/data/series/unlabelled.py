"""Series without labels, in a file of arrays or a long table, as new ones are read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from meddistill.data.npz_file import ARRAY_FILES, load_arrays
from meddistill.data.series.arrays import Arrays, array_columns
from meddistill.data.series.beside import rows_of
from meddistill.data.series.long_rows import column_names
from meddistill.data.series.reading import of_arrays, of_long
from meddistill.data.tables.missing import DEFAULT, Missing
from meddistill.data.tables.reading import read_raw
from meddistill.data.tables.unlabelled import names_of
from meddistill.data.unlabelled import Unlabelled, lacking
from meddistill.errors import SettingError, UserError, listed, shown

BESIDE = "data.unlabelled_static_path"
"""The setting that names a table beside a long one."""
Roles = Mapping[str, str | None]


def read_unlabelled(
    path: Path,
    spec: Mapping[str, Any],
    roles: Roles,
    beside: Path | None = None,
    separator: str = ",",
    encoding: str = "utf-8",
) -> Unlabelled:
    """Series for a teacher to answer, by the spec of the data's own.

    Args:
        path: An .npz file, or a long table.
        spec: Of the data's records.
        roles: Arrays or columns by what they hold of the data: `target`, `id`, `group`.
        beside: A table beside a long one, with a row for each id: static columns and groups; None
            has them stand in the long one.
        separator: Of CSV files.
        encoding: Of CSV files.

    Raises:
        UserError: They can't be read, lack what the data have, or a cell is not what it needs.
    """
    if path.suffix.lower() in ARRAY_FILES:
        if beside is not None:
            raise SettingError(BESIDE, beside, "stands beside a long table: leave it out")
        return _of_arrays(load_arrays(path, "rows"), spec, roles)
    long = read_raw(path, separator, ".", encoding).frame
    if beside is None:
        return _of_long(long, None, spec, roles, path.name)
    try:
        static = read_raw(beside, separator, ".", encoding).frame
    except SettingError as error:
        raise SettingError(BESIDE, beside, error.mend) from error
    return _of_long(long, static, spec, roles, path.name)


def _of_arrays(arrays: Arrays, spec: Mapping[str, Any], roles: Roles) -> Unlabelled:
    records, target = of_arrays(arrays, spec), roles["target"]
    columns = {name for name in (roles["id"], roles["group"]) if name and name in arrays}
    frame = array_columns(arrays, columns, len(records))
    ids, groups = names_of(frame, roles["id"], roles["group"], Missing(DEFAULT), "array")
    unread = f"their array {shown(target)}" if target in arrays else ""
    return Unlabelled(records, ids, groups, unread=unread)


def _of_long(
    long: pd.DataFrame,
    static: pd.DataFrame | None,
    spec: Mapping[str, Any],
    roles: Roles,
    where: str,
) -> Unlabelled:
    table = long if static is None else static
    absent = [name for name in spec["static"] if name not in table.columns]
    if absent and static is None:
        raise UserError(
            f"lacks static columns of the data, {listed(absent)}: put them beside each measurement,"
            f" or into a table with a row for each id ({BESIDE} of data=series_table)"
        )
    records = of_long(long, static, spec, where)
    ids, group, target = records.index.astype(str), roles["group"], roles["target"]
    groups = None
    if group is not None:
        if group not in table.columns:
            raise lacking(f"column {shown(group)} (data.group)")
        id = column_names(long, spec["names"], where)["id"]
        own = rows_of(list(ids), table, id, [group])
        groups = names_of(own, None, group, Missing(DEFAULT))[1]
    unread = next((f"their column {shown(target)}" for each in (long, table)
                   if target in each.columns), "")  # fmt: skip
    return Unlabelled(records, np.array(ids, dtype=object), groups, unread=unread)
