"""Layers whose parameters carry a leading dimension of members."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


class _BatchedLinear(torch.autograd.Function):
    """`inputs @ weight^T + bias` for each member.

    autograd's own backward of `baddbmm` multiplies the weight's gradient the other way round; this
    way it is the single layer's to the last bit (on the CPU) and lies in memory as the weight does.
    """

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        return torch.baddbmm(bias.unsqueeze(1), inputs, weight.transpose(1, 2))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        (gradient,) = gradients
        inputs, weight = ctx.saved_tensors
        of_inputs = torch.bmm(gradient, weight) if ctx.needs_input_grad[0] else None
        return of_inputs, torch.bmm(gradient.transpose(1, 2), inputs), gradient.sum(dim=1)


class StackedLinear(nn.Module):
    """`nn.Linear` a member: weight [members, out, in], bias [members, out] or None."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.weight, self.bias = weight, bias

    def forward(self, inputs: Tensor) -> Tensor:
        """[members, batch, in] -> [members, batch, out]."""
        if self.bias is None:
            return torch.bmm(inputs, self.weight.transpose(1, 2))
        outputs: Tensor = _BatchedLinear.apply(inputs, self.weight, self.bias)  # type: ignore[no-untyped-call]
        return outputs


class StackedDropout(nn.Module):
    """`nn.Dropout` that draws for each member what its student would draw alone, on the CPU.

    Args:
        probability: That a unit is left out.
        streams: Random numbers, shared by all dropout layers of a stack.
    """

    def __init__(self, probability: float, streams: Streams) -> None:
        super().__init__()
        self.probability, self.streams = probability, streams

    def forward(self, inputs: Tensor) -> Tensor:
        """[members, batch, ...] -> the same shape."""
        if not self.training:
            return inputs
        noise = self.streams.bernoulli(inputs, 1 - self.probability)
        return inputs * noise.div_(1 - self.probability)


class Streams:
    """A stream of random numbers for each seed; members with one seed draw alike."""

    def __init__(self) -> None:
        self._generators: list[torch.Generator] = []
        self._of_member = torch.zeros(0, dtype=torch.int64)

    def reseed(self, seeds: Sequence[int]) -> None:
        """Begin anew: `seeds` has one a member."""
        distinct = {seed: number for number, seed in enumerate(dict.fromkeys(seeds))}
        self._generators = [torch.Generator().manual_seed(seed) for seed in distinct]
        self._of_member = torch.tensor([distinct[seed] for seed in seeds])

    def bernoulli(self, like: Tensor, probability: float) -> Tensor:
        """Ones and zeros of the shape of `like` [members, ...]."""
        shape = like.shape[1:]
        draws = [
            torch.empty(shape, dtype=like.dtype).bernoulli_(probability, generator=generator)
            for generator in self._generators
        ]
        return torch.stack(draws)[self._of_member]
