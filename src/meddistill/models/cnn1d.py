"""A small convolutional network for long series, such as sound at a thousand steps a second."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from meddistill.data.series.layout import max_of, mean_of, real_steps, steps_of
from meddistill.errors import integer, number


class CNN1d(nn.Module):
    """Strided convolutions, each followed by a norm over a step's units; mean and maximum pooled.

    Each layer leaves every `stride`-th step, as long as there are as many. Steps that come of
    padding alone are 0 and not pooled.

    Args:
        in_shape: (parts, time, variables).
        num_classes: Number of logits.
        width: Units of a step.
        depth: Convolutions.
        kernel: Steps that one reads, an odd number.
        stride: Steps of which one is left.
        dropout: Probability that a pooled unit is left out in training, at most 0.9.
    """

    reads: ClassVar[str] = "series"

    def __init__(
        self,
        in_shape: Sequence[int],
        num_classes: int,
        width: int = 16,
        depth: int = 4,
        kernel: int = 7,
        stride: int = 3,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        parts, steps, variables = in_shape
        integer("width", width, at_least=1)
        integer("depth", depth, at_least=1)
        integer("kernel", kernel, at_least=1)
        integer("stride", stride, at_least=1)
        number("dropout", dropout, at_least=0, at_most=0.9)
        self.convolutions, self.norms = nn.ModuleList(), nn.ModuleList()
        channels, self.strides = parts * variables, []
        for _ in range(depth):
            taken = stride if steps >= stride * kernel else 1
            self.convolutions.append(nn.Conv1d(channels, width, kernel, taken, padding=kernel // 2))
            self.norms.append(nn.LayerNorm(width))
            self.strides.append(taken)
            channels, steps = width, -(-steps // taken)
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.head = nn.Linear(2 * width, num_classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """[batch, parts, time, variables] -> logits [batch, classes]."""
        real, states = real_steps(inputs), steps_of(inputs).transpose(1, 2)
        layers = zip(self.convolutions, self.norms, self.strides, strict=True)
        for convolution, norm, taken in layers:
            real = real[:, ::taken]
            states = norm(convolution(states).transpose(1, 2)[:, : real.shape[1]])
            states = (torch.relu(states) * real.unsqueeze(-1)).transpose(1, 2)
        states = states.transpose(1, 2)
        pooled = torch.cat([mean_of(states, real), max_of(states, real)], dim=-1)
        logits: Tensor = self.head(self.dropout(pooled))
        return logits
