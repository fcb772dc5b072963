"""A trained model in a folder: saved without pickle, loaded to answer for raw rows."""

from __future__ import annotations

import math
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from meddistill.card import ESTIMATOR, SCORES, SEVERAL, Card
from meddistill.compose import build_network
from meddistill.data.cohort import Cohort
from meddistill.data.preprocessing import Preprocessing
from meddistill.data.schema import Schema
from meddistill.errors import UserError
from meddistill.estimator import EstimatorAnswers, NoAnswers, tempered
from meddistill.estimator_file import load_estimator
from meddistill.files import read_json
from meddistill.training.checkpoints import load_weights

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
        answers = torch.stack([net(inputs).to(dtype).log_softmax(dim=-1) for net in self.members])
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

    @torch.no_grad()
    def log_probabilities(self, rows: pd.DataFrame) -> NDArray[np.float64]:
        """Raw rows -> log-probabilities [rows, classes] in nats.

        Raises:
            UserError: A column is absent, or text stands where a number must.
        """
        inputs = torch.from_numpy(self.preprocessing(rows))
        answers = [self.network(part) for part in torch.split(inputs, ROWS_AT_ONCE)]
        values: NDArray[np.float64] = torch.cat(answers).numpy()
        return values

    def predict_proba(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Raw rows -> a column of probabilities for each class, indexed as the rows are."""
        probabilities = np.exp(self.log_probabilities(rows))
        return pd.DataFrame(probabilities, index=rows.index, columns=self.card.classes)

    def seen(self, cohort: Cohort, positions: NDArray[np.int64]) -> list[str]:
        """Keys of those rows of `cohort` that the model was trained or validated on."""
        trained_on = set(self.card.trained_on)
        return [cohort.keys[row] for row in positions if cohort.keys[row] in trained_on]


def copy_model(card: Card, source: Path, folder: Path) -> None:
    """Copy a model's files from one folder to another."""
    for name in card.files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, folder / name)


def load_model(folder: str | Path) -> Model:
    """The model of a run folder (of a student or a teacher), on the CPU.

    Nothing is unpickled: weights load with `weights_only`, preprocessing with skops, and the
    network's class must be a `torch.nn.Module`.

    Raises:
        UserError: The folder holds no finished model, or its files don't fit together.
    """
    folder = Path(folder)
    try:
        card = Card(**read_json(folder / "model.json"))
        preprocessing = Preprocessing.load(
            folder / "preprocessing.skops", Schema.from_dict(card.schema)
        )
        if card.kind == SEVERAL:
            return _mixed(card, folder, preprocessing)
        network = _answering(card, folder)
    except (
        OSError, ValueError, TypeError, RuntimeError, KeyError, zipfile.BadZipFile,
    ) as error:  # fmt: skip
        raise UserError(f"{folder} holds no finished model: {error}") from error
    return Model(card, network, preprocessing)


def _mixed(card: Card, folder: Path, preprocessing: Preprocessing) -> Model:
    """Several models, each in a folder of its own below."""
    from meddistill.mixture import MixedModel, part_folder

    names = list(card.network["weights"])
    parts = {name: load_model(part_folder(folder, name)) for name in names}
    return MixedModel(card, preprocessing, parts)


def _answering(card: Card, folder: Path) -> nn.Module:
    """What turns inputs into log-probabilities."""
    if card.kind == ESTIMATOR:
        return EstimatorAnswers(
            load_estimator(folder / card.checkpoints[0]), card.clamp, len(card.classes),
            card.columns, card.temperature,
        )  # fmt: skip
    if card.kind == SCORES:
        return NoAnswers()
    members = []
    for checkpoint in card.checkpoints:
        network = build_network(card.network, "model", card.in_shape, len(card.classes), seed=0)
        load_weights(network, folder / checkpoint)
        members.append(network)
    return MeanOfProbabilities(members, card.temperature)


def predict(folder: str | Path, rows: pd.DataFrame) -> pd.DataFrame:
    """Load the model of a run folder and answer for raw rows: a column of probabilities a class."""
    return load_model(folder).predict_proba(rows)
