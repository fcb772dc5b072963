"""A layer of gated recurrent units whose parameters carry a leading dimension of members."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class StackedGRU(nn.Module):
    """`nn.GRU` of one layer a member, by products batched over members.

    Args:
        layer: Its parameters are [members, ...] by the names of a single layer.
    """

    weight_ih_l0: Tensor
    weight_hh_l0: Tensor
    bias_ih_l0: Tensor
    bias_hh_l0: Tensor

    def __init__(self, layer: nn.GRU) -> None:
        super().__init__()
        for name, parameter in layer.named_parameters():
            setattr(self, name, parameter)

    @staticmethod
    def fits(layer: nn.GRU) -> bool:
        """Whether a layer is such a one: forwards alone, with biases, batch first."""
        plain = layer.bias and layer.batch_first and not layer.bidirectional
        return bool(layer.num_layers == 1 and plain and not layer.proj_size)

    def forward(self, inputs: Tensor) -> tuple[Tensor, None]:
        """[members, batch, time, in] -> states [members, batch, time, units]."""
        gates = torch.baddbmm(
            self.bias_ih_l0.unsqueeze(1), inputs.flatten(1, 2), self.weight_ih_l0.transpose(1, 2)
        ).view(*inputs.shape[:-1], -1)
        states: Tensor = _Scan.apply(gates, self.weight_hh_l0, self.bias_hh_l0)  # type: ignore[no-untyped-call]
        return states, None


class _Scan(torch.autograd.Function):
    """The steps of a layer, from what its inputs bring to the gates.

    autograd would keep and walk a dozen operations a step, which take longer than the products.
    """

    @staticmethod
    def forward(ctx: Any, gates: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """[members, batch, time, 3 * units] -> states [members, batch, time, units]."""
        members, batch, time, width = gates.shape
        units, turned = width // 3, weight.transpose(1, 2)
        states = gates.new_zeros(time + 1, members, batch, units)
        kept = gates.new_empty(time, 4, members, batch, units)
        for step, (brought, held) in enumerate(zip(gates.unbind(2), kept, strict=True)):
            state = states[step]
            own = torch.baddbmm(bias.unsqueeze(1), state, turned)
            both = (brought[..., : 2 * units] + own[..., : 2 * units]).sigmoid_()
            reset, update = both[..., :units], both[..., units:]
            memory = own[..., 2 * units :]
            new = torch.addcmul(brought[..., 2 * units :], reset, memory).tanh_()
            torch.addcmul(new, state - new, update, out=states[step + 1])
            torch.stack((reset, update, memory, new), out=held)
        ctx.save_for_backward(weight, states, kept)
        return states[1:].permute(1, 2, 0, 3)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        (of_states,) = gradients
        weight, states, kept = ctx.saved_tensors
        time, _, members, batch, units = kept.shape
        of_gates = of_states.new_empty(members, batch, time, 3 * units)
        of_own = of_states.new_empty(time, members, batch, 3 * units)
        reset, update, memory, new = kept.unbind(1)
        slope_new = (1 - update) * (1 - new * new)
        slope_update = (states[:-1] - new) * update * (1 - update)
        slope_reset = memory * reset * (1 - reset)
        later = torch.zeros_like(states[0])
        for step in reversed(range(time)):
            of_state, own = of_states[:, :, step] + later, of_own[step]
            of_new = of_state * slope_new[step]
            torch.mul(of_new, slope_reset[step], out=own[..., :units])
            torch.mul(of_state, slope_update[step], out=own[..., units : 2 * units])
            torch.mul(of_new, reset[step], out=own[..., 2 * units :])
            of_gates[:, :, step, : 2 * units] = own[..., : 2 * units]
            of_gates[:, :, step, 2 * units :] = of_new
            later = torch.baddbmm(of_state * update[step], own, weight)
        flat = of_own.transpose(0, 1).flatten(1, 2)
        before = states[:-1].transpose(0, 1).flatten(1, 2)
        return of_gates, torch.bmm(flat.transpose(1, 2), before), flat.sum(dim=1)
