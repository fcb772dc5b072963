"""What a network's layers say, read by module path while it answers; the network stays as it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from meddistill.data.datamodule import CohortDataModule
from meddistill.errors import SettingError
from meddistill.inference.network import MeanOfProbabilities
from meddistill.losses import DistillationLoss, Step
from meddistill.seeding import derive

LAST = ""
"""Path of the penultimate layer: what the last linear layer reads."""
OF_ANSWERS = "it has no layers at all, so take a loss of answers (loss=kd)"
SAMPLE = {"vector": 2048, "bands": 256, "image": 256, "series": 256}
"""Most rows that a loss looks at before training, by their layout."""


class Taps:
    """Features of a network (or of an ensemble's members, side by side) from its next answers on.

    Args:
        network: What is read.
        paths: Modules whose outputs are read (`layers.0`, as `named_modules` calls them); `LAST` is
            the input of the last linear layer.
        key: Setting that a wrong path came from, for messages.

    Raises:
        SettingError: A path leads to no module.
    """

    def __init__(self, network: nn.Module, paths: Iterable[str], key: str) -> None:
        self._members = _members(network)
        self._found: dict[str, dict[int, Tensor]] = {path: {} for path in paths}
        self._hooks = [
            self._hook(number, member, path, key)
            for number, member in enumerate(self._members)
            for path in self._found
        ]

    def features(self) -> dict[str, Tensor]:
        """By path what the last answers were made from; members side by side, [batch, ...]."""
        several = len(self._members) > 1
        return {
            path: torch.cat([f.flatten(1) for f in found.values()], dim=1) if several else found[0]
            for path, found in self._found.items()
        }

    def remove(self) -> None:
        """Read no more."""
        for hook in self._hooks:
            hook.remove()

    def _hook(self, number: int, member: nn.Module, path: str, key: str) -> Any:
        found = self._found[path]

        def keep_input(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            found[number] = inputs[0]

        def keep_output(module: nn.Module, inputs: tuple[Tensor, ...], output: Any) -> None:
            found[number] = output[0] if isinstance(output, tuple) else output  # a GRU's states

        if path == LAST:
            return _last_linear(member, key).register_forward_pre_hook(keep_input)
        modules = dict(member.named_modules())
        if path not in modules:
            raise SettingError(key, path, f"is no layer; there are {_listed(modules)}")
        return modules[path].register_forward_hook(keep_output)


@contextmanager
def tapped(network: nn.Module, paths: Iterable[str], key: str) -> Iterator[Taps]:
    """Taps for a while."""
    taps = Taps(network, paths, key)
    try:
        yield taps
    finally:
        taps.remove()


def check_features(loss: DistillationLoss, student: nn.Module, data: CohortDataModule) -> None:
    """Have the student answer to some rows, and let the loss refuse its features.

    Raises:
        UserError: A layer isn't there, or its features say nothing.
    """
    if loss.needs_features:
        loss.check_student(_sample(loss, student, None, data))


def connect(
    loss: DistillationLoss,
    student: nn.Module,
    teacher: nn.Module,
    data: CohortDataModule,
    seed: int,
) -> None:
    """Have both answer to some rows, and let the loss make what their features decide.

    Raises:
        UserError: A layer isn't there, or the features can't be compared.
    """
    loss.connect(_sample(loss, student, teacher, data), derive(seed, "projectors"))


def _sample(
    loss: DistillationLoss, student: nn.Module, teacher: nn.Module | None, data: CohortDataModule
) -> Step:
    """A step of labelled training rows, as both see them when they don't train."""
    own, others = loss.layers
    labelled = data.labelled_train
    labelled = labelled[: SAMPLE[data.preprocessing.layout]]
    rows = data.read_at(labelled)
    logits, read = _answers(student, rows.inputs, own, "loss.student_layer")
    step = Step(logits, rows.target, torch.ones(len(labelled)), None, read)
    if teacher is None:
        return step
    inputs = rows.inputs if rows.teacher_inputs is None else rows.teacher_inputs
    said, taught = _answers(teacher, inputs, others, "loss.teacher_layer")
    return replace(step, teacher=said.detach().log_softmax(-1), teacher_features=taught)


def _answers(
    network: nn.Module, inputs: Tensor, paths: Iterable[str], key: str
) -> tuple[Tensor, dict[str, Tensor]]:
    """Answers and features in eval mode, so that nothing in the network moves."""
    training = network.training
    with tapped(network, paths, key) as taps:
        answers = network.eval()(inputs)
    network.train(training)
    return answers, taps.features()


def _members(network: nn.Module) -> list[nn.Module]:
    return list(network.members) if isinstance(network, MeanOfProbabilities) else [network]


def _last_linear(network: nn.Module, key: str) -> nn.Module:
    linear = [module for module in network.modules() if isinstance(module, nn.Linear)]
    if not linear:
        modules = dict(network.named_modules())
        mend = f"name one of {_listed(modules)}" if len(modules) > 1 else OF_ANSWERS
        raise SettingError(key, None, f"a {type(network).__name__} has no linear layer: {mend}")
    return linear[-1]


def _listed(modules: Iterable[str]) -> str:
    return ", ".join(name for name in modules if name) or "none"
