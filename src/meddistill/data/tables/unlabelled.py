"""A table of rows without labels, read as the data's own is."""

from __future__ import annotations

import numpy as np

from meddistill.data.cohort import UNLABELLED
from meddistill.data.tables.labels import group_names, read_ids
from meddistill.data.tables.missing import Missing
from meddistill.data.tables.reading import Raw
from meddistill.data.tables.records import TableRecords
from meddistill.data.tables.schema import Schema
from meddistill.data.unlabelled import Unlabelled, lacking
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
    for key, column in {"data.id": id, "data.group": group}.items():
        if column is not None and column not in frame.columns:
            raise lacking(f"column {shown(column)} ({key})")
    return Unlabelled(
        records=TableRecords.prepared(frame, schema, called=f"{UNLABELLED}: "),
        ids=None if id is None else read_ids(frame, id),
        groups=None if group is None else group_names(frame, group, missing, "unlabelled row")[0],
        called=np.array([str(line) for line in frame.index], dtype=object),
        unread=f"their column {shown(target)}" if target in frame.columns else "",
        notes=raw.notes,
    )
