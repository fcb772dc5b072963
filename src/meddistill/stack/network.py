"""From M networks of one architecture to one that holds them all."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence, Set
from functools import partial

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from meddistill.stack.layers import StackedDropout, StackedLinear, Streams
from meddistill.stack.recurrent import StackedGRU
from meddistill.training.finishing import Finishes

PROBED_MEMBERS, PROBED_ROWS, PROBED_STEPS = 2, 16, 20
TOLERANCE = 1e-5
"""Largest difference of a probability, before those steps and after them."""


class NotStackableError(Exception):
    """Why something is trained one by one instead."""


class StackedNetwork(nn.Module):
    """M networks whose parameters and buffers carry a leading dimension [M].

    `state_dict` has the names of a single network. Networks whose parameters are all those of
    `nn.Linear` and of `nn.GRU` of one layer run by batched matrix products, others by
    `torch.func.vmap`.

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
    """The fastest form that answers and learns as each network alone, tried out on random rows.

    A few rows may get equal answers though the order of sums differs, and every step of training
    makes more of that: convolutions in a stack differ by thousandths after a hundred steps.

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
    for batched in _forms(owners):
        try:
            stacked = StackedNetwork(networks[:PROBED_MEMBERS], batched)
            _probe(stacked, networks[:PROBED_MEMBERS], in_shape)
        except Exception as error:  # whatever a network of anyone's does with one dimension more
            reason = " ".join(str(error).split())[:200]
        else:
            return StackedNetwork(networks, batched)
    raise NotStackableError(f"student {type(first).__name__}: {reason}")


def _forms(owners: Set[type[nn.Module]]) -> tuple[bool, ...]:
    """Whether to run by batched products, by `vmap`, or to try one after the other."""
    if nn.GRU in owners:
        return (True,)  # `vmap` takes none
    return (True, False) if owners <= {nn.Linear} else (False,)


def _refuse_known(network: nn.Module) -> None:
    if isinstance(network, Finishes):
        name = type(network).__name__
        raise NotStackableError(f"a {name} is finished by itself after its last step")
    if hasattr(network, "plain"):
        raise NotStackableError(
            f"a {type(network).__name__} is made of the columns of its own rows"
        )
    for module in network.modules():
        if getattr(module, "track_running_stats", False):
            raise NotStackableError(f"{type(module).__name__} keeps running statistics")
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            raise NotStackableError(f"{type(module).__name__} looks at other rows of its batch")
        batched = isinstance(module, nn.GRU) and StackedGRU.fits(module)
        if isinstance(module, nn.RNNBase) and not batched:
            raise NotStackableError(f"{type(module).__name__} has no batched form")
        if isinstance(module, (nn.RNNCellBase, nn.modules.conv._ConvNd)):
            raise NotStackableError(f"{type(module).__name__} gains nothing in a stack, and drifts")
    if len(list(network.parameters())) != len(
        list(network.named_parameters(remove_duplicate=False))
    ):
        raise NotStackableError("its layers share weights")


def _batched(network: nn.Module, streams: Streams) -> nn.Module:
    """`network` with layers that know the members' dimension."""
    if isinstance(network, nn.Linear):
        return StackedLinear(network.weight, network.bias)
    if isinstance(network, nn.GRU):
        return StackedGRU(network)
    if isinstance(network, nn.Dropout):
        return StackedDropout(network.p, streams)
    for name, child in network.named_children():
        setattr(network, name, _batched(child, streams))
    return network


def _probe(stacked: StackedNetwork, networks: Sequence[nn.Module], in_shape: Sequence[int]) -> None:
    """Compare probabilities, dropout's random numbers included, before steps and after them."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(len(networks), PROBED_ROWS, *in_shape, generator=generator)
    seeds, alone = list(range(len(networks))), [copy.deepcopy(network) for network in networks]
    with torch.random.fork_rng(devices=[]):
        for training in (True, False):
            _compare(stacked.train(training), [n.train(training) for n in alone], inputs, seeds)
        _step(stacked.train(), inputs, lambda: stacked.reseed(seeds))
        for seed, network, rows in zip(seeds, alone, inputs, strict=True):
            _step(network.train(), rows, partial(torch.default_generator.manual_seed, seed))
        _compare(stacked.eval(), [n.eval() for n in alone], inputs, seeds)


@torch.no_grad()
def _compare(
    stacked: StackedNetwork, networks: Sequence[nn.Module], inputs: Tensor, seeds: Sequence[int]
) -> None:
    alone = []
    for seed, network, rows in zip(seeds, networks, inputs, strict=True):
        torch.default_generator.manual_seed(seed)
        alone.append(network(rows))
    stacked.reseed(seeds)
    answers = stacked(inputs).softmax(dim=-1)
    difference = (answers - torch.stack(alone).softmax(dim=-1)).abs().max()
    if not difference <= TOLERANCE:
        raise NotStackableError(f"its answers in a stack differ by {difference:.1e}")


def _step(network: nn.Module, inputs: Tensor, reseed: Callable[[], object]) -> None:
    """Steps of Adam towards one class or the other by turns."""
    reseed()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(PROBED_STEPS):
        logits = network(inputs)
        target = torch.arange(logits.shape[-2]) % logits.shape[-1]
        chosen = logits.log_softmax(dim=-1)[..., torch.arange(len(target)), target]
        optimizer.zero_grad()
        torch.autograd.backward(-chosen.sum())
        optimizer.step()
