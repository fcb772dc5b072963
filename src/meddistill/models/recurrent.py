"""Recurrent networks for series: what they hold over a row's real steps, pooled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from meddistill.data.series.layout import (
    last_of,
    max_of,
    mean_of,
    real_steps,
    reversed_steps,
    steps_of,
)
from meddistill.errors import SettingError, integer, number

POOLS = {"last": last_of, "mean": mean_of, "max": max_of}


class Recurrent(nn.Module):
    """Layers of `cell` over the steps, forwards or both ways; pooled states to logits.

    The way back begins at a row's last real step, so that padding is never read.

    Args:
        in_shape: (parts, time, variables).
        num_classes: Number of logits.
        width: Units of a layer each way.
        depth: Layers.
        bidirectional: Whether there are layers that read the steps backwards.
        pools: What is made of the states of all real steps: `last`, `mean`, `max`.
        dropout: Probability that a pooled state, or one between two layers, is left out in
            training, at most 0.9.
    """

    reads: ClassVar[str] = "series"
    cell: ClassVar[type[nn.GRU] | type[nn.LSTM]]

    def __init__(
        self,
        in_shape: Sequence[int],
        num_classes: int,
        width: int = 128,
        depth: int = 1,
        bidirectional: bool = True,
        pools: Sequence[str] = ("mean", "max"),
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        parts, _, variables = in_shape
        integer("width", width, at_least=1)
        integer("depth", depth, at_least=1)
        number("dropout", dropout, at_least=0, at_most=0.9)
        if not pools or not set(pools) <= POOLS.keys() or len(set(pools)) < len(pools):
            raise SettingError("pools", list(pools), f"must be of {list(POOLS)}, each once")
        self.pools = tuple(pools)
        between = dropout if depth > 1 else 0.0
        ways = [
            self.cell(parts * variables, width, depth, batch_first=True, dropout=between)
            for _ in range(2 if bidirectional else 1)
        ]
        self.forwards, self.backwards = ways[0], ways[1] if bidirectional else None
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.head = nn.Linear(width * len(ways) * len(pools), num_classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """[..., batch, parts, time, variables] -> logits [..., batch, classes]."""
        real, steps = real_steps(inputs), steps_of(inputs)
        states = [self.forwards(steps)[0]]
        if self.backwards is not None:
            states.append(self.backwards(reversed_steps(steps, real))[0])
        pooled = [POOLS[pool](each, real) for each in states for pool in self.pools]
        logits: Tensor = self.head(self.dropout(torch.cat(pooled, dim=-1)))
        return logits


class GRU(Recurrent):
    """Gated recurrent units (Cho et al. 2014, arXiv:1406.1078)."""

    cell = nn.GRU


class LSTM(Recurrent):
    """Long short-term memory (Hochreiter and Schmidhuber 1997)."""

    cell = nn.LSTM
