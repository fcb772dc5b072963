"""`meddistill distill`: a student from the labels and a frozen teacher's answers."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from torch import nn

from meddistill.config.compose import build, build_network, build_optimizer, check_network
from meddistill.data.cohort import Cohort
from meddistill.data.datamodule import CohortDataModule
from meddistill.data.split import Split
from meddistill.errors import SettingError, UserError, integer, number, optional_integer
from meddistill.inference.card import Card, save_card
from meddistill.inference.known_rows import rows_known, save_known_rows
from meddistill.inference.model import MeanOfProbabilities, Model
from meddistill.losses import DistillationLoss
from meddistill.losses.base import Searched
from meddistill.losses.building import build_loss, by_epoch, is_scheduled
from meddistill.losses.choice import check_loss, loss_name
from meddistill.runs.runfolder import RunFolder
from meddistill.stack.search import search
from meddistill.tasks.common import check, describe_data, judge_model, judge_teacher, prepare
from meddistill.teachers.base import Teacher
from meddistill.teachers.targets import Targets
from meddistill.teachers.teaching import add_synthetic, build_teacher, teach
from meddistill.training.callbacks import FOLLOWED, build_callbacks
from meddistill.training.checkpoints import BEST
from meddistill.training.compiled import check_compile, compiled
from meddistill.training.distiller import Distiller, FrozenTeacher
from meddistill.training.fit import Fitted, fit
from meddistill.training.loggers import build_loggers, finalized, log_test
from meddistill.training.schedulers import Schedule, schedule_of
from meddistill.training.taps import check_features, connect

log = logging.getLogger(__name__)
ANSWERS = ("stored", "live")
NOT_LIVE = "this teacher is no network, so it can't be asked in every step: take answers=stored"


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
    data = _data(settings, cohort, split)
    check_on(settings, loss, data)
    student = build_network(
        settings["student"], "student", data.in_shape, data.num_classes, settings["seed"]
    )
    targets = None
    if loss.needs_teacher:
        add_synthetic(settings["synthetic"], data)
        targets = teach(teacher, settings, data)
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


def train_student(
    settings: Mapping[str, Any],
    student: nn.Module,
    loss: DistillationLoss,
    data: CohortDataModule,
    targets: Targets | None,
    folder: Path,
    loggers: Sequence[Logger] = (),
) -> Fitted:
    """Train `student` in `folder` and leave it with its best epoch's weights."""
    teacher = None
    if targets is not None and asks_live(settings, loss):
        data = copy.copy(data)  # others may read the same rows with the stored answers
        teacher = _live(targets, data)
    if teacher is not None and loss.needs_features:
        connect(loss, student, teacher.network, data, settings["seed"])
    module = Distiller(
        compiled(student, settings["compile"]), data.num_classes,
        build_optimizer(settings["optimizer"], "optimizer"), loss,
        seed=settings["seed"], threshold=settings["threshold"], loss_at=_schedule(settings["loss"]),
        teacher=teacher, scheduler=_scheduler(settings),
    )  # fmt: skip
    return fit(
        module, data, folder, settings["trainer"],
        monitor=settings["monitor"], patience=settings["patience"],
        save_seconds=settings["save_seconds"], loggers=loggers,
        callbacks=build_callbacks(settings["callbacks"], bool(loggers)),
    )  # fmt: skip


def _scheduler(settings: Mapping[str, Any]) -> Schedule | None:
    return schedule_of(settings["scheduler"], settings["trainer"]["max_epochs"])


def _schedule(node: Mapping[str, Any]) -> Callable[[int], DistillationLoss] | None:
    """From an epoch to the loss then; None where it is always the same."""
    return by_epoch(node) if is_scheduled(node) else None


def check_student(settings: Mapping[str, Any]) -> None:
    """Refuse settings of the student's training that no component refuses, and absent networks."""
    check(settings)
    optional_integer("patience", settings["patience"], at_least=1)
    integer("seed", settings["seed"])
    _check_stack(settings)
    optional_integer("stack.chunk", settings["stack"]["chunk"], at_least=1)
    number("save_seconds", settings["save_seconds"], at_least=0)
    for key, choices in {"monitor": FOLLOWED, "answers": ANSWERS}.items():
        if settings[key] not in choices:
            raise SettingError(key, settings[key], f"must be one of {', '.join(choices)}")
    check_network(settings["student"], "student")
    _scheduler(settings)
    check_compile(settings["compile"])


