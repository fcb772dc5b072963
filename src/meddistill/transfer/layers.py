"""The layers that can be taken in part: what their numbers belong to, by dimension."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

OUT, IN, OWN, ALL = "out", "in", "own", "all"
"""What a dimension runs over: a layer's units, what they read, the units' states of the step
before, or places of a kernel, which are taken whole."""
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
NORMS = (
    nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.InstanceNorm1d, nn.InstanceNorm2d,
    nn.InstanceNorm3d, nn.GroupNorm, nn.LayerNorm,
)  # fmt: skip
GATES = {nn.RNN: 1, nn.GRU: 3, nn.LSTM: 4, nn.RNNCell: 1, nn.GRUCell: 3, nn.LSTMCell: 4}
UNITS_LAST = (nn.Linear, nn.LayerNorm, nn.RNNBase, nn.RNNCellBase)
"""Layers that have their units in the last dimension; others have them in the second one."""
RECURRENT = {"weight_ih": (OUT, IN), "weight_hh": (OUT, OWN), "bias_ih": (OUT,), "bias_hh": (OUT,)}
STATISTICS = {"running_mean": (OUT,), "running_var": (OUT,), "num_batches_tracked": ()}


@dataclass(frozen=True)
class Layer:
    """A layer of a network; of a recurrent module one of its layers, one way.

    Attributes:
        name: Its path in the network; `forwards.l0` is the first layer of a recurrent module.
        kind: What two layers have in common that can have parts of each other; its name first.
        units: How many it has.
        inputs: How many channels it reads.
        tensors: Its numbers by their paths in the network's state, each with what its dimensions
            run over; `out` runs over the units once for each gate.
        groups: Parts of its units (a convolution's) that read parts of its channels each.
        gates: Of a recurrent layer; 1 of others.
        follows: Whether its units are the channels that it reads, as a norm's are.
        steps: Between the places that a convolution reads, and those that it gives.
    """

    name: str
    kind: tuple[object, ...]
    units: int
    inputs: int
    tensors: Mapping[str, tuple[str, ...]]
    groups: int = 1
    gates: int = 1
    follows: bool = False
    steps: tuple[object, ...] = ()


def layers_of(name: str, module: nn.Module) -> list[Layer]:
    """The layers that a module is; none where it is of no kind that can be taken in part."""
    if isinstance(module, nn.RNNBase):
        return [] if module.proj_size else _recurrent(name, module)
    if isinstance(module, nn.RNNCellBase):
        return [_cell(name, module)]
    if isinstance(module, nn.Linear):
        tensors = _present(name, module, {"weight": (OUT, IN), "bias": (OUT,)})
        return [Layer(name, ("linear",), module.out_features, module.in_features, tensors)]
    if isinstance(module, CONVOLUTIONS):
        return [_convolution(name, module)]
    return _norm(name, module) if isinstance(module, NORMS) else []


def channels(module: nn.Module, tensor: Tensor) -> Tensor:
    """What a layer reads or gives, rows first -> [rows, channels, places]."""
    if isinstance(module, nn.RNNBase) and not module.batch_first and tensor.dim() == 3:
        tensor = tensor.transpose(0, 1)
    moved = tensor.movedim(-1 if isinstance(module, UNITS_LAST) else 1, 1)
    return moved.flatten(2) if moved.dim() > 2 else moved.unsqueeze(2)


def _convolution(name: str, module: nn.Module) -> Layer:
    assert isinstance(module, CONVOLUTIONS)
    out, read, groups = module.out_channels, module.in_channels, module.groups
    depthwise = 1 < groups == read == out
    rest = (ALL,) * len(module.kernel_size)
    weight = (OUT, ALL if depthwise else IN, *rest)
    tensors = _present(name, module, {"weight": weight, "bias": (OUT,)})
    kind = ("depthwise convolution" if depthwise else "convolution", module.kernel_size)
    return Layer(
        name, kind, out, read, tensors, 1 if depthwise else groups, follows=depthwise,
        steps=(module.dilation, module.stride),
    )  # fmt: skip


def _norm(name: str, module: nn.Module) -> list[Layer]:
    shape = getattr(module, "normalized_shape", (0,))
    if len(shape) > 1:  # a unit of its own for each place
        return []
    units = getattr(module, "num_features", getattr(module, "num_channels", shape[0]))
    tensors = _present(name, module, {"weight": (OUT,), "bias": (OUT,), **STATISTICS})
    return [Layer(name, (type(module).__name__,), units, units, tensors, follows=True)]


def _cell(name: str, module: nn.RNNCellBase) -> Layer:
    kind, gates = (type(module).__name__,), GATES[type(module)]
    tensors = _present(name, module, RECURRENT)
    return Layer(name, kind, module.hidden_size, module.input_size, tensors, gates=gates)


def _recurrent(name: str, module: nn.RNNBase) -> list[Layer]:
    """Layer by layer, forwards and then backwards."""
    found = []
    ways = 2 if module.bidirectional else 1
    for layer in range(module.num_layers):
        read = module.input_size if layer == 0 else ways * module.hidden_size
        for way in ("", "_reverse")[:ways]:
            end = f"_l{layer}{way}"
            dims = {f"{tensor}{end}": dims for tensor, dims in RECURRENT.items()}
            found.append(Layer(
                f"{name}.{end[1:]}", (type(module).__name__, way), module.hidden_size, read,
                _present(name, module, dims), gates=GATES[type(module)],
            ))  # fmt: skip
    return found


def _present(
    name: str, module: nn.Module, dims: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    """By their paths in the network's state those tensors that the module has."""
    there = module.state_dict().keys()
    prefix = f"{name}." if name else ""
    return {prefix + tensor: of for tensor, of in dims.items() if tensor in there}
