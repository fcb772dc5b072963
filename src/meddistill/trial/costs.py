"""What each arm costs at the bedside: size, arithmetic, time for an answer, time to train."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import median
from typing import Any

import numpy as np

from meddistill.config.compose import build_network
from meddistill.data.records import Records
from meddistill.inference.card import Card
from meddistill.inference.estimator import EstimatorAnswers, EstimatorModel
from meddistill.inference.model import Model
from meddistill.inference.network import MeanOfProbabilities, NetworkModel
from meddistill.runs.pace import quiet
from meddistill.stack.tables import Table
from meddistill.trial.answers import Answers
from meddistill.trial.arms import Arm, EstimatorArm, PrunedTeacherArm, StudentArm
from meddistill.trial.rivals import fit_estimator, rows_of

BATCH = 1024
WARM_UP, LEAST, SECONDS = 5, 20, 0.15
FEWEST, MOST_SECONDS = 3, 1.0
"""Calls of a model that takes so long that `LEAST` would pass `MOST_SECONDS`."""
CLAMP = 1e-7
"""Of a baseline's probabilities, as a model needs one; it costs the same whatever it is."""


def costs(arms: Mapping[str, Arm], every: Sequence[Answers], table: Table) -> dict[str, Any]:
    """Costs by arm, measured on one split's model (their sizes hardly differ between splits).

    Args:
        arms: By name.
        every: Their answers, for the chosen tries and the times to train.
        table: The split.
    """
    found: dict[str, Any] = {}
    for name, arm in arms.items():
        answers = [each for each in every if each.arm == name]
        if answers:
            seconds = [each.seconds for each in answers if each.seconds is not None]
            found[name] = _measured(arm, answers[0], table)
            found[name]["seconds_to_train"] = median(seconds) if seconds else None
    return found


def _measured(arm: Arm, answers: Answers, table: Table) -> dict[str, Any]:
    rows = _training_rows(table)
    with quiet("meddistill.data", level=logging.ERROR):  # rows are the same in every call
        return of_model(_model(arm, answers, table), rows)


def _model(arm: Arm, answers: Answers, table: Table) -> Model:
    """An arm's model as it would be used: from raw rows to probabilities."""
    data, node = table.data, table.settings["student"]
    card = Card.of({}, [], data)
    if isinstance(arm, StudentArm):
        own = data.with_method(*arm.method(table.settings, answers.arm))
        if answers.columns is not None:
            own = own.with_columns(answers.columns)
        shape = own.in_shape, own.num_classes
        student = build_network(arm.own.get("student", node), "student", *shape, 0)
        return NetworkModel(card, MeanOfProbabilities([student]), own.preprocessing)
    if isinstance(arm, EstimatorArm):
        own = rows_of(arm, data)
        fitted = fit_estimator(arm, answers.tries[answers.chosen], table, own)
        answering = EstimatorAnswers(fitted, CLAMP, data.num_classes)
        return EstimatorModel(card, answering, own.preprocessing)
    assert table.targets is not None  # a trial has a teacher in every table
    model = table.targets.model()
    return model.pruned()[answers.chosen] if isinstance(arm, PrunedTeacherArm) else model


def of_model(model: Model, rows: Records) -> dict[str, Any]:
    """Size of a model, and what an answer takes; nothing is known of a file of scores.

    Args:
        model: From raw rows to probabilities.
        rows: Raw ones, `BATCH` of them.
    """
    size = model.size()
    return size and {**size, **latencies(model, rows)}


def latencies(model: Model, rows: Records) -> dict[str, Any]:
    """Milliseconds for one row and for all of `rows`: median of many calls after a warm-up.

    In this process, on its number of threads: from raw rows to probabilities by class, as
    `predict_proba` gives them, and the model's own part of that, from prepared inputs.
    """
    found: dict[str, Any] = {"batch": len(rows)}
    for name, part in {"row": rows.take(np.arange(1)), "batch": rows}.items():
        raw = part.raw()
        found[f"raw_{name}_ms"] = _median_ms(partial(model.probabilities, raw))
        prepared = model.prepare(model.preprocessing.read(raw))
        found[f"prepared_{name}_ms"] = _median_ms(partial(model.answer, prepared))
    return found


def _median_ms(answer: Callable[[], Any]) -> float:
    _times(answer, WARM_UP, 1, 0.0)
    return median(_times(answer, LEAST, FEWEST, SECONDS))


def _times(answer: Callable[[], Any], least: int, fewest: int, seconds: float) -> list[float]:
    """Milliseconds of calls: `least` of them and `seconds` at least, of slow ones `fewest`."""
    times: list[float] = []
    passed = 0.0
    while len(times) < fewest or (
        passed < MOST_SECONDS and (len(times) < least or passed < seconds)
    ):
        before = time.perf_counter()
        answer()
        times.append(1e3 * (time.perf_counter() - before))
        passed = sum(times) / 1e3
    return times


def _training_rows(table: Table) -> Records:
    """`BATCH` rows of the training part, repeated where there are fewer."""
    data = table.data
    return data.cohort.records.take(np.resize(data.split.train, BATCH))
