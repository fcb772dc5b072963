"""A trained model: from raw rows to probabilities, whatever answers."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from meddistill.data.preprocessing import Preprocessing
from meddistill.data.records import Records
from meddistill.inference.card import Card
from meddistill.measures import BENT, HALF

log = logging.getLogger(__name__)
Numbers = NDArray[np.float64]
DECISION = "decision"
"""The column of the class that a row is called."""


class Model(ABC):
    """A trained model that answers for raw rows.

    Args:
        card: What it is.
        preprocessing: Raw rows -> inputs.
    """

    answers_new_rows = True
    """Whether it can answer for rows that are not those it came with."""

    def __init__(self, card: Card, preprocessing: Preprocessing) -> None:
        self.card, self.preprocessing = card, preprocessing
        self._classes = pd.Index(card.classes)  # made anew it takes longer than a small network
        self._said_bent = False

    @property
    @abstractmethod
    def num_parameters(self) -> int:
        """Trained numbers, over all members; of trees their nodes; 0 where nobody can count."""

    def parts(self) -> Sequence[Model]:
        """The models whose mean it is: an ensemble's networks, a forest's trees; none of one."""
        return []

    def pruned(self) -> Sequence[Model]:
        """Smaller models within it: small forests of a forest's trees, the parts of another."""
        return self.parts()

    @property
    def frozen(self) -> nn.Module | None:
        """The network that can be asked in every step of a student; None where there is none."""
        return None

    @abstractmethod
    def prepare(self, records: Records) -> Any:
        """Rows as its preprocessing has read them -> what `answer` takes."""

    @abstractmethod
    def answer(self, prepared: Any) -> Numbers:
        """Prepared rows -> log-probabilities [rows, classes] in nats."""

    @abstractmethod
    def size(self) -> dict[str, Any]:
        """Its `parameters`, `bytes` and `multiply_adds` for a row; empty where nobody knows."""

    def log_probabilities(self, raw: Any, warn: bool = False) -> Numbers:
        """Raw rows -> log-probabilities [rows, classes] in nats.

        Args:
            raw: As they were read from a file, or a cohort's.
            warn: Whether to say what is odd about them.

        Raises:
            UserError: They are not what the model was trained with.
        """
        records = self.preprocessing.read(raw)
        if warn:
            self.preprocessing.warn(records)
        return self.of_records(records)

    def of_records(self, records: Records) -> Numbers:
        """The same of rows that its preprocessing has read."""
        if records.in_memory:
            return self.answer(self.prepare(records))
        size = self.preprocessing.evaluation_rows
        parts = np.split(np.arange(len(records)), range(size, len(records), size))
        return np.concatenate([self.answer(self.prepare(records.take(part))) for part in parts])

    def predict_proba(self, raw: Any) -> pd.DataFrame:
        """Raw rows -> a column of probabilities for each class, indexed as the rows are.

        Raises:
            UserError: The rows are not what the model was trained with, or what they say is lost;
                it says how to read them.
        """
        self.preprocessing.check_raw(raw)
        if self.card.bent and not self._said_bent:
            self._said_bent = True
            log.warning("the model: %s", BENT)
        return self.probabilities(raw)

    def predict(self, raw: Any) -> pd.Series[Any]:
        """Raw rows -> the class that each is called, indexed as the rows are.

        Of two classes the positive one from the model's threshold on, of more the likeliest.

        Raises:
            UserError: As `predict_proba`.
        """
        return self.called(self.predict_proba(raw))

    def called(self, probabilities: pd.DataFrame) -> pd.Series[Any]:
        """The class that each row of `predict_proba` is called."""
        values = probabilities.to_numpy()
        if len(self.card.classes) == 2:
            threshold = HALF if self.card.threshold is None else self.card.threshold
            places = (values[:, 1] >= threshold).astype(np.int64)
        else:
            places = values.argmax(axis=1)
        names = np.array(self.card.classes, dtype=object)
        return pd.Series(names[places], index=probabilities.index, name=DECISION)

    def probabilities(self, raw: Any) -> pd.DataFrame:
        """What `predict_proba` gives, of rows that may be prepared ones."""
        records = self.preprocessing.read(raw)
        self.preprocessing.warn(records)
        probabilities = np.exp(self.of_records(records))
        return pd.DataFrame(probabilities, index=records.index, columns=self._classes)


class PreparedModel(Model):
    """A model that answers by a single module from its own inputs.

    Args:
        card: What it is.
        network: Inputs [rows, *in_shape] -> log-probabilities.
        preprocessing: Raw rows -> inputs.
    """

    def __init__(self, card: Card, network: nn.Module, preprocessing: Preprocessing) -> None:
        super().__init__(card, preprocessing)
        self.network = network.eval()

    def prepare(self, records: Records) -> NDArray[Any]:
        """[rows, ...] inputs as they lie in memory."""
        return self.preprocessing(records)

    @torch.inference_mode()
    def answer(self, prepared: NDArray[Any]) -> Numbers:
        """[rows, ...] inputs as they lie in memory -> log-probabilities [rows, classes] in nats."""
        parts = torch.split(torch.from_numpy(prepared), self.preprocessing.evaluation_rows)
        answers = [self.network(self.preprocessing.front(part)) for part in parts]
        values: Numbers = torch.cat(answers).numpy()
        return values


def together(sizes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Sizes of models that are asked one after the other; empty where one is."""
    if not all(sizes):
        return {}
    found: dict[str, Any] = {}
    for key in ("parameters", "bytes", "multiply_adds"):
        values = [size[key] for size in sizes]
        known = [value for value in values if value is not None]
        found[key] = sum(known) if len(known) == len(values) else None
    return found
