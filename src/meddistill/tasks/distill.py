"""`meddistill distill`: a student from the labels and a frozen teacher's answers."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from lightning.pytorch.loggers import Logger
from torch import nn

from meddistill.config.compose import build_network, build_optimizer
from meddistill.data.datamodule import CohortDataModule
from meddistill.data.source import describe_data, prepare
from meddistill.evaluation.predictions import judge_model
from meddistill.inference import scorecard
from meddistill.inference.card import Card, save_card
from meddistill.inference.known_rows import rows_known, save_known_rows
from meddistill.inference.network import MeanOfProbabilities, NetworkModel
from meddistill.losses import DistillationLoss
from meddistill.losses.base import Searched
from meddistill.losses.building import build_loss
from meddistill.runs.runfolder import RunFolder
from meddistill.stack.search import search
from meddistill.students.checks import check_on, check_teacher, check_unread
from meddistill.students.rows import student_rows
from meddistill.students.start import Starts, build_init, student_name
from meddistill.students.training import train_student
from meddistill.tasks.common import check_student
from meddistill.teachers.base import Teacher
from meddistill.teachers.judging import judge_teacher
from meddistill.teachers.targets import Targets
from meddistill.teachers.teaching import build_teacher, find, teach, with_unlabelled_rows
from meddistill.training.callbacks import build_callbacks
from meddistill.training.checkpoints import BEST
from meddistill.training.fit import Fitted
from meddistill.training.loggers import build_loggers, finalized, log_test

log = logging.getLogger(__name__)


def distill(settings: Mapping[str, Any], run: RunFolder, in_sweep: bool = False) -> dict[str, Any]:
    """Find the teacher's answers, train the student, score its test rows once.

    Everything a setting can get wrong is built before the teacher is trained.

    Returns:
        The run's metrics; `score` is the monitored value of the best epoch.
    """
    check_student(settings)
    loss = build_loss(settings["loss"])
    teacher = build_teacher(settings)
    if loss.needs_teacher:
        check_teacher(settings, loss, teacher)
    else:
        check_unread(settings, loss, in_sweep)
    build_init(settings)
    build_optimizer(settings["optimizer"], "optimizer")
    build_callbacks(settings["callbacks"], bool(settings["logger"]))
    loggers = build_loggers(settings["logger"], run.path, settings)
    with finalized(loggers):
        return _distill(settings, run, loss, teacher, loggers)


def _distill(
    settings: Mapping[str, Any],
    run: RunFolder,
    loss: DistillationLoss,
    teacher: Teacher,
    loggers: Sequence[Logger],
) -> dict[str, Any]:
    """The same with what was built."""
    cohort, split = prepare(settings)
    data = student_rows(settings, cohort, split)
    check_on(settings, loss, data)
    student = build_network(
        settings["student"], "student", data.in_shape, data.num_classes, settings["seed"]
    )
    Starts().rehearse(settings, teacher, data)
    targets = None
    if loss.needs_teacher:
        data = with_unlabelled_rows(settings["synthetic"], data)
        targets, data = teach(teacher, settings, data)
    elif settings["init"]:
        targets = find(teacher, settings, data)
    found = None
    if isinstance(loss, Searched):
        found = search(loss, settings, data, run.path / "search")
        settings = {**settings, "loss": found["node"]}
        loss = build_loss(found["node"])
    fitted = train_student(settings, student, loss, data, targets, run.path, loggers)
    if not fitted.is_main:
        return {"score": fitted.score}
    metrics = _conclude(settings, run, data, loss, student, targets, fitted)
    log_test(loggers, metrics["student"]["test"], fitted.steps)
    run.finish({**metrics, "search": found})
    return metrics


def _conclude(
    settings: Mapping[str, Any],
    run: RunFolder,
    data: CohortDataModule,
    loss: DistillationLoss,
    student: nn.Module,
    targets: Targets | None,
    fitted: Fitted,
) -> dict[str, Any]:
    """Save the model, score every row once, and put the numbers together."""
    cohort, split, threshold = data.cohort, data.split, settings["threshold"]
    labels = settings["data"]["labels"]
    data.save_preprocessing(run.path)
    card = Card.of(settings["student"], [f"checkpoints/{BEST}"], data)
    save_known_rows(run.path, rows_known(data))
    save_card(run.path, card)
    model = NetworkModel(card, MeanOfProbabilities([student.cpu()]), data.preprocessing)
    name = student_name(loss.ever_distils, bool(settings["init"]))
    judged = judge_model(
        name, model.num_parameters, model.log_probabilities(cohort.records), cohort, split, labels,
        threshold, run.path / "predictions.parquet",
    )  # fmt: skip
    described = scorecard.described(model)
    judged_teacher = judge_teacher(targets, cohort, split, labels, threshold) if targets else None
    return {
        "score": fitted.score,
        "monitor": settings["monitor"],
        "epochs": fitted.epochs,
        "batch_size": data.batch_size,
        "seconds": fitted.seconds,
        "threshold": threshold,
        "data": describe_data(cohort, split),
        "teacher": judged_teacher,
        "student": judged,
        **({"scorecard": described} if described else {}),
    }
