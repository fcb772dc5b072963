"""What is done about classes out of balance, and what that is in numbers for the rows at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddistill.config.compose import build
from meddistill.config.nearest import nearest
from meddistill.data.datamodule import CohortDataModule
from meddistill.errors import SettingError, listed, number

Numbers = NDArray[np.float64]
NOT_ADJUSTED = (
    "adjusted logits that are brought back to the true prior are those of cross-entropy, exactly: "
    "take imbalance=none for these"
)

BENT_TEACHER = (
    "a teacher's answers are always brought back to the true prior, since students learn from "
    "them: leave it out"
)


@dataclass(frozen=True)
class Treatment:
    """A way to treat an imbalance, for rows with certain numbers of each class.

    Labels that are weighed, or drawn in balance, are those of another prior: a network that fits
    them answers `p'_k`, in proportion to `p_k exp(bend_k)` of the true prior's `p_k` (Elkan 2001;
    Saerens et al. 2002, doi:10.1162/089976602753284446). All numbers are natural logarithms of such
    factors, up to a constant.

    Attributes:
        weight: [classes] how much a row's label counts; over the labelled training rows 1 on
            average.
        bend: [classes] by which answers of one who fits the treated labels are bent.
        added: [classes] what is added to logits of the true prior before they meet a label.
        left: [classes] the bend that the network's own answers keep: zeros, unless nobody wants
            them brought back.
        gamma: Power of the focal loss; 0 is none.
        balanced: Whether batches are drawn so that classes are equally frequent.
        calibrates: Whether a temperature, fitted on validation rows, brings answers back.
    """

    weight: Numbers
    bend: Numbers
    added: Numbers
    left: Numbers
    gamma: float = 0.0
    balanced: bool = False
    calibrates: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether the labels' term is what it is without any treatment."""
        moved = (self.weight != 1).any() or self.added.any() or self.left.any()
        return not moved and self.gamma == 0

    @property
    def of_no_labels(self) -> Treatment:
        """What is left of it where nothing is taken from labels: how batches are drawn."""
        none = np.zeros(len(self.weight))
        return Treatment(none + 1, none, none, none, balanced=self.balanced)


class Imbalance:
    """A component of the group `imbalance`.

    Args:
        correct: Whether the answers are brought back to the true prior.

    Attributes:
        per_member: Settings that may differ within a stack.
        calibrates: Whether a temperature brings answers back, as no factor is known that would.
    """

    per_member: tuple[str, ...] = ()
    calibrates: bool = False

    def __init__(self, correct: bool = True) -> None:
        if not isinstance(correct, bool):
            raise SettingError("correct", correct, "must be true or false")
        self.correct = correct

    def on(self, data: CohortDataModule, key: str) -> Treatment:
        """The same for the labelled training rows of `data`, and of no others."""
        try:
            return self.treatment(data.cohort.classes, data.class_counts)
        except SettingError as error:
            raise error.under(key) from None

    def treatment(self, classes: Sequence[str], counts: NDArray[np.int64]) -> Treatment:
        """What it is for rows of which there are `counts` [classes], labelled and for training.

        Raises:
            SettingError: It names a class that is not there, or would do nothing.
        """
        raise NotImplementedError


class Weights(Imbalance):
    """A label counts by its class: inverse frequency, or what an error of the class costs.

    Args:
        cost: By class name what an error costs, above 0; a class that is not named costs 1. None
            is the inverse of the class's share.
        correct: As for `Imbalance`.
    """

    def __init__(self, cost: Mapping[str, float] | None = None, correct: bool = True) -> None:
        super().__init__(correct)
        if cost is not None and not isinstance(cost, Mapping):
            raise SettingError("cost", cost, "must name classes with their costs: {malignant: 5}")
        given = {str(name): value for name, value in (cost or {}).items()}
        self.cost = {k: number(f"cost.{k}", value, above=0) for k, value in given.items()}

    def treatment(self, classes: Sequence[str], counts: NDArray[np.int64]) -> Treatment:
        """See the base class."""
        weight = self._costs(classes) if self.cost else 1 / np.maximum(counts, 1)
        weight = weight * counts.sum() / (weight * counts).sum()
        return _weighed(weight, np.log(weight), self.correct)

    def _costs(self, classes: Sequence[str]) -> Numbers:
        for name in self.cost:
            if name not in classes:
                close = nearest(name, classes)
                mend = f"did you mean {close}?" if close else f"there are {listed(classes, 20)}"
                raise SettingError("cost", self.cost, f"there is no class {name!r}; {mend}")
        costs = np.array([self.cost.get(name, 1.0) for name in classes])
        if (costs == costs[0]).all():
            mend = "an error of every class costs the same, so nothing is weighed: take none"
            raise SettingError("cost", self.cost, mend)
        return costs


