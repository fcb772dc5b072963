"""Parameters that stay as they are in the first epochs."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class Freeze:
    """Which parameters stay as they are, and for how long.

    Attributes:
        names: Of the parameters.
        epochs: So many.
    """

    names: frozenset[str] = frozenset()
    epochs: int = 0

    def drop_gradients(self, network: nn.Module, epoch: int) -> None:
        """Take away the gradients of what is frozen: no optimizer steps what has none."""
        if epoch < self.epochs:
            for name, parameter in network.named_parameters():
                if name in self.names:
                    parameter.grad = None
