"""Means over repeated splits: standard errors, intervals and paired tests that own up to overlap.

Splits of the same patients share rows, so the plain s^2 / k is far too small. The corrected
resampled variance of a mean over k splits is (1/k + n_test/n_train) * s^2 (Nadeau and Bengio 2003,
Machine Learning 52, 239-281). Repeats that share nothing but the split, such as seeds, take the
same formulas with a ratio n_test/n_train of 0: the plain s^2 / k.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

Numbers = NDArray[np.float64]
LEVEL = 0.05
ROUNDING = 1e-9
"""Relative; differences below it come from the order of a sum."""


@dataclass(frozen=True)
class Estimate:
    """A mean over repeats with its standard error and 95 % interval (NaN with one repeat)."""

    mean: float
    error: float
    low: float
    high: float
    count: int


def rows_ratio(frame: pd.DataFrame) -> float:
    """Test rows over training rows; NaN where the sweep doesn't say."""
    if not {"rows/test", "rows/train"} <= set(frame.columns):
        return float("nan")
    return float(frame["rows/test"].mean() / frame["rows/train"].mean())


def moments(values: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """Number, mean and standard deviation (n - 1) of each line's known values: [lines, repeats]."""
    known = ~np.isnan(values)
    count = known.sum(axis=1).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(known, values, 0.0).sum(axis=1) / count
        squares = np.where(known, values - mean[:, None], 0.0) ** 2
        spread = np.sqrt(squares.sum(axis=1) / (count - 1))
    return count, mean, np.where(count > 1, spread, np.nan)


def standard_errors(values: Numbers, ratio: float) -> Numbers:
    """sqrt(1/k + ratio) * s of each line; NaN with fewer than two repeats."""
    count, _, spread = moments(values)
    with np.errstate(divide="ignore"):
        errors: Numbers = np.sqrt(1 / count + ratio) * spread
    return errors


def estimate(values: Numbers, ratio: float, largest: float = math.inf) -> Estimate:
    """Mean, corrected error and mean -+ t(k - 1) * error of the known values: [repeats].

    Args:
        values: NaN where one is missing.
        ratio: Test rows over training rows.
        largest: What no value can exceed, nor its negative: the interval ends there.
    """
    count, mean, _ = (float(part[0]) for part in moments(values[None]))
    error = float(standard_errors(values[None], ratio)[0])
    half = float(stdtrit(count - 1, 1 - LEVEL / 2)) * error if count > 1 else float("nan")
    low, high = np.clip([mean - half, mean + half], -largest, largest)
    return Estimate(mean, error, float(low), float(high), int(count))


def differences(one: Numbers, other: Numbers) -> Numbers:
    """`one - other`, exactly 0 where they differ by rounding alone."""
    return np.where(np.isclose(one, other, rtol=ROUNDING, atol=0.0), 0.0, one - other)


def paired_p(values: Numbers, ratio: float) -> Numbers:
    """Two-sided p of each line's mean difference being 0; NaN with fewer than two differences.

    The corrected resampled t-test: t = mean / (sqrt(1/k + ratio) * s) with k - 1 degrees. Where
    all k differences are equal, s is 0 and t says nothing; that happens with measures that count
    rows. The sign test stands in: p = 2^(1 - k), or 1 where the differences are 0.

    Args:
        values: Differences [lines, repeats], NaN where one is missing.
        ratio: Test rows over training rows, 0 for repeats on one split.
    """
    count, mean, spread = moments(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        t = np.abs(mean) / (np.sqrt(1 / count + ratio) * spread)
    by_sign = np.where(mean == 0, 1.0, 2.0 ** (1 - count))
    equal = spread <= ROUNDING * np.abs(mean)
    p = np.where(equal, by_sign, 2 * stdtr(np.maximum(count - 1, 1), -t))
    return np.where((count > 1) & ~np.isnan(ratio), p, np.nan)


def holm(p: Numbers) -> Numbers:
    """Holm's adjusted p (1979, Scand. J. Statistics 6, 65-70): max over j <= i of (m - j + 1) p_j.

    Missing p stay missing and don't count among the m.
    """
    adjusted = np.full_like(p, np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    steps = p[order] * (len(order) - np.arange(len(order)))
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted
