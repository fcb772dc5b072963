"""What a model's folder says of it: `model.json`, by which its other files are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meddistill.data.preprocessing import PREPROCESSING
from meddistill.files.atomic import write_json
from meddistill.measures import HALF

if TYPE_CHECKING:  # a model answers without Lightning
    from torch import nn

    from meddistill.data.datamodule import CohortDataModule

NETWORK, ESTIMATOR, SCORES, SEVERAL = "network", "estimator", "scores", "several"
AVERAGES = ("probabilities", "logits")
"""How several models are mixed."""
CARD = "model.json"
PARTS = "parts"
"""Where the models of several lie, each in a folder by its name."""
SINCE = ("shift", "threshold", "bent")
"""Values that earlier versions did not have; an empty one is what they did."""
OUT_OF_FOLD = "out_of_fold.parquet"
"""Answers for rows that the model was fitted on, by models that were not."""


@dataclass(frozen=True)
class Card:
    """What a folder's checkpoints need to answer again.

    Attributes:
        network: Config node of the network, the same for every member; of several models their
            weights and how they are averaged; none of an estimator.
        checkpoints: Weights of each member, the estimator, or all files of several models, relative
            to the folder; none of scores.
        classes: Class names; with two, the last is positive.
        schema: How raw rows are read: of a table its columns by role.
        in_shape: Shape of one row's inputs.
        kind: What answers: networks, a scikit-learn estimator, several models, or nothing (a file
            of scores).
        clamp: Lowest probability that an estimator answers, before it is tempered.
        temperature: Divides the log-probabilities before they are normalised again.
        columns: Class number of each of an estimator's columns; none is every class in order.
        threshold: Probability from which a row is called positive; None is the usual half, and what
            more than two classes have.
        records: The kind of raw rows: `tables`, `images`, `series`.
        shift: [classes] by which an estimator's log-probabilities are bent, as weighed rows bend
            them: it is taken out of them before they are tempered; none is by nothing.
        bent: [classes] by which a network's log-probabilities are bent away from the true prior, as
            nobody wanted them brought back; it stays in them, and none is by nothing.
        out_of_fold: Whether the folder holds out-of-fold answers for the rows it was fitted on.
    """

    network: dict[str, Any]
    checkpoints: list[str]
    classes: list[str]
    schema: dict[str, Any]
    in_shape: list[int]
    kind: str = NETWORK
    clamp: float = 0.0
    temperature: float = 1.0
    columns: list[int] = field(default_factory=list)
    shift: list[float] = field(default_factory=list)
    out_of_fold: bool = False
    records: str = "tables"
    threshold: float | None = None
    bent: list[float] = field(default_factory=list)

    @property
    def files(self) -> list[str]:
        """The files that make up the model, relative to its folder."""
        more = [OUT_OF_FOLD] if self.out_of_fold else []
        return [CARD, PREPROCESSING, *self.checkpoints, *more]

    def deciding(self, threshold: float | str, judged: Mapping[str, Any]) -> Card:
        """The same with the threshold of a run, if it is not the usual one.

        Args:
            threshold: As it was set.
            judged: The model's measures; what was chosen on validation rows stands in them.
        """
        chosen = judged.get("threshold", threshold)
        return self if chosen == HALF else replace(self, threshold=float(chosen))

    def treated(self, said: Mapping[str, Any]) -> Card:
        """The same of a network whose classes were out of balance.

        Args:
            said: What was done, as a run's metrics have it; empty where that is nothing.
        """
        left = said.get("left", [])
        bent = [*left] if any(left) else []
        return replace(self, temperature=said.get("temperature", self.temperature), bent=bent)

    @staticmethod
    def of(
        network: Mapping[str, Any],
        checkpoints: Sequence[str],
        data: CohortDataModule,
        kind: str = NETWORK,
        clamp: float = 0.0,
    ) -> Card:
        """The card of a model trained on `data`."""
        return Card(
            network=dict(network),
            checkpoints=list(checkpoints),
            classes=list(data.cohort.classes),
            schema=data.records.spec,
            records=data.records.kind,
            in_shape=list(data.in_shape),
            kind=kind,
            clamp=clamp,
        )


def without_files(node: Mapping[str, Any], network: nn.Module) -> dict[str, Any]:
    """A network's config node as a model's folder holds it, which names no file to read.

    A network that is made of files says in `plain` what settings stand in their place.
    """
    return {**node, **getattr(network, "plain", {})}


def save_card(folder: Path, card: Card) -> None:
    """Write `model.json`."""
    write_json(folder / CARD, card_values(card))


def card_values(card: Card) -> dict[str, Any]:
    """A card as plain values; what versions without it did is left out."""
    values = asdict(card)
    return {k: value for k, value in values.items() if value not in ([], None) or k not in SINCE}
