"""Decision curves: what acting on a model's answers is worth (Vickers and Elkin 2006)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


def net_benefit(score: Numbers, positive: NDArray[np.bool_], thresholds: Numbers) -> Numbers:
    """True positives minus weighted false ones, a row: TP / n - FP / n * t / (1 - t).

    The threshold probability t says how many needless treatments a missed case outweighs
    (Medical Decision Making 26, 565-574).

    Args:
        score: [rows] probability of the positive class.
        positive: [rows].
        thresholds: [thresholds] at which one would act, at least 0 and below 1.
    """
    called = score[None] >= thresholds[:, None]
    true = (called & positive).mean(axis=1)
    false = (called & ~positive).mean(axis=1)
    benefit: Numbers = true - false * thresholds / (1 - thresholds)
    return benefit


def treat_all(prevalence: float, thresholds: Numbers) -> Numbers:
    """Net benefit of acting on everybody; that of acting on nobody is 0."""
    benefit: Numbers = prevalence - (1 - prevalence) * thresholds / (1 - thresholds)
    return benefit
