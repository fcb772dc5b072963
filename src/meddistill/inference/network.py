"""Networks as a model: one, or several whose probabilities are averaged."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from meddistill.inference.estimator import tempered
from meddistill.inference.model import PreparedModel


class MeanOfProbabilities(nn.Module):
    """Members that answer with the mean of their probabilities, worked out in log space.

    The mean of probabilities is neither that of log-probabilities nor that of logits. In log space
    no answer is log 0, so no clamp is needed.

    Args:
        members: Networks with the same inputs and classes.
        temperature: Divides the mean's log-probabilities before they are normalised again.
    """

    def __init__(self, members: Sequence[nn.Module], temperature: float = 1.0) -> None:
        super().__init__()
        self.members, self.temperature = nn.ModuleList(members), temperature

    def forward(self, inputs: Tensor) -> Tensor:
        """[batch, *in_shape] -> log-probabilities [batch, classes] in nats, float64 if there is."""
        dtype = torch.float32 if inputs.device.type == "mps" else torch.float64
        if len(self.members) == 1:  # its own mean, to the last bit, in half the time for one row
            own: Tensor = self.members[0](inputs).to(dtype).log_softmax(dim=-1)
            return tempered(own, self.temperature)
        answers = torch.stack([net(inputs) for net in self.members]).to(dtype).log_softmax(dim=-1)
        mean = answers.logsumexp(dim=0) - math.log(len(self.members))
        return tempered(mean, self.temperature)


class NetworkModel(PreparedModel):
    """Networks of one architecture; `network` is a `MeanOfProbabilities` of them."""

    @property
    def num_parameters(self) -> int:
        """Of all members."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    def parts(self) -> list[NetworkModel]:
        """The members, where there are several."""
        members = cast(MeanOfProbabilities, self.network).members
        several = list(members) if len(members) > 1 else []
        return [
            NetworkModel(self.card, MeanOfProbabilities([member]), self.preprocessing)
            for member in several
        ]

    @property
    def frozen(self) -> nn.Module:
        """All members."""
        return self.network

    def size(self) -> dict[str, Any]:
        """Parameters, four bytes each, and multiply-adds as torch counts them."""
        probe = self.preprocessing.read(self.preprocessing.probe()).take(np.arange(1))
        inputs = torch.from_numpy(self.prepare(probe))
        return {
            "parameters": self.num_parameters,
            "bytes": 4 * self.num_parameters,
            "multiply_adds": multiply_adds(self.network, self.preprocessing.front(inputs)),
        }


def multiply_adds(network: nn.Module, inputs: Tensor) -> int:
    """Multiplications with an addition for the rows of `inputs`, as torch counts them.

    It counts nothing of an LSTM that oneDNN takes as a whole, so that is switched off meanwhile.
    """
    from torch.utils.flop_counter import FlopCounterMode

    apart = torch.backends.mkldnn.flags(enabled=False)
    counter = FlopCounterMode(display=False, custom_mapping={torch.ops.aten._embedding_bag: _bags})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the switch: it speaks of Intel's graphics cards
        with apart, counter:  # under no_grad its tracker breaks
            network(inputs)
    return int(counter.get_total_flops()) // 2


def _bags(table: Sequence[int], indices: Sequence[int], *_: object, **__: object) -> int:
    """Of sums of a table's weighed rows, by the shapes of both: two operations a number."""
    return 2 * math.prod(indices) * table[1]
