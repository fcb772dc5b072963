"""The rows of every split of a trial, with the teacher's answers as they are and dealt out anew."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from meddistill.data.cohort import Cohort
from meddistill.data.datamodule import CohortDataModule
from meddistill.runs.pace import Pace, quiet
from meddistill.seeding import derive
from meddistill.stack.tables import Table, let_go, read_rows
from meddistill.students.columns import build_columns, chosen
from meddistill.teachers.teaching import Teachers, answers, find, with_unlabelled_rows
from meddistill.trial.units import Unit

log = logging.getLogger(__name__)


def read_units(units: Sequence[Unit]) -> Iterator[CohortDataModule]:
    """Each unit's rows, as they are asked for; equal sources are read once."""
    cohorts: dict[str, Cohort] = {}
    for unit in units:
        yield read_rows(unit.settings, cohorts)


def teach_units(units: Sequence[Unit], modules: Sequence[CohortDataModule]) -> list[Table]:
    """Each unit's own rows as students read them, with the answers of its teacher.

    Teachers are in the store, or trained now.
    """
    tables: list[Table] = []
    teachers, pace = Teachers(), Pace("teachers: {} splits", len(units))
    log.info("teachers: from the store (%s), or trained now", units[0].settings["store"])
    with quiet("meddistill.teachers"):
        for unit, data in zip(units, modules, strict=True):
            targets = find(teachers.of(unit.settings), unit.settings, data)
            choice = chosen(build_columns(unit.settings), data, targets)
            read = data.with_columns(None if choice is None else choice.columns)
            taught = read.with_answers(targets.log_probabilities)
            tables.append(Table(unit.settings, taught, targets, choice))
            pace.step()
    return tables


class Way(NamedTuple):
    """How an arm reads a split's rows.

    Attributes:
        teacher: Whose answers: `teacher` of a `StudentArm`.
        synthetic: Config node of what makes synthetic rows.
        unlabelled: Whether it reads the cohort's unlabelled rows.
        preprocessing: Config node of what makes its inputs.
        key: Of that node.
        hide: Share of known cells that it does not see in training.
    """

    teacher: str
    synthetic: Mapping[str, Any]
    unlabelled: bool
    preprocessing: Mapping[str, Any]
    key: str
    hide: float


def as_read(tables: Sequence[Table], read: Sequence[Way]) -> list[Table]:
    """The tables in each way that arms read them, way by way; synthetic rows are made once.

    Args:
        tables: The units' own rows with their teacher's answers.
        read: What each way is.
    """
    made: dict[str, list[Table]] = {}
    every: list[Table] = []
    for way in read:
        key = json.dumps(way[1:], default=str)
        if key not in made:
            made[key] = [_read(table, way) for table in tables]
            let_go(tables)
        permuted = way.teacher == "permuted"
        every += [with_permuted_teacher(each) if permuted else each for each in made[key]]
    return every


def _read(table: Table, way: Way) -> Table:
    """The table by an arm's preprocessing, with the rows that nobody labelled, all answered."""
    data = table.data.with_method(way.preprocessing, way.key, way.hide)
    if way.synthetic or way.unlabelled:
        data = with_unlabelled_rows(way.synthetic, data.with_columns(None))
    if data is table.data:
        return table
    assert table.targets is not None  # a trial has a teacher in every table
    taught = data.with_answers(answers(table.targets, data))
    columns = None if table.choice is None else table.choice.columns
    return replace(table, data=taught.with_columns(columns))


def with_permuted_teacher(table: Table) -> Table:
    """The table with the teacher's answers on training rows dealt out to other training rows.

    Their distribution stays; what they know of a row is gone. Equal settings deal alike.
    """
    data = table.data
    assert data.answers is not None  # a trial has a teacher in every table
    dealt, train = data.answers.numpy().copy(), data.train_rows
    random = np.random.default_rng(derive(table.settings["seed"], "permuted teacher"))
    dealt[train] = dealt[random.permutation(train)]
    return replace(table, data=data.with_answers(dealt))
