"""Calibration: recalibration line, temperature scaling, reliability diagram."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize_scalar
from scipy.special import expit, log_softmax, logit
from sklearn.linear_model import LogisticRegression

from meddistill.evaluation.members import evaluate_members

Numbers = NDArray[np.float64]
Marks = NDArray[np.bool_]
LEAST = 1e-7
TEMPERATURES = (0.05, 20.0)
SCALED = ("log_loss", "calibration_error")
"""Measures given after temperature scaling too."""


def calibration_slope_intercept(
    probabilities: Numbers, target: NDArray[np.int64]
) -> tuple[float, float]:
    """Calibration slope, and calibration-in-the-large.

    The slope is that of a logistic regression of the class on the log odds given (Cox 1958); 1 is
    right, below 1 too extreme. The intercept is that with the slope held at 1 (Van Calster et al.
    2019, BMC Medicine 17:230); 0 is right, above 0 too low. With more than two classes both are
    means over classes, one against the rest. NaN where only one class occurs; the slope is NaN too
    where the scores separate the classes, since it would be infinite.
    """
    count = probabilities.shape[1]
    lines = [_line(probabilities[:, k], target == k) for k in ([1] if count == 2 else range(count))]
    slopes, intercepts = zip(*lines, strict=True)
    return _mean(slopes), _mean(intercepts)


def _line(score: Numbers, positive: Marks) -> tuple[float, float]:
    if not 0 < positive.sum() < len(positive):
        return float("nan"), float("nan")
    odds = logit(score.clip(LEAST, 1 - LEAST))
    intercept = brentq(lambda a: float((expit(odds + a) - positive).sum()), -60, 60)
    cases, others = odds[positive], odds[~positive]
    if cases.min() >= others.max() or cases.max() <= others.min():
        return float("nan"), float(intercept)
    return _slope(odds, positive), float(intercept)


def _slope(odds: Numbers, positive: Marks) -> float:
    """Slope of the logistic regression of the class on [rows] log odds.

    By Newton's method on log odds of spread 1, as every step there squares the error.
    """
    centre, spread = odds.mean(), odds.std()
    fitted = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-10, max_iter=1000)
    fitted.fit(((odds - centre) / spread)[:, None], positive)
    return float(fitted.coef_[0, 0] / spread)


def _mean(values: tuple[float, ...]) -> float:
    known = [value for value in values if value == value]
    return float(np.mean(known)) if known else float("nan")


def fit_temperature(log_probabilities: Numbers, target: NDArray[np.int64]) -> float:
    """The T of softmax(log p / T) with the lowest log loss (Guo et al. 2017, arXiv:1706.04599).

    Args:
        log_probabilities: [rows, classes].
        target: [rows] class numbers.
    """
    logits = log_probabilities.clip(min=np.log(LEAST))
    rows = np.arange(len(target))

    def loss(log_temperature: float) -> float:
        soft = log_softmax(logits / np.exp(log_temperature), axis=1)
        return -float(soft[rows, target].mean())

    bounds = (np.log(TEMPERATURES[0]), np.log(TEMPERATURES[1]))
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x))


def apply_temperature(probabilities: Numbers, temperature: float) -> Numbers:
    """softmax(log p / T) of [rows, classes]."""
    logits = np.log(probabilities.clip(min=LEAST)) / temperature
    scaled: Numbers = np.exp(log_softmax(logits, axis=1))
    return scaled


def calibration_measures(
    probabilities: Numbers,
    target: NDArray[np.int64],
    held: Numbers,
    held_target: NDArray[np.int64],
    threshold: float = 0.5,
) -> dict[str, float]:
    """Slope and intercept, and what a temperature fitted on held rows makes of the measures.

    Args:
        probabilities: [rows, classes].
        target: [rows] class numbers.
        held: [held rows, classes] probabilities of rows that the temperature is fitted on.
        held_target: [held rows] class numbers.
        threshold: From which a row is called positive.
    """
    slope, intercept = calibration_slope_intercept(probabilities, target)
    with np.errstate(divide="ignore"):
        temperature = fit_temperature(np.log(held), held_target)
    scaled = apply_temperature(probabilities, temperature)
    measures = evaluate_members(scaled[None], target, threshold)
    return {
        "calibration_slope": slope,
        "calibration_intercept": intercept,
        "scaling_temperature": temperature,
        **{f"{name}_scaled": float(measures[name][0]) for name in SCALED},
    }


def reliability(
    confidence: Numbers, right: Marks, bins: int = 10
) -> tuple[Numbers, Numbers, NDArray[np.int64], Numbers, Numbers]:
    """Mean confidence and observed share in bins of equally many rows, with Wilson's 95 % interval.

    Args:
        confidence: [rows] probability given.
        right: [rows] whether it came true.
        bins: At most so many; equal confidences stay in one.

    Returns:
        Mean confidence, share, number of rows, low and high of each bin.
    """
    edges = np.unique(np.quantile(confidence, np.linspace(0, 1, bins + 1)))
    place = np.searchsorted(edges[1:-1], confidence, side="right")
    count = np.bincount(place)
    held = count > 0
    mean = np.bincount(place, confidence)[held] / count[held]
    share = np.bincount(place, right.astype(np.float64))[held] / count[held]
    return mean, share, count[held], *wilson(share, count[held])


def wilson(share: Numbers, count: NDArray[np.int64]) -> tuple[Numbers, Numbers]:
    """Low and high of Wilson's 95 % intervals of shares of `count` rows, 1 at least."""
    z = NormalDist().inv_cdf(0.975)
    centre = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2)) / (1 + z**2 / count)
    return centre - half, centre + half
