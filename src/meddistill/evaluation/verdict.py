"""What a paired comparison over repeated splits says, and what would settle it where it doesn't.

The interval is that of the corrected resampled t-test (Nadeau and Bengio 2003, Machine Learning 52,
239-281). The rule, in this order: NO DIFFERENCE when the whole interval lies inside the margin of
practical equivalence; BETTER or WORSE when it excludes zero; INCONCLUSIVE otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from meddistill.evaluation.resampling import LEVEL, estimate, paired_p

BETTER, WORSE, SAME, OPEN = "BETTER", "WORSE", "NO DIFFERENCE", "INCONCLUSIVE"
MOST_REPEATS = 1000
NAMES = {
    "auroc": "AUROC",
    "log_loss": "log loss",
    "brier": "Brier score",
    "calibration_error": "calibration error",
    "average_precision": "average precision",
}


@dataclass(frozen=True)
class Verdict:
    """A paired difference, judged.

    Attributes:
        mean: Mean difference over splits, arm minus baseline.
        low: Lower end of its 95 % interval.
        high: Upper end.
        p: Two-sided p of no difference.
        repeats: Number of splits it is over.
        word: BETTER, WORSE, NO DIFFERENCE or INCONCLUSIVE.
        repeats_needed: Splits in all that would settle an inconclusive one, if mean and spread
            stayed as they are; None where more splits would not.
        patients_needed: By what factor the patients would have to be more where more splits would
            not: the correction leaves sqrt(test rows / training rows) of the spread however many
            splits there are, and the spread falls as 1 / sqrt(patients), roughly.
    """

    mean: float
    low: float
    high: float
    p: float
    repeats: int
    word: str
    repeats_needed: int | None = None
    patients_needed: float | None = None


def judge_differences(
    differences: NDArray[np.float64],
    ratio: float,
    lower_is_better: bool,
    margin: float,
    largest: float = math.inf,
) -> Verdict:
    """The verdict on one measure.

    Args:
        differences: [splits] arm minus baseline; NaN where one is undefined.
        ratio: Test rows over training rows.
        lower_is_better: Which way the measure is better.
        margin: Of practical equivalence, in units of the measure, at least 0.
        largest: How far two values of the measure can differ; the interval ends there.
    """
    found = estimate(differences, ratio, largest)
    p = float(paired_p(differences[None], ratio)[0])
    if found.count < 2:
        return Verdict(found.mean, math.nan, math.nan, p, found.count, OPEN)
    word = _word(found.low, found.high, p, lower_is_better, margin)
    if word != OPEN:
        return Verdict(found.mean, found.low, found.high, p, found.count, word)
    spread = found.error / math.sqrt(1 / found.count + ratio)
    settles = _settles(found.mean, spread, ratio, margin, found.count)
    return Verdict(found.mean, found.low, found.high, p, found.count, word, *settles)


def _word(low: float, high: float, p: float, lower_is_better: bool, margin: float) -> str:
    if low >= -margin and high <= margin:
        return SAME
    # Equal differences make an interval of no width; the sign test stands in for it.
    if low <= 0 <= high or (low == high and p > LEVEL):
        return OPEN
    return BETTER if (high < 0) == lower_is_better else WORSE


def _settles(
    mean: float, spread: float, ratio: float, margin: float, count: int
) -> tuple[int | None, float | None]:
    """Splits in all, or else the factor of patients, at which the interval would decide."""
    enough = max(abs(mean), margin - abs(mean))
    for repeats in range(count + 1, MOST_REPEATS + 1):
        width = float(stdtrit(repeats - 1, 1 - LEVEL / 2)) * math.sqrt(1 / repeats + ratio)
        if width * spread < enough:
            return repeats, None
    floor = float(ndtri(1 - LEVEL / 2)) * math.sqrt(ratio) * spread
    return None, _rounded_up((floor / enough) ** 2) if enough > 0 else None


def _rounded_up(value: float) -> float:
    """Up to one significant digit, and 2 at least: it is a rough number."""
    unit = 10.0 ** math.floor(math.log10(max(value, 1.0)))
    return max(2.0, math.ceil(value / unit) * unit)


def sentence(verdict: Verdict, arm: str, baseline: str, measure: str, margin: float) -> str:
    """The verdict in words, for who reads no tables."""
    name = NAMES.get(measure, measure.replace("_", " "))
    interval = f"95 % interval {verdict.low:+.3f} to {verdict.high:+.3f}"
    if verdict.word == SAME:
        return (
            f"By {name}, the {arm} is as good as the {baseline}: any difference is smaller than "
            f"the {margin:g} that would matter ({verdict.mean:+.3f}, {interval})."
        )
    if verdict.word in (BETTER, WORSE):
        how = "higher" if verdict.mean > 0 else "lower"
        return (
            f"By {name}, the {arm} is {verdict.word.lower()} than the {baseline}: "
            f"{abs(verdict.mean):.3f} {how} ({interval})."
        )
    if verdict.low != verdict.low:
        return f"By {name}, nothing can be said: fewer than two splits have a value."
    return (
        f"By {name}, these data do not tell whether the {arm} differs from the {baseline} "
        f"({verdict.mean:+.3f}, {interval}). {_settled_by(verdict)}"
    )


def bottom_line(words: Sequence[str], pair: tuple[str, str] | None = None) -> str:
    """What the verdicts on all measures come to, in one line.

    Args:
        words: Of the verdicts.
        pair: The arm and its baseline where they are no distilled student and the same one alone.
    """
    found = set(words)
    if pair is not None:
        return _line_of_pair(found, *pair)
    if {WORSE, BETTER} <= found:
        return "Distillation helped by one measure and did harm by another."
    if WORSE in found:
        return "Distillation did harm here."
    if BETTER in found:
        return "Distillation was worth it here."
    if found == {SAME}:
        return "Distillation was not needed here: the student does as well without a teacher."
    if SAME in found:
        return "Distillation showed no gain here; one measure is not settled."
    return "These data do not settle whether distillation is worth it here."


def _line_of_pair(words: set[str], arm: str, baseline: str) -> str:
    if {WORSE, BETTER} <= words:
        return f"The {arm} is better than the {baseline} by one measure and worse by another."
    for word in (WORSE, BETTER):
        if word in words:
            return f"The {arm} is {word.lower()} than the {baseline} here."
    if words == {SAME}:
        return f"The {arm} is as good as the {baseline} here."
    if SAME in words:
        return f"The {arm} shows no gain over the {baseline} here; one measure is not settled."
    return f"These data do not settle whether the {arm} is better than the {baseline} here."


def _settled_by(verdict: Verdict) -> str:
    if verdict.repeats_needed is not None:
        return f"About {verdict.repeats_needed} splits in all would settle it."
    if verdict.patients_needed is not None:
        return (
            "More splits of the same patients would not settle it; about "
            f"{verdict.patients_needed:g} times as many patients might."
        )
    return "More splits of the same patients would not settle it, nor any number to be named."
