"""Several models that answer as one: a weighted mean of their probabilities, or of their logits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import log_softmax, logsumexp

from meddistill.data import remarks
from meddistill.data.preprocessing import Preprocessing
from meddistill.inference.card import PARTS, Card
from meddistill.inference.estimator import NoAnswers
from meddistill.inference.model import Model

Numbers = NDArray[np.float64]


def part_folder(folder: Path, name: str) -> Path:
    """Where the part `name` of the mixture in `folder` lies."""
    return folder / PARTS / name


def mix(answers: Sequence[Numbers], weights: Sequence[float], average: str) -> Numbers:
    """[rows, classes] log-probabilities of a mixture, in nats.

    The mean of probabilities is a vote in which a class lives while one part believes in it; the
    mean of logits, normalised, is a product in which one part can rule it out (the linear and the
    logarithmic pool of opinions: Genest and Zidek 1986, Statistical Science 1).

    Args:
        answers: [rows, classes] log-probabilities of each part.
        weights: Of each part; together 1.
        average: `probabilities` or `logits`.
    """
    stacked, share = np.stack(answers), np.asarray(weights)[:, None, None]
    if average == "probabilities":
        pooled: Numbers = logsumexp(stacked, b=share, axis=0)
        return pooled
    product: Numbers = log_softmax((share * stacked).sum(axis=0), axis=1)
    return product


class MixedModel(Model):
    """Models of one set of classes, each with its own preprocessing, mixed by `card.network`.

    Args:
        card: Of the mixture.
        preprocessing: Of the mixture's folder; each part has its own.
        parts: The models by name.
    """

    def __init__(
        self, card: Card, preprocessing: Preprocessing, parts: Mapping[str, Model]
    ) -> None:
        super().__init__(card, NoAnswers(), preprocessing)
        self.by_name = dict(parts)

    @property
    def num_parameters(self) -> int:
        """Of all parts."""
        return sum(part.num_parameters for part in self.by_name.values())

    def parts(self) -> list[Model]:
        """The models it is made of; none where one is only a file of scores."""
        models = list(self.by_name.values())
        return models if len(models) > 1 and all(map(answers_anew, models)) else []

    def log_probabilities(self, rows: pd.DataFrame, warn: bool = False) -> Numbers:
        """Raw rows -> log-probabilities [rows, classes] in nats."""
        if warn:
            remarks.warn(self.preprocessing, self.preprocessing.read(rows), rows)
        return self.mixed({n: part.log_probabilities(rows) for n, part in self.by_name.items()})

    def mixed(self, answers: Mapping[str, Numbers]) -> Numbers:
        """[rows, classes] log-probabilities from those of each part by name."""
        weights = [self.card.network["weights"][name] for name in answers]
        return mix(list(answers.values()), weights, self.card.network["average"])


def answers_anew(model: Model) -> bool:
    """Whether a model can answer for new rows."""
    return isinstance(model, MixedModel) or not isinstance(model.network, NoAnswers)
