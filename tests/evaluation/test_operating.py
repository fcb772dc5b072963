"""Operating points and the confusion matrix by counting."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix as theirs

from meddistill.evaluation.operating import (
    confusion_matrix,
    operating_points,
    precision_recall,
    roc,
    sensitivity_at_specificity,
    specificity_at_sensitivity,
)

SCORE = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8])
POSITIVE = np.array([0, 0, 0, 1, 0, 1, 1, 1], dtype=bool)


def by_counting(score, positive, least, first):
    """Best of one rate over all thresholds that keep the other at its least."""
    best = 0.0
    for threshold in [*np.unique(score), np.inf]:
        called = score >= threshold
        sensitivity = (called & positive).sum() / positive.sum()
        specificity = (~called & ~positive).sum() / (~positive).sum()
        pair = (specificity, sensitivity) if first == "sensitivity" else (sensitivity, specificity)
        if pair[0] >= least:
            best = max(best, pair[1])
    return best


def test_points_of_a_worked_example():
    assert sensitivity_at_specificity(SCORE, POSITIVE, 1.0) == 0.75
    assert sensitivity_at_specificity(SCORE, POSITIVE, 0.75) == 1.0
    assert specificity_at_sensitivity(SCORE, POSITIVE, 1.0) == 0.75


@pytest.mark.parametrize("seed", range(8))
def test_points_are_those_found_by_counting_ties_included(seed):
    random = np.random.default_rng(seed)
    positive = random.random(50) < 0.4
    score = (random.normal(size=50) + positive).round(1)
    for least in (0.5, 0.9, 0.95, 1.0):
        assert sensitivity_at_specificity(score, positive, least) == pytest.approx(
            by_counting(score, positive, least, "sensitivity")
        )
        assert specificity_at_sensitivity(score, positive, least) == pytest.approx(
            by_counting(score, positive, least, "specificity")
        )


def test_where_one_class_occurs_points_are_undefined():
    points = operating_points(np.full((4, 2), 0.5), np.zeros(4, dtype=np.int64))
    assert np.isnan(list(points.values())).all()


def test_with_more_classes_points_are_means_over_the_classes_that_occur():
    random = np.random.default_rng(0)
    target = random.integers(0, 2, 40)  # the third never occurs
    values = random.dirichlet(np.ones(3), 40)
    found = operating_points(values, target)["sensitivity_at_specificity_90"]
    each = [sensitivity_at_specificity(values[:, k], target == k, 0.9) for k in (0, 1)]
    assert found == pytest.approx(np.mean(each))


def test_the_confusion_matrix_is_scikit_learns_and_calls_at_the_threshold():
    random = np.random.default_rng(0)
    values, target = random.dirichlet(np.ones(3), 60), random.integers(0, 3, 60)
    found = confusion_matrix(values, target)
    assert found.tolist() == theirs(target, values.argmax(axis=1)).tolist()
    two = np.array([[0.7, 0.3], [0.71, 0.29]])
    assert confusion_matrix(two, np.array([1, 1]), threshold=0.3).tolist() == [[0, 0], [1, 1]]


def test_curves_of_many_rows_are_thinned_and_keep_their_ends():
    random = np.random.default_rng(0)
    positive = random.random(5000) < 0.5
    score = random.normal(size=5000) + positive
    for x, y in (roc(score, positive), precision_recall(score, positive)):
        assert len(x) <= 200
        assert (x[0], x[-1]) == (0.0, 1.0)
        assert len(x) == len(y)
