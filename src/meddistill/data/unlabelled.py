"""Rows that nobody labelled beside a split: none may be one that the student is tested on."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from meddistill.data.cohort import UNLABELLED, Cohort
from meddistill.data.datamodule import CohortDataModule
from meddistill.errors import SettingError, UserError
from meddistill.once import NOTE
from meddistill.runs.runfolder import is_main_process

log = logging.getLogger(__name__)
USED_FOR = {"test": "judge the student", "validation": "choose its epoch and its settings"}
"""What the rows of a part are held back for."""


def check_unlabelled(data: CohortDataModule) -> None:
    """Refuse unlabelled rows that a split holds back, and say what is odd about the others.

    They are looked at as new patients' rows are, by what the training rows taught.

    Raises:
        UserError: One of them is a test or a validation row, or none of a column's categories is
            known.
    """
    cohort, more = data.cohort, data.cohort.unlabelled
    if more is None:
        return
    for part, purpose in USED_FOR.items():
        for by, shared in _shared(cohort, more, data.split.part(part)):
            if shared.any():
                first = f"{'id' if more.has_ids else 'row'} {more.row[np.argmax(shared)]}"
                raise SettingError(
                    UNLABELLED, more.name, f"{shared.sum()} of its rows {by} of the {part} part "
                    f"(first: {first}), which are there to {purpose}: leave out all that the data "
                    "have too, since each split holds back others",
                )  # fmt: skip
    try:
        data.preprocessing.warn(data.preprocessing.read(more.records))
    except UserError as error:
        raise SettingError(UNLABELLED, more.name, str(error)) from error
    copies = int(np.isin(more.content, cohort.content[data.split.train]).sum())
    if copies and is_main_process():
        log.info(
            "  %s: %d row(s) are exact copies of training rows, and count once more",
            UNLABELLED, copies, **NOTE,
        )  # fmt: skip


def _shared(
    cohort: Cohort, more: Cohort, held: NDArray[np.int64]
) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Which of the unlabelled rows are rows of `held`, positions in the cohort, in each sense."""
    if cohort.has_ids:
        yield "have the ids of rows", np.isin(more.row.astype(str), cohort.row[held].astype(str))
    yield "are exact copies of rows", np.isin(more.content, cohort.content[held])
    if cohort.group is not None and more.group is not None:
        groups = cohort.group[held].astype(str)
        yield "belong to groups (data.group)", np.isin(more.group.astype(str), groups)
