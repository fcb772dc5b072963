"""`meddistill distill` with `stack.axes`: many students in one job."""

from __future__ import annotations

import json
import logging
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig
from torch import Tensor, nn

from meddistill.config.compose import build_network, build_optimizer, short_hash
from meddistill.data.datamodule import CohortDataModule
from meddistill.errors import UserError, integer, number
from meddistill.evaluation.predictions import evaluate
from meddistill.files.atomic import read_json, write_json
from meddistill.inference.model import MeanOfProbabilities
from meddistill.losses import DistillationLoss
from meddistill.losses.base import Searched
from meddistill.losses.building import build_loss
from meddistill.runs.pace import Pace
from meddistill.stack.alone import own_loggers
from meddistill.stack.fit import fit_stack
from meddistill.stack.folder import StackFolder
from meddistill.stack.members import Member, expand
from meddistill.stack.plan import IN_NAMES, Chunk, plan
from meddistill.stack.results import merge
from meddistill.stack.search import search
from meddistill.stack.tables import Table, let_go, make_tables
from meddistill.tasks.distill import (
    check_on,
    check_student,
    check_teacher,
    check_unread,
    train_student,
)
from meddistill.teachers.teaching import Teachers
from meddistill.training.fit import DivergedError, Fitted
from meddistill.training.loggers import build_loggers, finalized, log_test

log = logging.getLogger(__name__)
COMPONENTS = ("seed", "loss", "optimizer", "data", "synthetic", "teacher")


def distill_stack(config: DictConfig, run: StackFolder, in_sweep: bool = False) -> dict[str, Any]:
    """Train every member of a job, in stacks where that can be; finished chunks are kept.

    Returns:
        The job's summary; `score` is the mean over members of the best validation log loss.
    """
    members = expand(config)
    losses = _check(members, in_sweep)
    tables, table = make_tables(members, losses, check_on)
    of_member = [tables[place] for place in table]
    members, losses = _search(members, losses, of_member, run)
    chunks = plan(members, table, [each.data for each in tables])
    train_chunks(chunks, tables, run, len(members))
    summary = merge(run, members, chunks, tables, losses)
    if not summary["finished"]:
        raise UserError(
            "training diverged in every member: validation log loss was never a finite number; "
            "lower the learning rate (optimizer.lr)"
        )
    run.finish(summary)
    return summary


def _check(members: Sequence[Member], in_sweep: bool) -> list[DistillationLoss]:
    """Refuse a wrong setting of any member before anything is trained; each member's loss."""
    seen: dict[str, Any] = {}

    def once(what: str, node: Any, make: Any) -> Any:
        key = what + json.dumps(node, default=str)
        if key not in seen:
            seen[key] = make()
        return seen[key]

    losses, teachers = [], Teachers()
    for member in members:
        settings = member.settings
        integer("seed", settings["seed"])
        number("data.labels", settings["data"]["labels"], above=0, at_most=1)
        common = {k: v for k, v in settings.items() if k not in COMPONENTS}
        once("common", common, lambda s=settings: check_student(s))
        node = settings["optimizer"]
        once("optimizer", node, lambda n=node: build_optimizer(n, "optimizer"))
        node = settings["loss"]
        losses.append(once("loss", node, lambda n=node: build_loss(n)))
        if losses[-1].needs_teacher:
            check_teacher(settings, losses[-1], teachers.of(settings))
    if not losses[0].needs_teacher:
        check_unread(members[0].settings, losses[0], in_sweep)
    return losses


def _search(
    members: Sequence[Member],
    losses: Sequence[DistillationLoss],
    tables: Sequence[Table],
    run: StackFolder,
) -> tuple[list[Member], list[DistillationLoss]]:
    """Members and losses, those with settings to search for with what was found in their place."""
    found_members, found_losses = [], []
    for member, loss, table in zip(members, losses, tables, strict=True):
        if isinstance(loss, Searched):
            own = {key: member.settings[key] for key in IN_NAMES}
            file = run.parts / f"search-{short_hash(own)}.json"
            if not file.exists():
                folder = run.parts / "search"
                write_json(file, search(loss, member.settings, table.data, folder))
            found = read_json(file)
            settings = {**member.settings, "loss": found["node"]}
            member = replace(member, settings=settings, found=found["setting"])
            loss = build_loss(found["node"])
        found_members.append(member)
        found_losses.append(loss)
    return found_members, found_losses


