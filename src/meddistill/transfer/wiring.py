"""Which units each layer of a network reads and gives, found by having it answer.

Whatever happens between two layers (activations, pooling, sums, concatenation) is looked through by
gradients: what each layer gives is replaced by numbers of its own, so that what a channel of a
layer depends on is what it reads of the layers right before.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor, nn

from meddistill.errors import UserError
from meddistill.transfer.layers import Layer, channels, layers_of

MOST_ROWS, MOST_NUMBERS = 64, 2**20
"""Rows that a network answers to be looked through, and numbers in them."""
LOGITS = "(logits)"
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Wiring:
    """A network's layers in the order in which they run, and how units run through them.

    A label is a unit. Units that are added up (a shortcut), or mixed without weights (an attention
    head's), have one label.

    Attributes:
        layers: In their order.
        reads: By layer the label of each channel that it reads.
        gives: By layer the label of each of its units.
        inputs: [numbers of a row] labels of the network's inputs.
        classes: [classes] labels of its logits.
        beside: Paths of its numbers that are no such layer's.
        count: Number of labels.
    """

    layers: list[Layer]
    reads: list[Labels]
    gives: list[Labels]
    inputs: Labels
    classes: Labels
    beside: list[str]
    count: int

    def ends(self, number: int) -> bool:
        """Whether a layer gives the logits."""
        return bool(np.isin(self.gives[number], self.classes).any())


@dataclass(frozen=True)
class _Port:
    """What was read at one place, each time that it was: [rows, channels, places]."""

    first: int
    values: list[Tensor]


def wiring_of(network: nn.Module, in_shape: Sequence[int]) -> Wiring:
    """Look through a network; it stays as it is.

    Args:
        network: [rows, *in_shape] -> logits [rows, classes].
        in_shape: Shape of a row.

    Raises:
        UserError: It can't be looked through.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        try:
            return _Trace(_passing(network), in_shape).wiring()
        except Exception as error:  # whatever a network of anyone's does
            why = " ".join(str(error).split())[:200]
            raise UserError(f"init: {type(network).__name__} can't be looked through: {why}") from (
                error
            )


class _Trace:
    """One answer of a network, cut open at its layers.

    Everything that can be read or given has a number: inputs, then units of layers and channels of
    ports as they come. Two numbers that are joined are one unit.
    """

    def __init__(self, network: nn.Module, in_shape: Sequence[int]) -> None:
        self.network, self.in_shape = network, in_shape
        self.rows = max(2, min(MOST_ROWS, MOST_NUMBERS // math.prod(in_shape)))
        self.count = math.prod(in_shape)
        self.layers: list[tuple[Layer, int, int]] = []  # with the first of its units and channels
        self.ports: dict[str, _Port] = {}
        self.given: list[tuple[Tensor, nn.Module | None, int]] = []  # numbers in place of a layer's
        self.edges: list[NDArray[np.int64]] = []  # [2, joined] each
        self.firsts: dict[str, int] = {}
        for name, module in network.named_modules():
            if layers_of(name, module):
                module.register_forward_hook(partial(self._cut, name), always_call=False)

    def wiring(self) -> Wiring:
        """Answer, and follow what was read."""
        inputs = (torch.rand(self.rows, *self.in_shape) + 0.5).requires_grad_()
        self.given.append((inputs, None, 0))
        logits = self.network(inputs)
        self._read(LOGITS, logits.unsqueeze(-1))
        for port in self.ports.values():
            for edges in self._sources(port):
                self.edges.append(edges)
        edges = np.concatenate(self.edges, axis=1)
        graph = coo_array((np.ones(edges.shape[1]), edges), shape=(self.count, self.count))
        count, labels = connected_components(graph, directed=False)
        labels = labels.astype(np.int64)
        first = self.ports[LOGITS].first
        taken = {tensor for layer, *_ in self.layers for tensor in layer.tensors}
        return Wiring(
            layers=[layer for layer, *_ in self.layers],
            reads=[labels[read : read + layer.inputs] for layer, _, read in self.layers],
            gives=[labels[own : own + layer.units] for layer, own, _ in self.layers],
            inputs=labels[: math.prod(self.in_shape)],
            classes=labels[first : first + logits.shape[1]],
            beside=[name for name in self.network.state_dict() if name not in taken],
            count=count,
        )

    def _new(self, count: int) -> int:
        """The first of so many new numbers."""
        self.count += count
        return self.count - count

    def _join(self, one: int, other: int, count: int) -> None:
        steps = np.arange(count)
        self.edges.append(np.stack([one + steps, other + steps]))

    def _read(self, name: str, values: Tensor) -> int:
        """Note what is read at a place; the first number of its channels."""
        if len(values) != self.rows:
            raise ValueError(f"'{name}' does not read row by row")
        if name not in self.ports:
            self.ports[name] = _Port(self._new(values.shape[1]), [])
        self.ports[name].values.append(values)
        return self.ports[name].first

    def _cut(self, name: str, module: nn.Module, read: tuple[Any, ...], given: Any) -> Any:
        """Note what a layer reads, and give other numbers in the place of its own."""
        first = self._read(name, channels(module, read[0]))
        if name not in self.firsts:
            self.firsts[name] = self._add(layers_of(name, module), first)
        units = self.firsts[name]
        if isinstance(module, nn.RNNCellBase) and len(read) > 1 and read[1] is not None:
            state = read[1][0] if isinstance(read[1], tuple) else read[1]
            before = self._read(f"{name}, before", state.unsqueeze(-1))
            self._join(before, units, state.shape[1])
        if not isinstance(given, tuple):
            return self._given(given, module, units)
        if isinstance(module, nn.RNNCellBase):  # of an LSTM: state and memory
            return tuple(self._given(each, module, units) for each in given)
        return self._given(given[0], module, units), _detached(given[1])

    def _given(self, like: Tensor, module: nn.Module, first: int) -> Tensor:
        """Positive numbers, so that no ReLU stops them; a copy, which may be changed in place."""
        numbers = (torch.rand_like(like) + 0.5).requires_grad_()
        self.given.append((numbers, module, first))
        return numbers.clone()

    def _add(self, layers: Sequence[Layer], read: int) -> int:
        """Number the units of a module's layers; the first one of those that it gives.

        A recurrent module has several: the second reads what the first gives, both ways of it.
        """
        ways = 2 if layers[-1].name.endswith("_reverse") else 1
        firsts: list[int] = []
        for number, layer in enumerate(layers):
            if number >= ways:
                read = firsts[(number // ways - 1) * ways]
            firsts.append(self._new(layer.units))
            if layer.follows:
                self._join(firsts[-1], read, layer.units)
            self.layers.append((layer, firsts[-1], read))
        return firsts[-ways]

    def _sources(self, port: _Port) -> Iterator[NDArray[np.int64]]:
        """[2, joined] channels of a port with what they were made from.

        Each row asks for one channel, so that one gradient answers for as many as there are rows.
        """
        tensors = [tensor for tensor, *_ in self.given]
        values = [each for each in port.values if each.requires_grad]
        width = port.values[0].shape[1]
        for start in range(0, width if values else 0, self.rows):
            asked = np.arange(start, min(start + self.rows, width))
            at = torch.from_numpy(asked - start), torch.from_numpy(asked)
            total = torch.stack([each[at].sum() for each in values]).sum()
            found = torch.autograd.grad(total, tensors, retain_graph=True, allow_unused=True)
            for gradient, (_, module, first) in zip(found, self.given, strict=True):
                if gradient is None:
                    continue
                seen = gradient if module is None else channels(module, gradient)
                seen = seen.flatten(1) if module is None else seen.abs().sum(dim=2)
                row, source = np.nonzero(seen.numpy()[: len(asked)])
                yield np.stack([port.first + asked[row], first + source])


def _passing(network: nn.Module) -> nn.Module:
    """A copy with positive parameters: what they are is no matter, but no ReLU is to stop them."""
    passing = copy.deepcopy(network).cpu().float().eval().requires_grad_(False)
    for parameter in passing.parameters():
        parameter.uniform_(0.1, 0.5)
    return passing


def _detached(state: Any) -> Any:
    return tuple(each.detach() for each in state) if isinstance(state, tuple) else state.detach()
