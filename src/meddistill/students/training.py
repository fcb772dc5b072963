"""The training of one student, from its settings, its rows and the teacher's answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from torch import nn

from meddistill.config.compose import build_optimizer
from meddistill.data.datamodule import CohortDataModule
from meddistill.evaluation.thresholds import rule_of
from meddistill.losses import DistillationLoss
from meddistill.losses.building import by_epoch, is_scheduled
from meddistill.losses.treated import treat, treatment_by
from meddistill.students.checks import asks_live
from meddistill.students.start import started
from meddistill.teachers.targets import Targets
from meddistill.training.callbacks import build_callbacks
from meddistill.training.compiled import compiled
from meddistill.training.distiller import Distiller, FrozenTeacher
from meddistill.training.fit import Fitted, fit
from meddistill.training.schedulers import schedule_of
from meddistill.training.taps import connect


def train_student(
    settings: Mapping[str, Any],
    student: nn.Module,
    loss: DistillationLoss,
    data: CohortDataModule,
    targets: Targets | None,
    folder: Path,
    loggers: Sequence[Logger] = (),
) -> Fitted:
    """Start and train `student` in `folder`, and leave it with its best epoch's weights."""
    freeze = started(settings, student, targets, data, folder)
    teacher = None
    if targets is not None and loss.needs_teacher and asks_live(settings, loss):
        teacher, data = _live(targets, data)
    if teacher is not None and loss.needs_features:
        connect(loss, student, teacher.network, data, settings["seed"])
    if treatment := treatment_by(loss, settings["imbalance"], data):
        treat(loss, [treatment])
        data = data.with_balance(treatment.balanced)
    module = Distiller(
        compiled(student, settings["compile"]), data.num_classes,
        build_optimizer(settings["optimizer"], "optimizer"), loss,
        seed=settings["seed"], threshold=rule_of(settings["threshold"]).while_training,
        loss_at=_schedule(settings["loss"]),
        teacher=teacher, freeze=freeze,
        scheduler=schedule_of(settings["scheduler"], settings["trainer"]["max_epochs"]),
    )  # fmt: skip
    return fit(
        module, data, folder, settings["trainer"],
        monitor=settings["monitor"], patience=settings["patience"],
        save_seconds=settings["save_seconds"], loggers=loggers,
        callbacks=build_callbacks(settings["callbacks"], bool(loggers)),
    )  # fmt: skip


def _schedule(node: Mapping[str, Any]) -> Callable[[int], DistillationLoss] | None:
    """From an epoch to the loss then; None where it is always the same."""
    return by_epoch(node) if is_scheduled(node) else None


def _live(targets: Targets, data: CohortDataModule) -> tuple[FrozenTeacher, CohortDataModule]:
    """The teacher itself, and the rows as it reads them, in place of its stored answers."""
    model = targets.model()
    assert model.frozen is not None  # others were refused
    return FrozenTeacher(model.frozen), data.with_live_teacher(model.preprocessing)
