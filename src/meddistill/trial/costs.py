"""What each arm costs at the bedside: size, arithmetic, time for an answer, time to train."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

import numpy as np
import skops.io
import torch
from numpy.typing import NDArray
from torch import nn

from meddistill.compose import build_network
from meddistill.estimator import EstimatorAnswers, NoAnswers, parameters_of
from meddistill.mixture import MixedModel
from meddistill.model import Model
from meddistill.stack.tables import Table
from meddistill.trial.answers import Answers
from meddistill.trial.arms import Arm, EstimatorArm, PrunedTeacherArm, StudentArm
from meddistill.trial.rivals import fit_estimator

BATCH = 1024
WARM_UP, LEAST, SECONDS = 5, 20, 0.3
Answer = Callable[[NDArray[np.float32]], Any]


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
    if isinstance(arm, StudentArm):
        data, node = table.data, table.settings["student"]
        return of_network(build_network(node, "student", data.in_shape, data.num_classes, 0), table)
    if isinstance(arm, EstimatorArm):
        return of_estimator(fit_estimator(arm, answers.tries[answers.chosen], table), table)
    assert table.targets is not None  # a trial has a teacher in every table
    model = table.targets.model()
    if isinstance(arm, PrunedTeacherArm):
        model = model.pruned()[answers.chosen]
    return of_teacher(model, table)


def of_teacher(model: Model, table: Table) -> dict[str, Any]:
    """Costs of a teacher or a part of it; none are known of a file of scores."""
    if isinstance(model, MixedModel):
        return together([of_teacher(part, table) for part in model.by_name.values()])
    network = model.network
    if isinstance(network, NoAnswers):
        return {}
    if not isinstance(network, EstimatorAnswers):
        return of_network(network, table)
    return {
        "parameters": network.num_parameters,
        "bytes": len(skops.io.dumps(network.estimator)),
        "multiply_adds": None,
        **latency(lambda inputs: network(torch.from_numpy(inputs)), _inputs(table)),
    }


def together(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Costs of models that are asked one after the other; unknown where one's are."""
    summed = ("parameters", "bytes", "multiply_adds", "one_row_ms", "batch_ms")
    found: dict[str, Any] = {"batch": BATCH}
    for key in summed:
        values = [part.get(key) for part in parts]
        known = [value for value in values if value is not None]
        found[key] = sum(known) if len(known) == len(values) else None
    return found


def of_network(network: nn.Module, table: Table) -> dict[str, Any]:
    """Costs of a network in float32."""
    network.eval()
    parameters = sum(parameter.numel() for parameter in network.parameters())

    @torch.no_grad()
    def answer(inputs: NDArray[np.float32]) -> Any:
        return network(torch.from_numpy(inputs)).softmax(dim=-1)  # of log-probabilities, no change

    one = torch.from_numpy(_inputs(table)[:1])
    return {
        "parameters": parameters,
        "bytes": 4 * parameters,
        "multiply_adds": multiply_adds(network, one),
        **latency(answer, _inputs(table)),
    }


def of_estimator(estimator: Any, table: Table) -> dict[str, Any]:
    """Costs of a scikit-learn classifier; its parameters are coefficients or nodes of trees."""
    return {
        "parameters": parameters_of(estimator),
        "bytes": len(skops.io.dumps(estimator)),
        "multiply_adds": None,
        **latency(estimator.predict_proba, _inputs(table)),
    }


def multiply_adds(network: nn.Module, inputs: torch.Tensor) -> int:
    """Multiplications with an addition for the rows of `inputs`, as torch counts them."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:  # no_grad is more than its tracker bears
        network(inputs)
    return int(counter.get_total_flops()) // 2


def latency(answer: Answer, inputs: NDArray[np.float32]) -> dict[str, Any]:
    """Milliseconds for one row and for a batch: median of many calls after a warm-up.

    From preprocessed inputs to probabilities, in this process, on its number of threads.
    """
    rows = np.resize(inputs, (BATCH, *inputs.shape[1:]))  # repeats them where there are fewer
    return {
        "one_row_ms": _median_ms(answer, rows[:1]),
        "batch_ms": _median_ms(answer, rows),
        "batch": BATCH,
    }


def _median_ms(answer: Answer, inputs: NDArray[np.float32]) -> float:
    for _ in range(WARM_UP):
        answer(inputs)
    times: list[float] = []
    started = time.perf_counter()
    while len(times) < LEAST or time.perf_counter() - started < SECONDS:
        before = time.perf_counter()
        answer(inputs)
        times.append(1e3 * (time.perf_counter() - before))
    return median(times)


def _inputs(table: Table) -> NDArray[np.float32]:
    inputs: NDArray[np.float32] = table.data.inputs.numpy()
    return inputs
