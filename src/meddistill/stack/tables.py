"""The splits that a job's members read, each with its teacher's answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from meddistill.data.cohort import Cohort
from meddistill.data.datamodule import CohortDataModule
from meddistill.data.source import read_cohort, source, split_rows
from meddistill.losses import DistillationLoss
from meddistill.stack.members import Member
from meddistill.students.columns import Choice
from meddistill.students.rows import asks_teacher, lesson, reads_unlabelled, student_rows
from meddistill.students.start import Starts
from meddistill.teachers.targets import Targets
from meddistill.teachers.teaching import Teachers, teacher_node


@dataclass(frozen=True)
class Table:
    """One split of a cohort.

    Attributes:
        settings: Of the first member that reads it; those that matter here are equal in all.
        data: Its rows, preprocessed by its own training rows.
        targets: The teacher and its answers, where the loss needs one, or the student's start.
        choice: The columns that its students read; None is all.
    """

    settings: Mapping[str, Any]
    data: CohortDataModule
    targets: Targets | None
    choice: Choice | None = None


HELD = 2**28
"""Bytes that the inputs of all tables of a job may take together in memory."""
READ = ("data", "privacy", "batch_size", "preprocessing", "missing", "view", "columns")
"""Settings that decide which rows a member reads, and how, whoever teaches it."""
Check = Callable[[Mapping[str, Any], DistillationLoss, CohortDataModule], None]
"""Refuses a member's settings and loss on its rows."""


def make_tables(
    members: Sequence[Member], losses: Sequence[DistillationLoss], check: Check
) -> tuple[list[Table], list[int]]:
    """The different tables, and which of them each member reads.

    All data are read and split, and all losses checked, before the first teacher is trained.

    Args:
        members: All of a job.
        losses: [members] each member's loss.
        check: What refuses a loss.
    """
    places: dict[str, int] = {}
    of_member, readers = [], []
    for member, loss in zip(members, losses, strict=True):
        key = _key(member.settings, loss)
        if key not in places:
            places[key] = len(places)
            readers.append((member.settings, loss))
        of_member.append(places[key])
    cohorts: dict[str, Cohort] = {}
    modules = [read_rows(settings, cohorts) for settings, _ in readers]
    for loss in dict.fromkeys(losses):
        first = losses.index(loss)
        check(members[first].settings, loss, modules[of_member[first]])
    tables, teachers = [], Teachers()
    _rehearse(members, [modules[place] for place in of_member], teachers)
    for (settings, loss), data in zip(readers, modules, strict=True):
        own = lesson(settings, data, loss, teachers)
        tables.append(Table(settings, own.data, own.targets, own.choice))
    return tables, of_member


def _rehearse(
    members: Sequence[Member], modules: Sequence[CohortDataModule], teachers: Teachers
) -> None:
    """Refuse students that can't start from their teachers; each kind of start on each of rows."""
    starts, seen = Starts(), set[str]()
    for member, data in zip(members, modules, strict=True):
        init = {k: v for k, v in member.settings["init"].items() if k not in ("seed", "share")}
        key = json.dumps([init, id(data), teacher_node(member.settings)], default=str)
        if init and key not in seen:
            seen.add(key)
            starts.rehearse(member.settings, teachers.of(member.settings), data)


def let_go(tables: Sequence[Table]) -> None:
    """Give back the memory of inputs where all tables' together take more than `HELD`."""
    if sum(table.data.input_bytes for table in tables) > HELD:
        for table in tables:
            table.data.let_go()


def _key(settings: Mapping[str, Any], loss: DistillationLoss) -> str:
    taught = teacher_node(settings) if asks_teacher(settings, loss) else None
    made = [settings["synthetic"]] if reads_unlabelled(settings, loss) else None
    own = [settings[key] for key in READ]
    return json.dumps([*own, taught, made], default=str)


def read_rows(settings: Mapping[str, Any], cohorts: dict[str, Cohort]) -> CohortDataModule:
    """The rows that settings name, split; a source that is in `cohorts` is not read again."""
    key = json.dumps([source(settings), settings["privacy"]], default=str)
    if key not in cohorts:
        cohorts[key] = read_cohort(settings)
    cohort = cohorts[key]
    return student_rows(settings, cohort, split_rows(settings, cohort))
