"""A trained model in a folder: saved without pickle, loaded to answer for raw rows."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from meddistill.data.preprocessing import PREPROCESSING, Preprocessing
from meddistill.data.schema import Schema
from meddistill.errors import UserError
from meddistill.files.atomic import write_atomically
from meddistill.files.model_files import read_regular
from meddistill.inference.card import CARD, ESTIMATOR, PARTS, SCORES, SEVERAL, Card
from meddistill.inference.card_checks import read_card
from meddistill.inference.estimator import EstimatorAnswers, NoAnswers, tempered
from meddistill.inference.estimator_file import load_estimator
from meddistill.inference.folder_networks import folder_network, read_weights
from meddistill.inference.known_rows import KNOWN_ROWS

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
            self.preprocessing.warn(cells, rows)
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


def copy_model(card: Card, source: Path, folder: Path) -> None:
    """Copy a model's files, and which rows it has seen, from one folder to another.

    Raises:
        UserError: A file lies outside the folder, or is none.
    """
    known = [KNOWN_ROWS] if (source / KNOWN_ROWS).exists() else []
    try:
        for name in (*card.files, *known):
            write_atomically(folder / name, read_regular(source, name))
    except ValueError as error:
        raise UserError(f"{source} can't be copied: {error}") from error


def load_model(folder: str | Path, trust: Iterable[str] = ()) -> Model:
    """The model of a run folder (of a student or a teacher), on the CPU.

    The folder may come from anywhere. Nothing is unpickled: weights load with `weights_only`,
    estimators by a list of types, preprocessing is JSON. No class is imported but meddistill's own
    networks and those that `trust` names, and no file is read that lies outside the folder.

    Args:
        folder: The model's folder.
        trust: Networks of your own that it may name, such as `["mypackage.nets.Wide"]`.

    Raises:
        UserError: The folder holds no finished model, names a class that nobody trusts, or its
            files don't fit together.
    """
    folder, trust = Path(folder), list(trust)
    if not folder.exists():
        raise UserError(f"{folder}: there is no such folder (it is looked for from where you are)")
    try:
        card = read_card(folder)
        preprocessing = Preprocessing.load(folder / PREPROCESSING, Schema.from_dict(card.schema))
        if card.kind == SEVERAL:
            return _mixed(card, folder, preprocessing, trust)
        network = _answering(card, folder, trust)
        model = Model(card, network, preprocessing)
        _check_answer(model)
    except UserError:
        raise
    except (
        OSError, ValueError, TypeError, RuntimeError, KeyError, AttributeError, MemoryError,
        zipfile.BadZipFile,
    ) as error:  # fmt: skip
        raise UserError(f"{folder} holds no finished model: {error}") from error
    return model


def _mixed(card: Card, folder: Path, preprocessing: Preprocessing, trust: list[str]) -> Model:
    """Several models, each in a folder of its own below."""
    from meddistill.inference.mixture import MixedModel, part_folder

    parts = {}
    for name in card.network["weights"]:
        read_regular(folder, f"{PARTS}/{name}/{CARD}")  # the way there leads through no link
        parts[name] = load_model(part_folder(folder, name), trust)
        if parts[name].card.classes != card.classes:
            raise ValueError(f"its part '{name}' has other classes")
    return MixedModel(card, preprocessing, parts)


def _answering(card: Card, folder: Path, trust: list[str]) -> nn.Module:
    """What turns inputs into log-probabilities."""
    if card.kind == ESTIMATOR:
        content = read_regular(folder, card.checkpoints[0])
        return EstimatorAnswers(
            load_estimator(content, card.checkpoints[0]), card.clamp, len(card.classes),
            card.columns, card.temperature,
        )  # fmt: skip
    if card.kind == SCORES:
        return NoAnswers()
    members = []
    for name in card.checkpoints:
        weights = read_weights(read_regular(folder, name), name)
        shape = card.in_shape, len(card.classes)
        members.append(folder_network(card.network, *shape, weights, trust))
    return MeanOfProbabilities(members, card.temperature)


@torch.no_grad()
def _check_answer(model: Model) -> None:
    """Refuse a model whose parts don't fit together: one empty row must get finite answers."""
    if isinstance(model.network, NoAnswers):
        return
    schema = model.preprocessing.schema
    row = pd.DataFrame([[None] * len(schema.columns)], columns=schema.columns, dtype=object)
    answers = model.log_probabilities(row)
    if answers.shape != (1, len(model.card.classes)) or not np.isfinite(answers).all():
        raise ValueError(f"its files don't fit together: it answers {answers.tolist()!r:.80}")


def predict(folder: str | Path, rows: pd.DataFrame, trust: Iterable[str] = ()) -> pd.DataFrame:
    """Load the model of a run folder and answer for raw rows: a column of probabilities a class.

    Args:
        folder: As for `load_model`.
        rows: [rows] raw ones, with at least the columns that the model was trained with.
        trust: As for `load_model`.
    """
    return load_model(folder, trust).predict_proba(rows)
