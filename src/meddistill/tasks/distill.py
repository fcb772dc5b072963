"""`meddistill distill`: a student from the labels and a frozen teacher's answers."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from lightning.pytorch.loggers import Logger
from torch import nn

from meddistill.config.compose import build_network, build_optimizer
from meddistill.data.datamodule import CohortDataModule
from meddistill.data.source import describe_rows, prepare
from meddistill.evaluation.predictions import judge_model
from meddistill.inference import pathways, scorecard
from meddistill.inference.card import Card, save_card, without_files
from meddistill.inference.known_rows import rows_known, save_known_rows
from meddistill.inference.model import Numbers
from meddistill.inference.network import MeanOfProbabilities, NetworkModel
from meddistill.inference.weights import save_weights
from meddistill.losses import DistillationLoss
from meddistill.losses.base import Searched
from meddistill.losses.building import build_loss
from meddistill.runs.runfolder import RunFolder, is_main_process
from meddistill.stack.search import search
from meddistill.stack.tables import Table
from meddistill.students.checks import check_on, check_teacher, check_unread
from meddistill.students.columns import build_columns, columns_read
from meddistill.students.imbalance import brought_back, check_imbalance
from meddistill.students.rows import Lesson, lesson, student_rows
from meddistill.students.start import Starts, check_init, student_name
from meddistill.students.training import train_student
from meddistill.tasks.common import check_student
from meddistill.teachers.judging import judge_teacher
from meddistill.teachers.teaching import Teachers
from meddistill.training.callbacks import build_callbacks
from meddistill.training.checkpoints import BEST
from meddistill.training.finishing import narrowed
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
    teachers = Teachers()
    teacher = teachers.of(settings)
    if loss.needs_teacher:
        check_teacher(settings, loss, teacher)
    check_unread(settings, loss, in_sweep)
    check_imbalance(settings, loss, in_sweep)
    check_init(settings)
    build_columns(settings)
    build_optimizer(settings["optimizer"], "optimizer")
    build_callbacks(settings["callbacks"], bool(settings["logger"]))
    loggers = build_loggers(settings["logger"], run.path, settings)
    with finalized(loggers):
        return _distill(settings, run, loss, teachers, loggers)


def _distill(
    settings: Mapping[str, Any],
    run: RunFolder,
    loss: DistillationLoss,
    teachers: Teachers,
    loggers: Sequence[Logger],
) -> dict[str, Any]:
    """The same with what was built."""
    cohort, split = prepare(settings)
    data = student_rows(settings, cohort, split)
    check_on(settings, loss, data)
    Starts().rehearse(settings, teachers.of(settings), data)
    taught = lesson(settings, data, loss, teachers)
    if taught.choice is not None and is_main_process():
        log.info("%s", taught.choice.describe())
    data = taught.data
    student = build_network(
        settings["student"], "student", data.in_shape, data.num_classes, settings["seed"]
    )
    found = None
    if isinstance(loss, Searched):
        found = search(loss, settings, Table(settings, data, taught.targets), run.path / "search")
        settings = {**settings, "loss": found["node"]}
        loss = build_loss(found["node"])
    fitted = train_student(settings, student, loss, data, taught.targets, run.path, loggers)
    if not fitted.is_main:
        return {"score": fitted.score}
    metrics = _conclude(settings, run, taught, loss, student, fitted)
    log_test(loggers, metrics["student"]["test"], fitted.steps)
    run.finish({**metrics, "search": found})
    return metrics


def _conclude(
    settings: Mapping[str, Any],
    run: RunFolder,
    taught: Lesson,
    loss: DistillationLoss,
    student: nn.Module,
    fitted: Fitted,
) -> dict[str, Any]:
    """Save the model, score every row once, and put the numbers together."""
    data, targets = narrowed(student, taught.data), taught.targets
    threshold = settings["threshold"]
    if data is not taught.data:
        save_weights(student.state_dict(), run.path / "checkpoints" / BEST)
    cohort, split = data.cohort, data.split
    labels = settings["data"]["labels"]
    data.save_preprocessing(run.path)
    save_known_rows(run.path, rows_known(data))
    model, answers, treated = _answered(settings, student, data)
    name = student_name(loss.ever_distils, bool(settings["init"]))
    judged = judge_model(
        name, model.num_parameters, answers, cohort, split, labels, threshold,
        run.path / "predictions.parquet",
    )  # fmt: skip
    save_card(run.path, model.card.deciding(threshold, judged))
    described = scorecard.described(model)
    sets = pathways.described(model, cohort, split, run.path)
    judged_teacher = judge_teacher(targets, cohort, split, labels, threshold) if targets else None
    return {
        "score": fitted.score,
        "monitor": settings["monitor"],
        "epochs": fitted.epochs,
        "batch_size": data.batch_size,
        "seconds": fitted.seconds,
        "threshold": threshold,
        "data": describe_rows(data),
        "teacher": judged_teacher,
        "student": judged,
        **treated,
        **({"scorecard": described} if described else {}),
        **({"pathways": sets} if sets else {}),
        **columns_read(taught.choice, data),
    }


def _answered(
    settings: Mapping[str, Any], student: nn.Module, data: CohortDataModule
) -> tuple[NetworkModel, Numbers, dict[str, Any]]:
    """The trained model, its log-probabilities for every row, and what brought them back."""

    def model_of(card: Card) -> tuple[NetworkModel, Numbers]:
        network = MeanOfProbabilities([student.cpu()], card.temperature)
        model = NetworkModel(card, network, data.preprocessing)
        return model, model.log_probabilities(data.cohort.records)

    node = without_files(settings["student"], student)
    card = Card.of(node, [f"checkpoints/{BEST}"], data)
    model, answers = model_of(card)
    _, treated = brought_back(settings, data, np.exp(answers).astype(np.float32))
    if treated and (own := card.treated(treated["imbalance"])) != card:
        model, answers = model_of(own)
    return model, answers, treated
