"""A temporal convolutional network: causal convolutions, dilated block by block."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from meddistill.data.series.layout import last_of, max_of, mean_of, real_steps, steps_of
from meddistill.errors import integer, number


class TCN(nn.Module):
    """Residual blocks of two causal convolutions (Bai, Kolter and Koltun 2018, arXiv:1803.01271).

    The k-th block looks 2^k steps apart. Where the paper normalises weights, each step's units are
    normalised here, which no padding and no other row touches.

    Args:
        in_shape: (parts, time, variables).
        num_classes: Number of logits.
        width: Units of a step.
        depth: Blocks; a step sees 2 * (kernel - 1) * (2^depth - 1) steps before it.
        kernel: Steps that a convolution reads.
        dropout: Probability that a unit is left out in training, at most 0.9.
    """

    reads: ClassVar[str] = "series"

    def __init__(
        self,
        in_shape: Sequence[int],
        num_classes: int,
        width: int = 64,
        depth: int = 4,
        kernel: int = 3,
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        parts, _, variables = in_shape
        integer("width", width, at_least=1)
        integer("depth", depth, at_least=1)
        integer("kernel", kernel, at_least=2)
        number("dropout", dropout, at_least=0, at_most=0.9)
        self.entry = nn.Linear(parts * variables, width)
        self.blocks = nn.ModuleList(
            Block(width, kernel, 2**number_of, dropout) for number_of in range(depth)
        )
        self.head = nn.Linear(3 * width, num_classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """[batch, parts, time, variables] -> logits [batch, classes]."""
        real, states = real_steps(inputs), self.entry(steps_of(inputs))
        for block in self.blocks:
            states = block(states)
        pooled = [pool(states, real) for pool in (last_of, mean_of, max_of)]
        logits: Tensor = self.head(torch.cat(pooled, dim=-1))
        return logits


class Block(nn.Module):
    """Two convolutions that read a step and those before it, added to what came in."""

    def __init__(self, width: int, kernel: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.before = (kernel - 1) * dilation
        self.convolutions = nn.ModuleList(
            nn.Conv1d(width, width, kernel, dilation=dilation) for _ in range(2)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()

    def forward(self, states: Tensor) -> Tensor:
        """[batch, time, width] -> the same shape."""
        inner = states
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            seen = pad(norm(inner).transpose(1, 2), (self.before, 0))
            inner = self.dropout(torch.relu(convolution(seen))).transpose(1, 2)
        return states + inner
