"""A student's rows: split, preprocessed, seen as its settings say, and with what it is taught."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddistill.data.cohort import Cohort
from meddistill.data.datamodule import CohortDataModule
from meddistill.data.held_back import check_unlabelled
from meddistill.data.modalities import method_of
from meddistill.data.split import Split
from meddistill.evaluation.thresholds import rule_of
from meddistill.losses import DistillationLoss
from meddistill.runs.runfolder import is_main_process
from meddistill.students.checks import rows_asked
from meddistill.students.columns import Choice, build_columns, chosen
from meddistill.teachers.targets import Targets
from meddistill.teachers.teaching import Teachers, answers, find, with_unlabelled_rows
from meddistill.views.building import build_view

log = logging.getLogger(__name__)


def student_rows(settings: Mapping[str, Any], cohort: Cohort, split: Split) -> CohortDataModule:
    """The rows that a resolved config's student learns from, whole and without a teacher's answers.

    Raises:
        UserError: It is to read columns that these rows have not, or the cohort's unlabelled rows
            can't join them.
    """
    build_columns(settings).check_on(cohort.records, settings["data"])
    method, key, hide = method_of(settings["preprocessing"], settings["missing"])
    data = CohortDataModule(
        cohort, split,
        labels=settings["data"]["labels"],
        batch_size=settings["batch_size"],
        seed=settings["seed"],
        preprocessing=method,
        view=build_view(settings["view"], cohort.records.kind),
        key=key,
        hide=hide,
    )  # fmt: skip
    check_unlabelled(data)
    check_threshold(settings["threshold"], cohort.target[data.labelled_validation])
    return data


def check_threshold(threshold: float | str, target: NDArray[np.int64]) -> None:
    """Refuse a threshold that validation rows with these classes can't choose; say if few might."""
    said = rule_of(threshold).check(target)
    if said and is_main_process():
        log.warning("%s", said)


@dataclass(frozen=True)
class Lesson:
    """What a student learns from.

    Attributes:
        data: The rows as it reads them, with the teacher's answers where its loss reads any.
        targets: The teacher, where its loss or its start asks one.
        choice: The columns that it reads; None is all.
    """

    data: CohortDataModule
    targets: Targets | None = None
    choice: Choice | None = None


def asks_teacher(settings: Mapping[str, Any], loss: DistillationLoss) -> bool:
    """Whether a teacher decides anything of a student: its loss, its start or its columns."""
    starts = bool(settings["init"])
    return loss.needs_teacher or starts or build_columns(settings).asks_teacher


def reads_unlabelled(settings: Mapping[str, Any], loss: DistillationLoss) -> bool:
    """Whether a student reads rows that nobody labelled: the teacher alone speaks of them."""
    return loss.ever_distils and bool(rows_asked(settings))


def lesson(
    settings: Mapping[str, Any],
    data: CohortDataModule,
    loss: DistillationLoss,
    teachers: Teachers,
) -> Lesson:
    """A student's rows with what a teacher says of them, found or trained now.

    Args:
        settings: A resolved config.
        data: Its rows, whole.
        loss: The student's.
        teachers: Where built teachers are kept.
    """
    targets, own = None, data
    if reads_unlabelled(settings, loss):
        own = with_unlabelled_rows(settings["synthetic"], data)
    if asks_teacher(settings, loss):
        targets = find(teachers.of(settings), settings, own)
    if loss.needs_teacher and targets is not None:
        own = own.with_answers(answers(targets, own))
    choice = chosen(build_columns(settings), data, targets)
    read = own.with_columns(None if choice is None else choice.columns)
    learns = loss.needs_teacher or bool(settings["init"])
    return Lesson(read, targets if learns else None, choice)
