"""What each arm costs at the bedside: size, arithmetic, time for an answer, time to train."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
import skops.io
import torch
from torch import nn

from meddistill.config.compose import build_network
from meddistill.inference.card import Card
from meddistill.inference.estimator import EstimatorAnswers
from meddistill.inference.mixture import MixedModel, answers_anew
from meddistill.inference.model import MeanOfProbabilities, Model
from meddistill.runs.pace import quiet
from meddistill.stack.tables import Table
from meddistill.trial.answers import Answers
from meddistill.trial.arms import Arm, EstimatorArm, PrunedTeacherArm, StudentArm
from meddistill.trial.rivals import fit_estimator

BATCH = 1024
WARM_UP, LEAST, SECONDS = 5, 20, 0.15
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
    network: nn.Module
    if isinstance(arm, StudentArm):
        student = build_network(node, "student", data.in_shape, data.num_classes, 0)
        network = MeanOfProbabilities([student])
    elif isinstance(arm, EstimatorArm):
        fitted = fit_estimator(arm, answers.tries[answers.chosen], table)
        network = EstimatorAnswers(fitted, CLAMP, data.num_classes)
    else:
        assert table.targets is not None  # a trial has a teacher in every table
        model = table.targets.model()
        return model.pruned()[answers.chosen] if isinstance(arm, PrunedTeacherArm) else model
    return Model(Card.of({}, [], data), network, data.preprocessing)


def of_model(model: Model, rows: pd.DataFrame) -> dict[str, Any]:
    """Size of a model, and what an answer takes; nothing is known of a file of scores.

    Args:
        model: From raw rows to probabilities.
        rows: Raw ones, `BATCH` of them.
    """
    if not answers_anew(model):
        return {}
    size = _size(model, rows)
    return size and {**size, **latencies(model, rows)}


def _size(model: Model, rows: pd.DataFrame) -> dict[str, Any]:
    """Parameters, bytes and multiply-adds for a row, of all parts of a mixture together."""
    if isinstance(model, MixedModel):
        return together([_size(part, rows) for part in model.by_name.values()])
    network = model.network
    if not answers_anew(model):
        return {}
    if isinstance(network, EstimatorAnswers):
        size = len(skops.io.dumps(network.estimator))
        return {"parameters": network.num_parameters, "bytes": size, "multiply_adds": None}
    parameters = model.num_parameters
    one = torch.from_numpy(model.preprocessing(rows[:1]))
    counted = multiply_adds(network, one)
    return {"parameters": parameters, "bytes": 4 * parameters, "multiply_adds": counted}


def together(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Sizes of models that are asked one after the other; nothing where one can't be asked."""
    if not all(parts):
        return {}
    found: dict[str, Any] = {}
    for key in ("parameters", "bytes", "multiply_adds"):
        values = [part[key] for part in parts]
        known = [value for value in values if value is not None]
        found[key] = sum(known) if len(known) == len(values) else None
    return found


def multiply_adds(network: nn.Module, inputs: torch.Tensor) -> int:
    """Multiplications with an addition for the rows of `inputs`, as torch counts them."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:  # no_grad is more than its tracker bears
        network(inputs)
    return int(counter.get_total_flops()) // 2


def latencies(model: Model, rows: pd.DataFrame) -> dict[str, Any]:
    """Milliseconds for one row and for all of `rows`: median of many calls after a warm-up.

    In this process, on its number of threads: from raw rows to probabilities by class, as
    `predict_proba` gives them, and the model's own part of that, from prepared inputs.
    """
    found: dict[str, Any] = {"batch": len(rows)}
    for name, part in {"row": rows[:1], "batch": rows}.items():
        found[f"raw_{name}_ms"] = _median_ms(partial(model.probabilities, part))
        prepared = _prepared(model, part)
        found[f"prepared_{name}_ms"] = _median_ms(partial(_answer, model, prepared))
    return found


def _prepared(model: Model, rows: pd.DataFrame) -> Any:
    """What `_answer` takes: inputs, or those of each part of a mixture by name."""
    if isinstance(model, MixedModel):
        return {name: _prepared(part, rows) for name, part in model.by_name.items()}
    return model.preprocessing(rows)


def _answer(model: Model, prepared: Any) -> Any:
    if isinstance(model, MixedModel):
        own = {name: _answer(part, prepared[name]) for name, part in model.by_name.items()}
        return model.mixed(own)
    return model.of_inputs(prepared)


def _median_ms(answer: Callable[[], Any]) -> float:
    for _ in range(WARM_UP):
        answer()
    times: list[float] = []
    started = time.perf_counter()
    while len(times) < LEAST or time.perf_counter() - started < SECONDS:
        before = time.perf_counter()
        answer()
        times.append(1e3 * (time.perf_counter() - before))
    return median(times)


def _training_rows(table: Table) -> pd.DataFrame:
    """`BATCH` rows of the training part, repeated where there are fewer."""
    data = table.data
    return data.cohort.features.iloc[np.resize(data.split.train, BATCH)].reset_index(drop=True)
