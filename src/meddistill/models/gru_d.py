"""GRU-D: values and memory that decay the longer a variable has not been observed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from meddistill.data.series.layout import OBSERVED, SINCE, VALUE, last_of, real_steps
from meddistill.errors import SettingError, integer, number


class GRUD(nn.Module):
    """GRU-D (Che et al. 2018, Scientific Reports 8:6085, equations 8 to 14).

    A missing value is the one seen last, decayed towards the training mean (0 here); the state
    decays before each step. Both by exp(-max(0, w * time since + b)).

    Args:
        in_shape: (3, time, variables): it needs to see which cells were observed.
        num_classes: Number of logits.
        width: Units.
        dropout: Probability that a unit of the last state is left out in training, at most 0.9.
    """

    reads: ClassVar[str] = "series"

    def __init__(
        self, in_shape: Sequence[int], num_classes: int, width: int = 64, dropout: float = 0.3
    ) -> None:
        super().__init__()
        parts, _, variables = in_shape
        if parts != 3:
            raise SettingError(
                "_target_", "GRUD", "decays by the time since a value was observed: it needs "
                "series with missing cells, and preprocessing.mask=true",
            )  # fmt: skip
        integer("width", width, at_least=1)
        number("dropout", dropout, at_least=0, at_most=0.9)
        self.value_weight = nn.Parameter(torch.full((variables,), 0.5))  # at 0 nothing is learned
        self.value_bias = nn.Parameter(torch.zeros(variables))
        self.state_decay = nn.Linear(variables, width)
        self.cell = nn.GRUCell(2 * variables, width)
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.head = nn.Linear(width, num_classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """[batch, 3, time, variables] -> logits [batch, classes]."""
        real = real_steps(inputs)
        value, observed, since = (inputs[:, part] for part in (VALUE, OBSERVED, SINCE))
        decay = torch.exp(-torch.relu(since * self.value_weight + self.value_bias))
        steps = torch.cat([torch.lerp(decay * value, value, observed), observed], dim=-1)
        memory = torch.exp(-torch.relu(self.state_decay(since)))
        state = steps.new_zeros(len(steps), self.cell.hidden_size)
        states = []
        for step, kept in zip(steps.unbind(1), memory.unbind(1), strict=True):
            state = self.cell(step, state * kept)
            states.append(state)
        last = last_of(torch.stack(states, dim=1), real)
        logits: Tensor = self.head(self.dropout(last))
        return logits
