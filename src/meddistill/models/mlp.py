"""Multilayer perceptron for tabular rows."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

from torch import Tensor, nn

from meddistill.errors import integer, number


class MLP(nn.Module):
    """`depth` hidden layers of `width` units with ReLU and dropout, then a linear layer.

    Args:
        in_shape: (features,).
        num_classes: Number of logits.
        width: Units of each hidden layer, at least 1.
        depth: Number of hidden layers, at least 1 (none is `logistic`).
        dropout: Probability that a hidden unit is left out in training, at least 0 and at most 0.9.
    """

    reads: ClassVar[str] = "vector"

    def __init__(
        self,
        in_shape: Sequence[int],
        num_classes: int,
        width: int = 32,
        depth: int = 1,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        integer("width", width, at_least=1)
        integer("depth", depth, at_least=1)
        number("dropout", dropout, at_least=0, at_most=0.9)
        widths = [*in_shape, *[width] * depth]
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Linear(before, after), nn.ReLU(inplace=True)]
            layers += [nn.Dropout(dropout)] if dropout else []
        self.layers = nn.Sequential(*layers, nn.Linear(width, num_classes))

    def forward(self, inputs: Tensor) -> Tensor:
        """[batch, features] -> logits [batch, classes]."""
        logits: Tensor = self.layers(inputs)
        return logits
