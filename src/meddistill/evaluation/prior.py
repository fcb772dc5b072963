"""Answers of another prior, as labels that were weighed or drawn make them, and of the true one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from meddistill.evaluation.calibration import LEAST, calibration_slope_intercept
from meddistill.evaluation.members import evaluate_members

Numbers = NDArray[np.float64]
WHICH = {"bent": "as the labels were treated", "back": "brought back"}
"""Both ways to read a treated model's answers, in words."""
MEASURES = [
    f"{measure}_{which}"
    for measure in ("log_loss", "calibration_slope", "mean", "off")
    for which in WHICH
]
"""Names of the measures of both."""


def both(given: Numbers, treated: Mapping[str, Any]) -> dict[str, Numbers]:
    """Answers [rows, classes] as the treated labels alone make them, and brought back.

    Args:
        given: Probabilities as the model gives them.
        treated: What was done: log factors `bend` of the labels and `left` in what is given, one a
            class, and the `temperature` that was put on it.
    """
    logits, left = np.log(given.clip(min=LEAST)), np.asarray(treated["left"])
    raw = logits * treated["temperature"] + np.asarray(treated["bend"]) - left
    return {"bent": softmax(raw, axis=1), "back": softmax(logits - left, axis=1)}


def prior_measures(
    given: Numbers, target: NDArray[np.int64], treated: Mapping[str, Any]
) -> dict[str, float]:
    """Log loss, calibration slope and mean prediction of both, as `log_loss_bent` and so on.

    The mean is that of the positive class; of more classes `off` is the largest difference between
    a class's mean prediction and its share of the rows.
    """
    found: dict[str, float] = {}
    for name, values in both(given, treated).items():
        own = {
            "log_loss": float(evaluate_members(values[None], target)["log_loss"][0]),
            "calibration_slope": calibration_slope_intercept(values, target)[0],
            **_means(values, target),
        }
        found |= {f"{measure}_{name}": value for measure, value in own.items()}
    return found


def _means(values: Numbers, target: NDArray[np.int64]) -> dict[str, float]:
    mean, count = values.mean(axis=0), values.shape[1]
    if count == 2:
        return {"mean": float(mean[1])}
    shares = np.bincount(target, minlength=count) / len(target)
    return {"off": float(np.abs(mean - shares).max())}
