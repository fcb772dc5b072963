"""A table of rows without labels, read as the data's own is."""

from __future__ import annotations

import numpy as np
import pandas as pd

from meddistill.data.tables.labels import group_names, read_ids
from meddistill.data.tables.missing import Missing
from meddistill.data.tables.reading import Raw
from meddistill.data.tables.records import TableRecords
from meddistill.data.tables.schema import Schema
from meddistill.data.unlabelled import Names, Unlabelled, lacking
from meddistill.errors import shown


def read_unlabelled(
    raw: Raw, schema: Schema, target: str, id: str | None, group: str | None, missing: Missing
) -> Unlabelled:
    """Rows for a teacher to answer, by the schema of the data's own.

    Args:
        raw: The table.
        schema: The columns that are read.
        target: Column of the diagnosis; where the table has it, it is not read.
        id: Column that names a row, or None.
        group: Column that says which rows belong together, or None.
        missing: Spellings of a group that is not known.

    Raises:
        UserError: It lacks a column, or a cell is not what its column needs.
    """
    frame = raw.frame
    ids, groups = names_of(frame, id, group, missing)
    return Unlabelled(
        records=TableRecords.prepared(frame, schema, as_new=True),
        ids=ids,
        groups=groups,
        called=np.array([str(line) for line in frame.index], dtype=object),
        unread=f"their column {shown(target)}" if target in frame.columns else "",
        notes=raw.notes,
    )


def names_of(
    frame: pd.DataFrame,
    id: str | None,
    group: str | None,
    missing: Missing,
    called: str = "column",
) -> tuple[Names | None, Names | None]:
    """[rows] ids and groups of rows without labels, by the columns in which the data have theirs.

    Raises:
        UserError: A column is absent, an id is empty or stands twice.
    """
    for key, column in {"id": id, "group": group}.items():
        if column is not None and column not in frame.columns:
            raise lacking(f"{called} {shown(column)} (data.{key})")
    groups = None if group is None else group_names(frame, group, missing, "unlabelled row")[0]
    return None if id is None else read_ids(frame, id), groups
