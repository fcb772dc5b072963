"""Logistic regression: one linear layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn


class Logistic(nn.Module):
    """A linear layer, the smallest student.

    Args:
        in_shape: (features,).
        num_classes: Number of logits.
    """

    reads: ClassVar[str] = "vector"

    def __init__(self, in_shape: Sequence[int], num_classes: int) -> None:
        super().__init__()
        (features,) = in_shape
        self.linear = nn.Linear(features, num_classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """[batch, features] -> logits [batch, classes]."""
        logits: Tensor = self.linear(inputs)
        return logits
