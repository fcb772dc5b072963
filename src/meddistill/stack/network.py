"""From M networks of one architecture to one that holds them all."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from meddistill.stack.layers import StackedDropout, StackedLinear, Streams

PROBED_MEMBERS, PROBED_ROWS = 2, 5
TOLERANCE = 1e-5


class NotStackableError(Exception):
    """Why something is trained one by one instead."""


class StackedNetwork(nn.Module):
    """M networks whose parameters and buffers carry a leading dimension [M].

    `state_dict` has the names of a single network. Networks whose parameters are all those of
    `nn.Linear` run by batched matrix products, others by `torch.func.vmap`.

    Args:
        networks: M networks of one architecture.
        batched: By batched matrix products; otherwise by `vmap`.
    """

    def __init__(self, networks: Sequence[nn.Module], batched: bool) -> None:
        super().__init__()
        self.batched = batched
        self.streams = Streams()
        self.network = copy.deepcopy(networks[0])
        states = [dict(net.named_parameters()) | dict(net.named_buffers()) for net in networks]
        self.restore({name: torch.stack([s[name].detach() for s in states]) for name in states[0]})
        if batched:
            self.network = _batched(self.network, self.streams)

    def forward(self, inputs: Tensor) -> Tensor:
        """[M, batch, *in_shape] -> logits [M, batch, classes]."""
        if self.batched:
            logits: Tensor = self.network(inputs)
            return logits
        parameters: dict[str, Tensor] = dict(self.network.named_parameters())
        return vmap(self._of_one)(parameters, dict(self.network.named_buffers()), inputs)

    def reseed(self, seeds: Sequence[int]) -> None:
        """Begin each member's random numbers (dropout) anew."""
        self.streams.reseed(seeds)

    def keep(self, members: Tensor) -> None:
        """Go on with the members numbered by `members` alone."""
        self.restore({name: tensor[members] for name, tensor in self.tensors().items()})

    def tensors(self) -> dict[str, Tensor]:
        """All parameters and buffers, [M, ...] by the names of a single network."""
        state = {**dict(self.network.named_parameters()), **dict(self.network.named_buffers())}
        return {name: value.detach() for name, value in state.items()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over `tensors`, of as many members as they have."""
        for module_name, module in self.network.named_modules():
            prefix = f"{module_name}." if module_name else ""
            for name, parameter in list(module.named_parameters(recurse=False)):
                stacked = tensors[prefix + name]
                setattr(module, name, nn.Parameter(stacked, parameter.requires_grad))
            for name, _ in list(module.named_buffers(recurse=False)):
                setattr(module, name, tensors[prefix + name])

    def _of_one(
        self, parameters: dict[str, Tensor], buffers: dict[str, Tensor], inputs: Tensor
    ) -> Tensor:
        logits: Tensor = functional_call(self.network, (parameters, buffers), (inputs,))
        return logits


def stack_networks(networks: Sequence[nn.Module], in_shape: Sequence[int]) -> StackedNetwork:
    """The fastest form that answers as each network alone does, tried out on random rows.

    Args:
        networks: One a member; members may share one.
        in_shape: Shape of one row's inputs.

    Raises:
        NotStackableError: There is none; it says why.
    """
    first = networks[0]
    _refuse_known(first)
    owners = {
        type(m) for m in first.modules() if next(m.parameters(recurse=False), None) is not None
    }
    reason = ""
    for batched in (True, False) if owners <= {nn.Linear} else (False,):
        try:
            stacked = StackedNetwork(networks[:PROBED_MEMBERS], batched)
            _probe(stacked, networks[:PROBED_MEMBERS], in_shape)
        except Exception as error:  # whatever a network of anyone's does with one dimension more
            reason = " ".join(str(error).split())[:200]
        else:
            return StackedNetwork(networks, batched)
    raise NotStackableError(f"student {type(first).__name__}: {reason}")


def _refuse_known(network: nn.Module) -> None:
    for module in network.modules():
        if getattr(module, "track_running_stats", False):
            raise NotStackableError(f"{type(module).__name__} keeps running statistics")
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            raise NotStackableError(f"{type(module).__name__} looks at other rows of its batch")
        if isinstance(module, nn.RNNBase):
            raise NotStackableError(f"{type(module).__name__} has no batched form")
    if len(list(network.parameters())) != len(
        list(network.named_parameters(remove_duplicate=False))
    ):
        raise NotStackableError("its layers share weights")


def _batched(network: nn.Module, streams: Streams) -> nn.Module:
    """`network` with layers that know the members' dimension."""
    if isinstance(network, nn.Linear):
        return StackedLinear(network.weight, network.bias)
    if isinstance(network, nn.Dropout):
        return StackedDropout(network.p, streams)
    for name, child in network.named_children():
        setattr(network, name, _batched(child, streams))
    return network


def _probe(stacked: StackedNetwork, networks: Sequence[nn.Module], in_shape: Sequence[int]) -> None:
    """Compare answers in training and in evaluation, dropout's random numbers included."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(len(networks), PROBED_ROWS, *in_shape, generator=generator)
    seeds = list(range(len(networks)))
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        for training in (True, False):
            alone = []
            for seed, network, rows in zip(seeds, networks, inputs, strict=True):
                torch.default_generator.manual_seed(seed)
                alone.append(copy.deepcopy(network).train(training)(rows))
            stacked.reseed(seeds)
            difference = (stacked.train(training)(inputs) - torch.stack(alone)).abs().max()
            if not difference <= TOLERANCE:
                raise NotStackableError(f"its answers in a stack differ by {difference:.1e}")