def _check_stack(settings: Mapping[str, Any]) -> None:
    """Refuse axes where nothing would expand them."""
    axes, members = settings["stack"]["axes"], settings["stack"]["members"]
    if members is not None and not axes:
        raise SettingError("stack.members", members, "is a part of the students of stack.axes")
    if axes and settings["verb"] == "trial":
        mend = "a trial has arms and splits in their place; -m makes a trial of each value"
        raise SettingError("stack.axes", axes, mend)


def check_on(settings: Mapping[str, Any], loss: DistillationLoss, data: CohortDataModule) -> None:
    """Refuse a loss that says nothing about these data, or about this student's layers."""
    check_loss(loss, data.num_classes)
    if loss.needs_features:
        student = build_network(
            settings["student"], "student", data.in_shape, data.num_classes, settings["seed"]
        )
        check_features(loss, student, data)


def asks_live(settings: Mapping[str, Any], loss: DistillationLoss) -> bool:
    """Whether the teacher is asked in every step: by the settings, or for its features."""
    return bool(settings["answers"] == "live" or loss.needs_features)


def check_teacher(settings: Mapping[str, Any], loss: DistillationLoss, teacher: Teacher) -> None:
    """Refuse to ask a teacher what it can't be asked, or the loss would not read."""
    _check_answers(settings, loss, teacher)
    _check_synthetic(settings["synthetic"], loss, teacher)


def check_unread(settings: Mapping[str, Any], loss: DistillationLoss, in_sweep: bool) -> None:
    """Refuse what is asked of a teacher by a loss without one; in a sweep others may read it."""
    synthetic = settings["synthetic"].get("_target_", "none").rpartition(".")[2].lower()
    asked = {"answers": (settings["answers"], "stored"), "synthetic": (synthetic, "none")}
    for key, (value, plain) in asked.items():
        unread = f"loss={loss_name(loss)} asks no teacher, so nothing reads it"
        if value != plain and not in_sweep:
            raise SettingError(key, value, f"{unread}: leave it out, or take loss=kd")
        if value != plain:
            log.info("%s=%s: %s", key, value, unread)


def _check_answers(settings: Mapping[str, Any], loss: DistillationLoss, teacher: Teacher) -> None:
    """Refuse to ask a teacher in every step that can't be asked so."""
    if teacher.live or not asks_live(settings, loss):
        return
    if loss.needs_features:
        raise UserError(
            f"loss={loss_name(loss)} reads layers of the teacher, and this teacher is "
            "no network; take one that is (teacher=mlp_ensemble), or a loss of answers (loss=kd)"
        )
    raise SettingError("answers", "live", NOT_LIVE)


def _check_synthetic(node: Mapping[str, Any], loss: DistillationLoss, teacher: Teacher) -> None:
    """Refuse synthetic rows that the teacher can't answer or the loss would not read."""
    if not node:
        return
    build(node, "synthetic")
    if not teacher.answers_new_rows:
        raise UserError(
            "synthetic rows need answers, and this teacher is a file of them (teacher=scores): "
            "take synthetic=none, or a teacher that can be asked"
        )
    if loss.reads_labels:
        raise UserError(
            f"loss={loss_name(loss)} learns from labelled rows alone, and synthetic rows have no "
            "labels: take synthetic=none, or another loss (loss=kd)"
        )


def _data(settings: Mapping[str, Any], cohort: Cohort, split: Split) -> CohortDataModule:
    return CohortDataModule(
        cohort, split,
        labels=settings["data"]["labels"],
        batch_size=settings["batch_size"],
        seed=settings["seed"],
    )  # fmt: skip


def _live(targets: Targets, data: CohortDataModule) -> FrozenTeacher:
    """The teacher itself in place of its stored answers; it reads rows in its own way."""
    model = targets.model()
    data.teach(None, model.preprocessing(data.features))
    return FrozenTeacher(model.network)


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
    model = Model(card, MeanOfProbabilities([student.cpu()]), data.preprocessing)
    name = "distilled student" if loss.ever_distils else "student alone"
    judged = judge_model(
        name, model.num_parameters, model.log_probabilities(cohort.features), cohort, split, labels,
        threshold, run.path / "predictions.parquet",
    )  # fmt: skip
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
    }
