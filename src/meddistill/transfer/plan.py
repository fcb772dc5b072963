"""The plan of a transfer: a line for each of the student's layers, and the numbers it takes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from meddistill.transfer.layers import ALL, IN, OWN, Layer
from meddistill.transfer.matching import Match
from meddistill.transfer.wiring import Labels, Wiring

Mask = NDArray[np.bool_]
State = Mapping[str, Tensor]


@dataclass(frozen=True)
class Line:
    """What one of the student's layers takes.

    Attributes:
        layer: The student's layer.
        teacher: The teacher's layer; None where the student's keeps its own first weights.
        units: The teacher's units that are taken, by their numbers there.
        of: How many units the teacher's layer has.
        numbers: The student's numbers that are taken.
        size: All of its numbers.
        reason: Why nothing is taken.
        freezable: Paths of its parameters; none where it gives the classes, or takes nothing.
    """

    layer: str
    teacher: str | None
    units: list[int]
    of: int
    numbers: int
    size: int
    reason: str
    freezable: list[str] = field(default_factory=list)


class Transfer:
    """Numbers that go from a teacher's layers to the student's.

    Args:
        student: How units run through the student.
        own: Its state.
        others: The teacher's state.
        matches: For each of the student's layers.
        scale: Whether a weight grows by the square root of how much fewer numbers its unit sums.
    """

    def __init__(
        self, student: Wiring, own: State, others: State, matches: Sequence[Match], scale: bool
    ) -> None:
        self.wiring, self.own, self.others = student, own, others
        self.matches, self.scale = matches, scale
        self.kept: Mask = np.ones(student.count, dtype=np.bool_)
        """By label whether a unit is taken; inputs and classes always are."""
        self.beside = [
            name for name in student.beside
            if name in others and others[name].shape == own[name].shape
        ]  # fmt: skip

    @property
    def spaces(self) -> list[Labels]:
        """The student's units that can be taken or left, layer by layer, each unit once."""
        seen, found = {*self.wiring.inputs.tolist(), *self.wiring.classes.tolist()}, []
        for match, gives in zip(self.matches, self.wiring.gives, strict=True):
            units = [unit for unit in dict.fromkeys(gives.tolist()) if unit not in seen]
            seen.update(units)
            if units and match.teacher is not None:
                found.append(np.array(units))
        return found

    def state(self) -> dict[str, Tensor]:
        """The student's state with what is taken in its place."""
        state = {name: tensor.clone() for name, tensor in self.own.items()}
        for number, match in enumerate(self.matches):
            for name, other in _names(match):
                mask = torch.from_numpy(self._mask(number, name))
                taken = self._taken(match, name, self.others[other])
                state[name] = torch.where(mask, taken.to(state[name].dtype), state[name])
        return state | {name: self.others[name].clone() for name in self.beside}

    def lines(self) -> list[Line]:
        """The plan, without layers that have no numbers."""
        lines = [
            self._line(number, match)
            for number, match in enumerate(self.matches) if match.student.tensors
        ]  # fmt: skip
        return lines + [self._line_beside(name) for name in self.wiring.beside]

    def numbers(self) -> int:
        """How many of the student's parameters are taken."""
        return sum(line.numbers for line in self.lines())

    def _line(self, number: int, match: Match) -> Line:
        names = [name for name in match.student.tensors if _learned(name)]
        size = sum(self.own[name].numel() for name in names)
        if match.teacher is None or match.units is None:
            return Line(match.student.name, None, [], 0, 0, size, match.reason)
        taken = match.units[self.kept[self.wiring.gives[number]]]
        there = {name for name, _ in _names(match)}
        count = sum(int(np.broadcast_to(self._mask(number, name), self.own[name].shape).sum())
                    for name in names if name in there)  # fmt: skip
        other = match.teacher
        return Line(match.student.name, other.name, taken.tolist(), other.units, count, size, "",
                    [] if self.wiring.ends(number) else names)  # fmt: skip

    def _line_beside(self, name: str) -> Line:
        size = self.own[name].numel()
        if name in self.beside:
            return Line(name, name, [], 0, size, size, "", [name])
        reason = "it is of no layer that can be taken in part, and the teacher has none of its size"
        return Line(name, None, [], 0, 0, size, reason)

    def _mask(self, number: int, name: str) -> Mask:
        """Which numbers of a tensor are taken: those of taken units about taken ones."""
        layer = self.matches[number].student
        dims = layer.tensors[name]
        if not dims:
            return np.array(True)
        gives = self.kept[self.wiring.gives[number]]
        mask = np.tile(gives, layer.gates)
        if len(dims) > 1 and dims[1] != ALL:
            columns = _columns(layer, np.arange(layer.inputs), np.arange(layer.units), dims[1])
            read = self.kept[self.wiring.reads[number]] if dims[1] == IN else gives
            mask = mask[:, None] & np.tile(read[columns], (layer.gates, 1))
        return mask.reshape(*mask.shape, *[1] * (self.own[name].dim() - mask.ndim))

    def _taken(self, match: Match, name: str, other: Tensor) -> Tensor:
        """What a tensor of the student's takes of the teacher's, of the student's shape."""
        assert match.teacher is not None
        assert match.units is not None
        assert match.channels is not None
        dims, own = match.student.tensors[name], match.student
        if not dims:
            return other
        steps = np.arange(own.gates)[:, None] * match.teacher.units
        rows = torch.from_numpy((steps + match.units).ravel())
        if len(dims) == 1 or dims[1] == ALL:
            return other[rows]
        if dims[1] == IN:
            size = match.teacher.inputs // match.teacher.groups
            columns = _columns(own, match.channels, match.units, IN) % size
        else:
            columns = _columns(own, match.channels, match.units, OWN)
        at = torch.from_numpy(np.tile(columns, (own.gates, 1)))
        factor = math.sqrt(other.shape[1] / at.shape[1]) if self.scale else 1.0
        return other[rows[:, None], at] * factor


def _columns(layer: Layer, channels: NDArray[np.int64], units: NDArray[np.int64], over: str
             ) -> NDArray[np.int64]:  # fmt: skip
    """[units, numbers of a row] the channel, or the unit, of each number of a weight."""
    if over == OWN:
        return np.tile(units, (layer.units, 1))
    by_group = channels.reshape(layer.groups, -1)
    return np.repeat(by_group, layer.units // layer.groups, axis=0)


def _names(match: Match) -> list[tuple[str, str]]:
    """Paths of the numbers that both layers have, in the student and in the teacher."""
    if match.teacher is None:
        return []
    own, others = list(match.student.tensors), list(match.teacher.tensors)
    ends = {_end(other): other for other in others}
    return [(name, ends[_end(name)]) for name in own if _end(name) in ends]


def _end(name: str) -> str:
    """A tensor's name in its module, of a recurrent one without the number of the layer."""
    last = name.rpartition(".")[2]
    return last.partition("_l")[0] if last.startswith(("weight_", "bias_")) else last


def _learned(name: str) -> bool:
    return "running_" not in name and "num_batches" not in name


def norms_of(teacher: Wiring, state: State) -> NDArray[np.float64]:
    """By label the norm of a unit's weights, in all layers that give it."""
    squares = np.zeros(teacher.count)
    for layer, gives in zip(teacher.layers, teacher.gives, strict=True):
        for name, dims in layer.tensors.items():
            if len(dims) > 1 and not layer.follows:
                square = state[name].double().square().flatten(1).sum(dim=1)
                np.add.at(squares, gives, square.view(layer.gates, -1).sum(dim=0).numpy())
    return np.sqrt(squares)
