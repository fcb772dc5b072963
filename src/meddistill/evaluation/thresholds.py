"""The probability from which a row is called positive: as it is given, or chosen on other rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddistill.errors import SettingError, number
from meddistill.measures import HALF

Numbers = NDArray[np.float64]
Marks = NDArray[np.bool_]
WORDS = {
    "prevalence": "the share of positive validation rows",
    "youden": "the score with the best sensitivity + specificity on validation rows (Youden 1950)",
}
"""Rules without a number, as the end of a sentence."""
WAYS = "must be a number above 0 and at most 1, prevalence, youden, sensitivity:0.95 or cost:5"

FEW = 20
"""Rows of a class below which a share of them has a Wilson interval of up to 0.4 and more."""


@dataclass(frozen=True)
class Rule:
    """What `threshold` asks for.

    Attributes:
        given: As it is typed.
        fixed: The threshold, where no row decides it.
        least: Of `sensitivity:`, the sensitivity.
        words: What it is, for notes of a report.
    """

    given: float | str
    words: str
    fixed: float | None = None
    least: float | None = None

    @property
    def while_training(self) -> float:
        """What is followed in each epoch is called by."""
        return HALF if self.fixed is None else self.fixed

    @property
    def is_number(self) -> bool:
        """Whether it was given as the threshold itself."""
        return not isinstance(self.given, str)

    def __call__(self, probabilities: Numbers, target: NDArray[np.int64]) -> float:
        """The threshold by labelled rows that nothing was fitted to, and no test rows.

        Args:
            probabilities: [rows, classes].
            target: [rows] class numbers.
        """
        if self.fixed is not None:
            return self.fixed
        score, positive = probabilities[:, -1], target == probabilities.shape[1] - 1
        if not np.isfinite(score).all():
            return HALF  # of a student that diverged nothing is called right
        if self.least is not None:
            return _with_sensitivity(score, positive, self.least)
        chosen = _youden(score, positive) if self.given == "youden" else float(positive.mean())
        return float(np.clip(chosen, np.finfo(np.float32).tiny, 1))

    def check(self, target: NDArray[np.int64]) -> str | None:
        """What is to be said of rows by which a threshold is chosen; None where nothing is.

        Raises:
            SettingError: They can't decide it.
        """
        if self.fixed is not None:
            return None
        positives = int((target == 1).sum())
        if not 0 < positives < len(target):
            mend = "the labelled validation rows, which choose it, are all of one class"
            raise SettingError("threshold", self.given, f"{mend}: give it a number")
        if self.least is None:
            return self._few(positives, len(target) - positives)
        from meddistill.evaluation.calibration import wilson  # a finished run is shown without it

        low = float(wilson(np.ones(1), np.array([positives]))[0][0])
        if low >= self.least:
            return None
        return (
            f"threshold={self.given}: {positives} positive validation rows are too few to promise "
            f"it: had all of them been found, the sensitivity could still be {low:.2f}"
        )

    def _few(self, positives: int, negatives: int) -> str | None:
        """What is to be said of a rule without a number of its own, chosen by few rows."""
        if min(positives, negatives) >= FEW:
            return None
        which = "positive" if positives < FEW else "negative"
        return (
            f"threshold={self.given}: the validation rows have {min(positives, negatives)} {which} "
            "ones, too few to choose it well: others of the same patients could give quite another"
        )


def rule_of(value: Any, key: str = "threshold") -> Rule:
    """The rule of a setting.

    Raises:
        SettingError: It is none.
    """
    if not isinstance(value, str):
        fixed = number(key, value, above=0, at_most=1)
        return Rule(fixed, f"at {fixed:g} or above", fixed)
    name, colon, argument = value.partition(":")
    if not colon and name in WORDS:
        return Rule(value, f"at or above {WORDS[name]}")
    if not colon or name not in ARGUMENTS:
        raise SettingError(key, value, WAYS)
    try:
        return ARGUMENTS[name](value, float(argument))
    except ValueError:
        raise SettingError(key, value, WAYS) from None


def as_given(cell: Any) -> float | str:
    """A setting from a cell of a table, where numbers may be text."""
    try:
        return float(cell)
    except ValueError:
        return str(cell)


def _of_sensitivity(given: str, least: float) -> Rule:
    if not 0 < least <= 1:
        raise SettingError("threshold", given, "a sensitivity is above 0 and at most 1")
    words = f"at or above the highest score that finds {least:.0%} of positive validation rows"
    return Rule(given, words, least=least)


def _of_cost(given: str, cost: float) -> Rule:
    if not 0 < cost < np.inf:
        raise SettingError("threshold", given, "a cost is above 0")
    fixed = 1 / (1 + cost)
    return Rule(
        given, f"at {fixed:.4g} or above, as a missed positive costs {cost:g} false alarms", fixed
    )


ARGUMENTS: dict[str, Callable[[str, float], Rule]] = {
    "sensitivity": _of_sensitivity,
    "cost": _of_cost,
}
"""By the name of a rule with a number, what makes it."""


def _with_sensitivity(score: Numbers, positive: Marks, least: float) -> float:
    """The highest threshold at which at least that share of positive rows is found."""
    found = np.sort(score[positive])[::-1]
    return float(found[int(np.ceil(least * len(found) - 1e-9)) - 1])


def _youden(score: Numbers, positive: Marks) -> float:
    """The score with the best sensitivity + specificity - 1, the highest of equals."""
    from sklearn.metrics import roc_curve  # likewise

    false, true, thresholds = roc_curve(positive, score, drop_intermediate=False)
    return float(thresholds[1:][np.argmax((true - false)[1:])])


def called_at(score: Numbers, positive: Marks, threshold: float) -> dict[str, tuple[int, int]]:
    """Counts of which sensitivity, specificity and predictive values are shares: hits, of how many.

    Args:
        score: [rows] probability of the positive class.
        positive: [rows].
        threshold: From which a row is called positive.
    """
    called = score >= threshold
    hits, rejected = int((called & positive).sum()), int((~called & ~positive).sum())
    return {
        "sensitivity": (hits, int(positive.sum())),
        "specificity": (rejected, int((~positive).sum())),
        "ppv": (hits, int(called.sum())),
        "npv": (rejected, int((~called).sum())),
    }