class Sampler(Imbalance):
    """Each step's labelled rows are drawn so that classes are equally frequent among them."""

    def treatment(self, classes: Sequence[str], counts: NDArray[np.int64]) -> Treatment:
        """See the base class."""
        bend = -np.log(np.maximum(counts, 1) / counts.sum())
        return _weighed(np.ones(len(counts)), bend, self.correct, balanced=True)


class Focal(Imbalance):
    """A row counts the less the surer its answer is of the label (Lin et al. 2017).

    arXiv:1708.02002. Its answers are too unsure by no known factor: they are brought back by a
    temperature that is fitted on labelled validation rows.

    Args:
        gamma: Power of the probability that is missed, above 0.
        correct: As for `Imbalance`.
    """

    per_member: tuple[str, ...] = ("gamma",)
    calibrates: bool = True

    def __init__(self, gamma: float = 2.0, correct: bool = True) -> None:
        super().__init__(correct)
        self.gamma = number("gamma", gamma, above=0)

    def treatment(self, classes: Sequence[str], counts: NDArray[np.int64]) -> Treatment:
        """See the base class."""
        none = np.zeros(len(counts))
        return Treatment(none + 1, none, none, none, self.gamma, calibrates=self.correct)


class LogitAdjustment(Imbalance):
    """Cross-entropy of logits to which tau times the log shares are added (Menon et al. 2021).

    arXiv:2007.07314. The network's own answers are bent towards balanced classes: with tau = 1 they
    are those of equal shares. Brought back, they are those of cross-entropy itself, of which
    nothing would be left to choose.

    Args:
        tau: How much of the shares is taken out of the answers, above 0.
        correct: False alone.
    """

    per_member: tuple[str, ...] = ("tau",)

    def __init__(self, tau: float = 1.0, correct: bool = False) -> None:
        super().__init__(correct)
        if correct:
            raise SettingError("correct", correct, NOT_ADJUSTED)
        self.tau = number("tau", tau, above=0)

    def treatment(self, classes: Sequence[str], counts: NDArray[np.int64]) -> Treatment:
        """See the base class."""
        none = np.zeros(len(counts))
        bend = -self.tau * np.log(np.maximum(counts, 1) / counts.sum())
        return Treatment(none + 1, bend, none, none if self.correct else bend)


def _weighed(weight: Numbers, bend: Numbers, correct: bool, balanced: bool = False) -> Treatment:
    """Labels of another prior, which bend the network's own answers unless they are corrected."""
    left = np.zeros(len(bend)) if correct else bend
    return Treatment(weight, bend, bend, left, balanced=balanced)


def build_imbalance(node: Mapping[str, Any], key: str = "imbalance") -> Imbalance | None:
    """The component of a config node; None of an empty one, which is none."""
    made: Imbalance | None = build(node, key) if node else None
    return made


def of_teacher(node: Mapping[str, Any]) -> dict[str, Any]:
    """What is left of a config node for a teacher; empty where that is nothing.

    A teacher's answers are always brought back: they are targets for answers of the true prior,
    whoever learns from them, and however these are treated themselves.

    Raises:
        SettingError: A setting is out of its range, or wants them bent.
    """
    made = build_imbalance(node)
    if made is None or isinstance(made, LogitAdjustment):
        return {}
    if not made.correct:
        raise SettingError("imbalance.correct", False, BENT_TEACHER)
    return {key: value for key, value in node.items() if key != "correct"}


def treatment_of(
    node: Mapping[str, Any], data: CohortDataModule, key: str = "imbalance"
) -> Treatment | None:
    """What a config node asks for, in numbers for the labelled training rows of `data`.

    Raises:
        SettingError: See `Imbalance.treatment`.
    """
    made = build_imbalance(node, key)
    return None if made is None else made.on(data, key)