def _say_alone(chunks: Sequence[Chunk]) -> None:
    """Say which students are trained one by one, and why."""
    for reason, count in Counter(chunk.reason for chunk in chunks if chunk.reason).items():
        log.info("%d student(s) are trained one by one: %s", count, reason)


def train_chunks(
    chunks: Sequence[Chunk], tables: Sequence[Table], run: StackFolder, total: int
) -> None:
    """Train the chunks that are not finished yet, `total` students in all; each is kept."""
    _say_alone(chunks)
    missing = [chunk for chunk in chunks if not run.has_part(chunk.name)]
    left = sum(len(chunk.members) for chunk in missing)
    if left < total:
        log.info("%d of %d students were trained before", total - left, total)
    pace = Pace("trained {} students", left)
    for chunk in missing:
        run.save_part(chunk.name, _train_chunk(chunk, tables, run))
        let_go(tables)
        pace.step(len(chunk.members))


def _train_chunk(chunk: Chunk, tables: Sequence[Table], run: StackFolder) -> dict[str, Any]:
    """Weights, scores and answers of a chunk's members."""
    settings = chunk.members[0].settings
    folder = run.parts / chunk.name
    if chunk.reason is not None:
        logs = run.path / "logs" / f"member-{chunk.members[0].number}"
        return _train_alone(settings, tables[chunk.tables[0]], folder, logs)
    fitted = fit_stack(
        chunk.recipe, chunk.students, [table.data for table in tables], folder / "checkpoints",
        save_seconds=settings["save_seconds"],
    )  # fmt: skip
    return {
        "weights": fitted.weights,
        "parameters": fitted.parameters,
        "score": torch.from_numpy(fitted.score),
        "epochs": torch.from_numpy(fitted.epochs),
        "probabilities": torch.from_numpy(fitted.probabilities),
        "seconds": fitted.seconds / len(chunk.members),
    }


def _train_alone(
    settings: Mapping[str, Any], table: Table, folder: Path, logs: Path
) -> dict[str, Any]:
    """The same of one member, trained as `meddistill distill` trains it, logged below `logs`."""
    data = table.data
    data.seed = settings["seed"]
    student = build_network(
        settings["student"], "student", data.in_shape, data.num_classes, settings["seed"]
    )
    loss = build_loss(settings["loss"])
    loggers = build_loggers(own_loggers(settings), logs, settings)
    try:
        with finalized(loggers):
            fitted = train_student(settings, student, loss, data, table.targets, folder, loggers)
            answers = _answers(student, data)
            log_test(loggers, _test_measures(answers, data, settings["threshold"]), fitted.steps)
    except DivergedError:
        fitted = Fitted(score=math.nan, epochs=0, steps=0, seconds=0, is_main=True)
        answers = _answers(student, data)
    return {
        "weights": {name: value.unsqueeze(0) for name, value in student.state_dict().items()},
        "parameters": sum(parameter.numel() for parameter in student.parameters()),
        "score": torch.tensor([fitted.score]),
        "epochs": torch.tensor([fitted.epochs]),
        "probabilities": answers.unsqueeze(0),
        "seconds": fitted.seconds,
    }


@torch.no_grad()
def _answers(student: nn.Module, data: CohortDataModule) -> Tensor:
    """[rows, classes] probabilities of every row of the cohort."""
    answers: Tensor = MeanOfProbabilities([student.cpu().eval()])(data.inputs)
    return answers.exp().float()


def _test_measures(answers: Tensor, data: CohortDataModule, threshold: float) -> dict[str, Any]:
    """Measures of the labelled test rows."""
    rows = data.split.test[data.labelled[data.split.test]]
    return evaluate(answers.numpy()[rows].astype(np.float64), data.cohort.target[rows], threshold)
