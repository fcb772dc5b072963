"""A trained model in a folder: saved without pickle, loaded to answer for raw rows."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from meddistill.data import remarks
from meddistill.data.preprocessing import Preprocessing
from meddistill.inference.card import Card
from meddistill.inference.estimator import EstimatorAnswers, tempered

ROWS_AT_ONCE = 8192


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


class Model:
    """A trained model that answers for raw rows with its own preprocessing.

    Args:
        card: What it is.
        network: inputs -> log-probabilities.
        preprocessing: raw rows -> inputs.
    """

    def __init__(self, card: Card, network: nn.Module, preprocessing: Preprocessing) -> None:
        self.card, self.network, self.preprocessing = card, network.eval(), preprocessing
        self._classes = pd.Index(card.classes)  # made anew it takes longer than a small network

    @property
    def num_parameters(self) -> int:
        """Trained numbers, over all members; of trees their nodes; 0 where nobody can count."""
        if isinstance(self.network, EstimatorAnswers):
            return self.network.num_parameters or 0
        return sum(parameter.numel() for parameter in self.network.parameters())

    def parts(self) -> list[Model]:
        """The models whose mean it is: an ensemble's networks, a forest's trees; none of one."""
        if isinstance(self.network, EstimatorAnswers):
            networks: list[nn.Module] = list(self.network.parts())
        elif isinstance(self.network, MeanOfProbabilities):
            networks = [MeanOfProbabilities([member]) for member in self.network.members]
        else:
            networks = []
        several = networks if len(networks) > 1 else []
        return [Model(self.card, network, self.preprocessing) for network in several]

    def pruned(self) -> list[Model]:
        """Smaller models within it: small forests of a forest's trees, the parts of another."""
        if not isinstance(self.network, EstimatorAnswers):
            return self.parts()
        forests = self.network.sub_forests()
        return [Model(self.card, forest, self.preprocessing) for forest in forests]

    def log_probabilities(self, rows: pd.DataFrame, warn: bool = False) -> NDArray[np.float64]:
        """Raw rows -> log-probabilities [rows, classes] in nats.

        Args:
            rows: As they were read from a file, or prepared.
            warn: Whether to say what is odd about them.

        Raises:
            UserError: A column is absent, or a cell is not what its column needs.
        """
        cells = self.preprocessing.read(rows)
        if warn:
            remarks.warn(self.preprocessing, cells, rows)
        return self.of_inputs(self.preprocessing.inputs(cells))

    @torch.inference_mode()
    def of_inputs(self, inputs: NDArray[np.float32]) -> NDArray[np.float64]:
        """[rows, *in_shape] prepared inputs -> log-probabilities [rows, classes] in nats."""
        answers = [
            self.network(part) for part in torch.split(torch.from_numpy(inputs), ROWS_AT_ONCE)
        ]
        values: NDArray[np.float64] = torch.cat(answers).numpy()
        return values

    def predict_proba(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Raw rows -> a column of probabilities for each class, indexed as the rows are.

        Raises:
            UserError: The rows are no such table, or what they say is lost; it says how to read
                them.
        """
        self.preprocessing.schema.check_raw(rows)
        return self.probabilities(rows)

    def probabilities(self, rows: pd.DataFrame) -> pd.DataFrame:
        """What `predict_proba` gives, of rows that may be prepared ones."""
        probabilities = np.exp(self.log_probabilities(rows, warn=True))
        return pd.DataFrame(probabilities, index=rows.index, columns=self._classes)
