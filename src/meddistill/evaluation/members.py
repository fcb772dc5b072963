"""The measures of `evaluate` for many models at once, in numpy.

They are those of `meddistill.evaluation.metrics`, which says what each of them means; torchmetrics
takes milliseconds a model, this some microseconds.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from meddistill.evaluation.metrics import CALIBRATION_BINS

Numbers = NDArray[np.float64]
Marks = NDArray[np.bool_]


def evaluate_members(
    probabilities: NDArray[Any], target: NDArray[np.int64], threshold: float | Numbers = 0.5
) -> dict[str, Numbers]:
    """Every diagnostic measure of several models on the same rows, by the names of `evaluate`.

    Args:
        probabilities: [members, rows, classes].
        target: [rows] class numbers.
        threshold: Probability from which a row is called positive (two classes); one, or one a
            member.

    Returns:
        [members] for each measure; NaN where it is undefined, as everything is of a member that
        diverged and answers NaN anywhere.
    """
    p = np.clip(np.asarray(probabilities, dtype=np.float64), 0, 1)
    is_class = np.eye(p.shape[2], dtype=bool)[target]
    with np.errstate(divide="ignore", invalid="ignore"):
        measures = {"log_loss": _log_loss(p, target)}
        if p.shape[2] == 2:
            measures |= _two_classes(p, is_class, threshold)
        else:
            measures |= _more_classes(p, target, is_class)
    diverged = np.isnan(p).any(axis=(1, 2))
    return {name: np.where(diverged, np.nan, measures[name]) for name in sorted(measures)}


def _two_classes(p: Numbers, is_class: Marks, threshold: float | Numbers) -> dict[str, Numbers]:
    score, positive = p[:, :, 1], is_class[:, 1]
    called = score >= np.reshape(threshold, (-1, 1))
    both = 0 < positive.sum() < len(positive)
    return {
        "auroc": _auroc(score, positive) if both else np.full(len(p), np.nan),
        "accuracy": (called == positive).mean(axis=1),
        "brier": np.square(score - positive).mean(axis=1),
        "average_precision": _average_precision(score, positive),
        "calibration_error": _calibration_error(score, np.broadcast_to(positive, score.shape)),
        "sensitivity": _share(called & positive, positive.sum()),
        "specificity": _share(~called & ~positive, (~positive).sum()),
    }


def _more_classes(p: Numbers, target: NDArray[np.int64], is_class: Marks) -> dict[str, Numbers]:
    called = p.argmax(axis=2)
    right = called == target
    counts = is_class.sum(axis=0)
    occurring = np.flatnonzero(counts)
    partial = [c for c in occurring if counts[c] < len(target)]
    auroc = [_auroc(p[:, :, c], is_class[:, c]) for c in partial]
    precision = [_average_precision(p[:, :, c], is_class[:, c]) for c in partial]
    sensitivity = [(right & is_class[:, c]).sum(axis=1) / counts[c] for c in occurring]
    specificity = [
        ((called != c) & ~is_class[:, c]).sum(axis=1) / (~is_class[:, c]).sum() for c in occurring
    ]
    return {
        "auroc": _mean(auroc, len(p)),
        "accuracy": right.mean(axis=1),
        "brier": np.square(p - is_class).sum(axis=2).mean(axis=1),
        "average_precision": _mean(precision, len(p)),
        "calibration_error": _calibration_error(p.max(axis=2), right),
        "sensitivity": _mean(sensitivity, len(p)),
        "specificity": _mean(specificity, len(p)),
    }


def _mean(values: list[Numbers], members: int) -> Numbers:
    """Mean over classes; NaN where there is none to average."""
    return np.mean(values, axis=0) if values else np.full(members, np.nan)


def _share(marks: Marks, count: int) -> Numbers:
    """Share of rows marked among `count`; NaN where there are none."""
    shares: Numbers = marks.sum(axis=1) / count
    return shares


def _log_loss(p: Numbers, target: NDArray[np.int64]) -> Numbers:
    chosen = p[:, np.arange(len(target)), target]
    losses: Numbers = -np.log(chosen.clip(min=np.finfo(np.float64).eps)).mean(axis=1)
    return losses


def _auroc(score: Numbers, positive: Marks) -> Numbers:
    """Mann and Whitney's statistic over the number of pairs; ties count a half."""
    count, others = positive.sum(), (~positive).sum()
    if len(score) == 0:
        return np.zeros(0)
    ranks = rankdata(score, axis=1)[:, positive].sum(axis=1)
    values: Numbers = (ranks - count * (count + 1) / 2) / (count * others)
    return values


def _average_precision(score: Numbers, positive: Marks) -> Numbers:
    """Mean over positive rows of the precision at their score; equal scores are one threshold.

    NaN where no row is positive.
    """
    if not positive.any() or len(score) == 0:
        return np.full(len(score), np.nan)
    order = np.argsort(-score, axis=1, kind="stable")
    ordered, hits = np.take_along_axis(score, order, axis=1), positive[order]
    ends = np.ones_like(hits)  # the last row of each run of equal scores
    ends[:, :-1] = ordered[:, 1:] != ordered[:, :-1]
    place = np.where(ends, np.arange(hits.shape[1]), hits.shape[1])
    end = np.minimum.accumulate(place[:, ::-1], axis=1)[:, ::-1]
    precision = np.take_along_axis(hits.cumsum(axis=1), end, axis=1) / (end + 1)
    values: Numbers = (precision * hits).sum(axis=1) / positive.sum()
    return values


def _calibration_error(confidence: Numbers, right: Marks) -> Numbers:
    """Expected calibration error (L1) over equally wide bins; [members, rows] both.

    Edges and confidences are compared in float32, as torchmetrics compares them.
    """
    members, rows = confidence.shape
    edges = np.linspace(0, 1, CALIBRATION_BINS + 1, dtype=np.float32)
    found = np.searchsorted(edges, confidence.ravel().astype(np.float32), side="right") - 1
    bins = found.clip(0, CALIBRATION_BINS - 1).reshape(members, rows)
    flat = (bins + CALIBRATION_BINS * np.arange(members)[:, None]).ravel()
    gap = np.bincount(flat, (confidence - right).ravel(), members * CALIBRATION_BINS)
    errors: Numbers = np.abs(gap).reshape(members, CALIBRATION_BINS).sum(axis=1) / max(1, rows)
    return errors
