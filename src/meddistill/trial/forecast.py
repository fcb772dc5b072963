"""What a trial on a large table will take, said before it starts, from a short timed piece."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from meddistill.config.compose import build_network
from meddistill.data.batches import FEW_ROWS
from meddistill.data.datamodule import CohortDataModule
from meddistill.runs.pace import in_words
from meddistill.teachers.neural import NeuralTeacher
from meddistill.teachers.teaching import build_teacher
from meddistill.trial.arms import Arm, StudentArm
from meddistill.trial.units import Unit

log = logging.getLogger(__name__)
STEPS = 5
"""Timed, after one that is not."""
SHORTER = (
    "what shortens it: teacher=boosting, teacher.members=1, trial.repeats=5, "
    "trial.few_labels=null, patience=5, teacher.patience=5, trainer.max_epochs=50, "
    "fewer arms (arm=[...])"
)


def say_forecast(arms: Mapping[str, Arm], units: Sequence[Unit], data: CohortDataModule) -> None:
    """Log what the networks will take at the most; small tables are not worth the timing.

    Args:
        arms: What is compared, by name.
        units: All settings with all splits.
        data: The rows of the first of them.
    """
    settings, rows = units[0].settings, len(data.cohort.target)
    if rows <= FEW_ROWS:
        return
    tries = [len(arm.tries()) for arm in arms.values() if isinstance(arm, StudentArm)]
    students = sum(tries) * settings["trial"]["seeds"] * len(units)
    epoch = seconds_an_epoch(settings["student"], data)
    most = students * settings["trainer"]["max_epochs"] * epoch
    log.info(
        "%s rows, %d a step of a student; %s students to train, %.2g s an epoch of one alone: at "
        "most %s, less as far as they stop early and train side by side",
        f"{rows:,}", data.batch_size, f"{students:,}", epoch, in_words(most),
    )  # fmt: skip
    log.info("%s", _of_teacher(settings, units, data))
    log.info("%s", SHORTER)


def _of_teacher(settings: Mapping[str, Any], units: Sequence[Unit], data: CohortDataModule) -> str:
    """What the teachers that are not in the store yet will take."""
    teacher = build_teacher(settings)
    if not isinstance(teacher, NeuralTeacher):
        return f"{len(units)} teachers to fit, where the store has none"
    own = teacher.rows(data.cohort, data.split)
    epoch = seconds_an_epoch(teacher.network, own) * teacher.members
    one = epoch * teacher.trainer["max_epochs"]
    return (
        f"{len(units)} teachers to train, where the store has none, {epoch:.2g} s an epoch of one: "
        f"at most {in_words(one)} each, less as far as they stop early"
    )


def seconds_an_epoch(network: Mapping[str, Any], data: CohortDataModule) -> float:
    """Of one network on the training rows, by a few steps of it with Adam."""
    model = build_network(network, "network", data.in_shape, data.num_classes, 0)
    optimizer = torch.optim.Adam(model.parameters())
    batch = data.read_at(data.train_rows[: data.batch_size])
    started = 0.0
    for step in range(STEPS + 1):
        if step == 1:
            started = time.perf_counter()
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(batch.inputs), batch.target)
        torch.autograd.backward(loss)
        optimizer.step()
    took = (time.perf_counter() - started) / STEPS
    return took * math.ceil(len(data.train_rows) / data.batch_size)
