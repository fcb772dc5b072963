"""Rows that nobody labelled beside a split: none may be one that the student is tested on."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from meddistill.data.cohort import UNLABELLED, Cohort
from meddistill.data.datamodule import CohortDataModule
from meddistill.data.records import Positions
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
        UserError: One of them is a test or a validation row, or can't be read as new rows are.
    """
    cohort, more = data.cohort, data.cohort.unlabelled
    if more is None:
        return
    senses = list(_senses(cohort, more))
    for part, purpose in USED_FOR.items():
        held = data.split.part(part)
        for sense in senses:
            _check_shared(sense, more, held, part, purpose)
            if sense.name is not None:
                _check_spellings(sense, more, held, part)
    try:
        data.preprocessing.warn(data.preprocessing.read(more.records), f"{UNLABELLED}: ")
    except UserError as error:
        raise SettingError(UNLABELLED, more.name, str(error)) from error
    copies = int(np.isin(more.content, cohort.content[data.split.train]).sum())
    if copies and is_main_process():
        log.info(
            "  %s: %d row(s) are exact copies of training rows, and count once more",
            UNLABELLED, copies, **NOTE,
        )  # fmt: skip


class _Sense(NamedTuple):
    """What two rows have in common that are one, or belong together.

    Attributes:
        says: It of several rows, in words.
        more: [unlabelled rows] its value.
        own: [rows of the data] the same.
        name: What the value is, where it is a name that people spell in several ways.
    """

    says: str
    more: NDArray[np.generic]
    own: NDArray[np.generic]
    name: str | None = None


def _senses(cohort: Cohort, more: Cohort) -> Iterator[_Sense]:
    """The senses in which unlabelled rows may be rows of the data."""
    if cohort.has_ids and more.has_ids:
        yield _Sense("have the ids of rows", more.row.astype(str), cohort.row.astype(str), "id")
    yield _Sense("are exact copies of rows", more.content, cohort.content)
    if cohort.group is not None and more.group is not None:
        groups = more.group.astype(str), cohort.group.astype(str)
        yield _Sense("belong to groups", *groups, "group")


def _check_shared(sense: _Sense, more: Cohort, held: Positions, part: str, purpose: str) -> None:
    """Refuse rows that are rows of `held`, positions in the cohort."""
    shared = np.isin(sense.more, sense.own[held])
    if shared.any():
        first = f"{'id' if more.has_ids else 'row'} {more.row[np.argmax(shared)]}"
        raise SettingError(
            UNLABELLED, more.name, f"{shared.sum()} of its rows {sense.says} of the {part} part "
            f"(first: {first}), which are there to {purpose}: leave out all that the data have "
            "too, since each split holds back others",
        )  # fmt: skip


def _check_spellings(sense: _Sense, more: Cohort, held: Positions, part: str) -> None:
    """Refuse names that are those of `held` but for case, zeros before and .0: most likely theirs.

    A name that stands in the data as it is names what it names there.
    """
    own = sense.own.tolist()
    known, there = set(own), {_plain(own[row]): own[row] for row in held}
    odd = [name for name in sense.more.tolist() if _plain(name) in there and name not in known]
    if odd:
        raise SettingError(
            UNLABELLED, more.name, f"the {sense.name} of {len(odd)} of its rows differs in "
            f"spelling alone from one of the {part} part (first: {shown(odd[0])}, and "
            f"{shown(there[_plain(odd[0])])} in the data): write it as the data do, so that the "
            "same can be told from others, or leave these rows out",
        )  # fmt: skip


def _plain(name: str) -> str:
    """A name without its case and, of a whole number, zeros before and .0 after."""
    text = name.strip().casefold()
    number = AS_NUMBER.fullmatch(text)
    return number[1] if number else text
