"""Rows that nobody labelled beside a split: none may be one that the student is tested on."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from meddistill.data.cohort import UNLABELLED, Cohort
from meddistill.data.datamodule import CohortDataModule
from meddistill.errors import SettingError, UserError, shown
from meddistill.once import NOTE
from meddistill.runs.runfolder import is_main_process

log = logging.getLogger(__name__)
USED_FOR = {"test": "judge the student", "validation": "choose its epoch and its settings"}
"""What the rows of a part are held back for."""
AS_NUMBER = re.compile(r"0*([0-9]+?)(\.0+)?")
"""A whole number as spreadsheets and float columns spell it: without its zeros before, with .0."""


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
        held = data.split.part(part)
        for by, shared in _shared(cohort, more, held):
            if shared.any():
                first = f"{'id' if more.has_ids else 'row'} {more.row[np.argmax(shared)]}"
                raise SettingError(
                    UNLABELLED, more.name, f"{shared.sum()} of its rows {by} of the {part} part "
                    f"(first: {first}), which are there to {purpose}: leave out all that the data "
                    "have too, since each split holds back others",
                )  # fmt: skip
        _check_spellings(cohort, more, held, part)
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


def _check_spellings(cohort: Cohort, more: Cohort, held: NDArray[np.int64], part: str) -> None:
    """Refuse names that are those of `held` but for case, zeros before and .0: most likely theirs.

    A name that stands in the data as it is names what it names there.
    """
    for key, names, others in _names(cohort, more):
        known, there = set(others), {_plain(others[row]): others[row] for row in held}
        odd = [name for name in names if _plain(name) in there and name not in known]
        if odd:
            raise SettingError(
                UNLABELLED, more.name, f"{len(odd)} of its rows have a data.{key} that differs in "
                f"spelling alone from one of the {part} part (first: {shown(odd[0])}, and "
                f"{shown(there[_plain(odd[0])])} in the data): write it as the data do, so that "
                "the same can be told from others, or leave these rows out",
            )  # fmt: skip


def _names(cohort: Cohort, more: Cohort) -> Iterator[tuple[str, list[str], list[str]]]:
    """What names unlabelled rows, and what names the data's."""
    if cohort.has_ids:
        yield "id", more.row.astype(str).tolist(), cohort.row.astype(str).tolist()
    if cohort.group is not None and more.group is not None:
        yield "group", more.group.astype(str).tolist(), cohort.group.astype(str).tolist()


def _plain(name: str) -> str:
    """A name without its case and, of a whole number, zeros before and .0 after."""
    text = name.strip().casefold()
    number = AS_NUMBER.fullmatch(text)
    return number[1] if number else text
