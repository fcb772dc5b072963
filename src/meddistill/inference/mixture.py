"""Several models that answer as one: a weighted mean of their probabilities, or of their logits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import log_softmax, logsumexp

from meddistill.data.preprocessing import Preprocessing
from meddistill.data.records import Records
from meddistill.inference.card import PARTS, Card
from meddistill.inference.model import Model, Numbers, together


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
        super().__init__(card, preprocessing)
        self.by_name = dict(parts)
        self.answers_new_rows = all(part.answers_new_rows for part in parts.values())

    @property
    def num_parameters(self) -> int:
        """Of all parts."""
        return sum(part.num_parameters for part in self.by_name.values())

    def parts(self) -> list[Model]:
        """The models it is made of; none where one is only a file of scores."""
        models = list(self.by_name.values())
        return models if len(models) > 1 and self.answers_new_rows else []

    def prepare(self, records: Records) -> dict[str, Any]:
        """By name what each part's `answer` takes."""
        return {
            name: part.prepare(part.preprocessing.read(records))
            for name, part in self.by_name.items()
        }

    def answer(self, prepared: Mapping[str, Any]) -> Numbers:
        """Prepared rows -> log-probabilities [rows, classes] in nats."""
        return self.mixed({name: self.by_name[name].answer(own) for name, own in prepared.items()})

    def mixed(self, answers: Mapping[str, Numbers]) -> Numbers:
        """[rows, classes] log-probabilities from those of each part by name."""
        weights = [self.card.network["weights"][name] for name in answers]
        return mix(list(answers.values()), weights, self.card.network["average"])

    def size(self) -> dict[str, Any]:
        """Of all parts, which are asked one after the other."""
        return together([part.size() for part in self.by_name.values()])
