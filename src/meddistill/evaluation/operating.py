"""Operating points, the confusion matrix, and the curves they lie on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve, roc_curve

Numbers = NDArray[np.float64]
Marks = NDArray[np.bool_]
LEVELS = (90, 95)
MOST_POINTS = 200


def sensitivity_at_specificity(score: Numbers, positive: Marks, specificity: float) -> float:
    """Highest sensitivity of the points on the empirical ROC with at least that specificity.

    NaN where only one class occurs.
    """
    if not 0 < positive.sum() < len(positive):
        return float("nan")
    false, true, _ = roc_curve(positive, score, drop_intermediate=False)
    return float(true[1 - false >= specificity - 1e-12].max())


def specificity_at_sensitivity(score: Numbers, positive: Marks, sensitivity: float) -> float:
    """Highest specificity of the points on the empirical ROC with at least that sensitivity.

    NaN where only one class occurs.
    """
    if not 0 < positive.sum() < len(positive):
        return float("nan")
    false, true, _ = roc_curve(positive, score, drop_intermediate=False)
    return float(1 - false[true >= sensitivity - 1e-12].min())


def operating_points(probabilities: Numbers, target: NDArray[np.int64]) -> dict[str, float]:
    """Sensitivity at 90 and 95 % specificity, and the reverse.

    With two classes of the positive class (the last); with more the mean over classes, one against
    the rest, of those that occur and don't fill the rows.

    Args:
        probabilities: [rows, classes].
        target: [rows] class numbers.
    """
    count = probabilities.shape[1]
    classes = [1] if count == 2 else range(count)
    points: dict[str, Callable[[Numbers, Marks, float], float]] = {
        "sensitivity_at_specificity": sensitivity_at_specificity,
        "specificity_at_sensitivity": specificity_at_sensitivity,
    }
    found = {}
    for name, point in points.items():
        for level in LEVELS:
            values = [point(probabilities[:, k], target == k, level / 100) for k in classes]
            known = [value for value in values if value == value]
            found[f"{name}_{level}"] = float(np.mean(known)) if known else float("nan")
    return found


def confusion_matrix(
    probabilities: Numbers, target: NDArray[np.int64], threshold: float = 0.5
) -> NDArray[np.int64]:
    """[classes, classes] rows of each true class (first) called each class (second).

    With two classes a row is called positive at the threshold or above, with more the most
    probable class.
    """
    count = probabilities.shape[1]
    positive = (probabilities[:, 1] >= threshold).astype(np.int64) if count == 2 else None
    called = probabilities.argmax(axis=1) if positive is None else positive
    flat = np.bincount(target * count + called, minlength=count * count)
    return flat.reshape(count, count)


def roc(score: Numbers, positive: Marks) -> tuple[Numbers, Numbers]:
    """False positive rates and sensitivities, thinned to what a plot shows."""
    false, true, _ = roc_curve(positive, score)
    return _thinned(false, true)


def precision_recall(score: Numbers, positive: Marks) -> tuple[Numbers, Numbers]:
    """Recalls (ascending) and precisions, thinned to what a plot shows."""
    precision, recall, _ = precision_recall_curve(positive, score)
    return _thinned(recall[::-1], precision[::-1])


def _thinned(x: Numbers, y: Numbers) -> tuple[Numbers, Numbers]:
    if len(x) <= MOST_POINTS:
        return x, y
    kept = np.unique(np.linspace(0, len(x) - 1, MOST_POINTS).round().astype(np.int64))
    return x[kept], y[kept]
