"""Intervals of an AUROC and of a difference of two on the same rows (DeLong et al. 1988).

Biometrics 44, 837-845; by midranks as Sun and Xu (2014, IEEE Signal Processing Letters 21).
"""

from __future__ import annotations

from math import nan, sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Numbers = NDArray[np.float64]
Marks = NDArray[np.bool_]


def aurocs_with_covariance(scores: Numbers, positive: Marks) -> tuple[Numbers, Numbers]:
    """AUROCs [models] and their covariance [models, models].

    Args:
        scores: [models, rows], higher for the positive.
        positive: [rows], at least two of each kind.
    """
    cases, others = scores[:, positive], scores[:, ~positive]
    m, n = cases.shape[1], others.shape[1]
    ranks = rankdata(np.hstack([cases, others]), axis=1)
    by_case = (ranks[:, :m] - rankdata(cases, axis=1)) / n
    by_other = 1 - (ranks[:, m:] - rankdata(others, axis=1)) / m
    covariance = np.atleast_2d(np.cov(by_case)) / m + np.atleast_2d(np.cov(by_other)) / n
    return by_case.mean(axis=1), covariance


def delong_interval(
    score: Numbers, positive: Marks, level: float = 0.95
) -> tuple[float, float, float]:
    """AUROC with its interval, cut to [0, 1].

    The interval is NaN where DeLong's variance is 0, as at an AUROC of 1 or 0: no width is known
    then, which is another thing than no doubt. All are NaN with fewer than two rows of a class.
    """
    if min(positive.sum(), (~positive).sum()) < 2:
        return nan, nan, nan
    values, covariance = aurocs_with_covariance(score[None], positive)
    value, variance = float(values[0]), float(covariance[0, 0])
    if variance <= 0:
        return value, nan, nan
    half = NormalDist().inv_cdf((1 + level) / 2) * sqrt(variance)
    return value, max(0.0, value - half), min(1.0, value + half)


def delong_test(
    one: Numbers, other: Numbers, positive: Marks, level: float = 0.95
) -> tuple[float, float, float, float]:
    """Difference `one - other` of two AUROCs on the same rows, its interval, and two-sided p.

    The interval is cut to [-1, 1], and NaN where the difference has no variance, as between two
    AUROCs of 1; p is 1 then of equal ones, else NaN.
    """
    if min(positive.sum(), (~positive).sum()) < 2:
        return nan, nan, nan, nan
    values, covariance = aurocs_with_covariance(np.stack([one, other]), positive)
    difference = float(values[0] - values[1])
    error = sqrt(max(0.0, covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]))
    half = NormalDist().inv_cdf((1 + level) / 2) * error
    if error == 0:
        return difference, nan, nan, 1.0 if difference == 0 else nan
    p = 2 * NormalDist().cdf(-abs(difference) / error)
    return difference, max(-1.0, difference - half), min(1.0, difference + half), p
