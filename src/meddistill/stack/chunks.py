"""Chunks of a job's members, trained one after the other; what is finished is kept."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from meddistill.config.compose import build_network
from meddistill.data.datamodule import CohortDataModule
from meddistill.evaluation.predictions import evaluate
from meddistill.evaluation.thresholds import rule_of
from meddistill.inference.card import without_files
from meddistill.inference.network import MeanOfProbabilities
from meddistill.losses.building import build_loss
from meddistill.runs.pace import Pace, quiet
from meddistill.stack.alone import own_loggers
from meddistill.stack.fit import fit_stack
from meddistill.stack.folder import StackFolder
from meddistill.stack.plan import Chunk
from meddistill.stack.starts import FirstNetworks
from meddistill.stack.tables import Table, let_go
from meddistill.students.imbalance import brought_back
from meddistill.students.training import train_student
from meddistill.training.finishing import narrowed
from meddistill.training.fit import DivergedError, Fitted
from meddistill.training.loggers import build_loggers, finalized, log_test
from meddistill.transfer.table import read_plan

log = logging.getLogger(__name__)


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
    said = False  # what the first student takes of its teacher; the others' is in the job's table
    for chunk in missing:
        with quiet("meddistill.students.start") if said else nullcontext():
            run.save_part(chunk.name, _train_chunk(chunk, tables, run))
        said = said or bool(chunk.members[0].settings["init"])
        let_go(tables)
        pace.step(len(chunk.members))


def _say_alone(chunks: Sequence[Chunk]) -> None:
    """Say which students are trained one by one, and why."""
    for reason, count in Counter(chunk.reason for chunk in chunks if chunk.reason).items():
        log.info("%d student(s) are trained one by one: %s", count, reason)


def _train_chunk(chunk: Chunk, tables: Sequence[Table], run: StackFolder) -> dict[str, Any]:
    """Weights, scores and answers of a chunk's members, brought back where that is asked for."""
    part, answers = _trained(chunk, tables, run), []
    if not chunk.members[0].settings["imbalance"]:
        return part
    treated = []
    for member, table, own in zip(
        chunk.members, chunk.tables, part["probabilities"].numpy(), strict=True
    ):
        brought, said = brought_back(member.settings, tables[table].data, own)
        answers.append(torch.from_numpy(brought))
        treated.append(said)
    return {**part, "probabilities": torch.stack(answers), "treated": treated}


def _trained(chunk: Chunk, tables: Sequence[Table], run: StackFolder) -> dict[str, Any]:
    """The same as the networks answer."""
    settings = chunk.members[0].settings
    folder = run.parts / chunk.name
    if chunk.reason is not None:
        logs = run.path / "logs" / f"member-{chunk.members[0].number}"
        return _train_alone(settings, tables[chunk.tables[0]], folder, logs)
    own = [(m.settings, tables[t]) for m, t in zip(chunk.members, chunk.tables, strict=True)]
    first = FirstNetworks(own, folder / "checkpoints")
    fitted = fit_stack(
        chunk.recipe, chunk.students, [table.data for table in tables], folder / "checkpoints",
        networks=first.networks, freeze=first.freeze, save_seconds=settings["save_seconds"],
    )  # fmt: skip
    return {
        "weights": fitted.weights,
        "parameters": fitted.parameters,
        "score": torch.from_numpy(fitted.score),
        "epochs": torch.from_numpy(fitted.epochs),
        "probabilities": torch.from_numpy(fitted.probabilities),
        "seconds": fitted.seconds / len(chunk.members),
        "plans": [[asdict(line) for line in lines] for lines in first.plans],
    }


def _train_alone(
    settings: Mapping[str, Any], table: Table, folder: Path, logs: Path
) -> dict[str, Any]:
    """The same of one member, trained as `meddistill distill` trains it, logged below `logs`."""
    data = table.data.with_seed(settings["seed"])
    student = build_network(
        settings["student"], "student", data.in_shape, data.num_classes, settings["seed"]
    )
    loss = build_loss(settings["loss"])
    loggers = build_loggers(own_loggers(settings), logs, settings)
    read = data
    try:
        with finalized(loggers):
            fitted = train_student(settings, student, loss, data, table.targets, folder, loggers)
            read = narrowed(student, data)
            answers = _answers(student, read)
            told, _ = brought_back(settings, data, answers.numpy())
            log_test(loggers, _test_measures(told, data, settings["threshold"]), fitted.steps)
    except DivergedError:
        fitted = Fitted(score=math.nan, epochs=0, steps=0, seconds=0, is_main=True)
        answers = _answers(student, data)
    plans = read_plan(folder) if settings["init"] else []
    return {
        "weights": {name: value.unsqueeze(0) for name, value in student.state_dict().items()},
        "parameters": sum(parameter.numel() for parameter in student.parameters()),
        "score": torch.tensor([fitted.score]),
        "epochs": torch.tensor([fitted.epochs]),
        "probabilities": answers.unsqueeze(0),
        "seconds": fitted.seconds,
        "plans": [[asdict(line) for line in lines] for lines in plans],
        "columns": None if read is data else read.records.columns,
        "network": without_files({}, student),
    }


def _answers(student: nn.Module, data: CohortDataModule) -> Tensor:
    """[rows, classes] probabilities of every row of the cohort."""
    answers = data.answers_of(MeanOfProbabilities([student.cpu().eval()]))
    return answers.exp().float()


def _test_measures(
    answers: NDArray[np.float32], data: CohortDataModule, threshold: float | str
) -> dict[str, Any]:
    """Measures of the labelled test rows."""
    held, test = data.labelled_validation, data.split.test[data.labelled[data.split.test]]
    given, target = answers.astype(np.float64), data.cohort.target
    return evaluate(given[test], target[test], rule_of(threshold)(given[held], target[held]))
