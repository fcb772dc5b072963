"""Which of several models the data leave in play, and which of those are shown to be as good.

A model is out when some other is shown to be better by more than the margin on some measure; it is
as good when no other can be better by more than the margins. Absence of the first is no proof of
the second. All paired differences have intervals of the corrected resampled t-test (Nadeau and
Bengio 2003) that hold at once for one model against every other on every measure (Bonferroni). So
the best need not be known beforehand, and picking it by the very results it is compared by costs
nothing: a model that is truly within the margins of all others is out in at most 2.5 of 100 trials,
as in subset selection (Gupta 1965, Technometrics 7, 225-245). That a model is as good takes all
comparisons to agree (Berger 1982, Technometrics 24, 295-300), and is said wrongly of any of them
in at most 2.5 of 100.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from meddistill.evaluation.resampling import (
    LEVEL,
    ROUNDING,
    Numbers,
    moments,
    standard_errors,
)
from meddistill.measures import largest_difference, lower_is_better


@dataclass(frozen=True)
class Standing:
    """One model against all others.

    Attributes:
        out: Whether some other is shown to be better by more than the margin.
        as_good: Whether every other is shown to be better by no more than the margins.
    """

    out: bool
    as_good: bool


def standings(
    measured: Mapping[str, Numbers], margins: Mapping[str, float], ratio: float
) -> list[Standing]:
    """Each model's standing.

    Args:
        measured: [models, splits] of each measure; NaN where one is undefined.
        margins: The difference that would matter, for each measure.
        ratio: Test rows over training rows.
    """
    found = []
    for model in range(len(next(iter(measured.values())))):
        intervals = {name: shortfalls(measured, name, model, ratio) for name in measured}
        out = any((low > margins[name]).any() for name, (_, low, _) in intervals.items())
        good = all((high <= margins[name]).all() for name, (_, _, high) in intervals.items())
        found.append(Standing(out, good))
    return found


def shortfalls(
    measured: Mapping[str, Numbers], name: str, model: int, ratio: float
) -> tuple[Numbers, Numbers, Numbers]:
    """How much better each model is than one of them (above 0): mean and simultaneous interval.

    Args:
        measured: [models, splits] of each measure.
        name: Of the measure.
        model: Number of the one; its own shortfall is 0.
        ratio: Test rows over training rows.

    Returns:
        Mean, low and high: [models]; NaN where splits are too few.
    """
    values = measured[name]
    level = LEVEL / ((len(values) - 1) * len(measured))
    gaps = (values[model] - values) * (1.0 if lower_is_better(name) else -1.0)
    count, mean, _ = moments(gaps)
    error = standard_errors(gaps, ratio)
    half = stdtrit(np.maximum(count - 1, 1), 1 - level / 2) * error
    # Equal differences make an interval of no width; the sign test stands in for it.
    equal = (error <= ROUNDING * np.abs(mean)) & (mean != 0)
    half = np.where(equal & (2.0 ** (1 - count) > level), np.nan, half)
    largest = largest_difference(name)
    low, high = np.clip([mean - half, mean + half], -largest, largest)
    return mean, low, high
