"""DeLong's intervals, against placement values worked out pair by pair."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from meddistill.evaluation.delong import aurocs_with_covariance, delong_interval, delong_test


def rows(seed, count=60, ties=False):
    random = np.random.default_rng(seed)
    positive = random.random(count) < 0.4
    scores = random.normal(size=(2, count)) + positive
    return (scores.round(0) if ties else scores), positive


def by_pairs(scores, positive):
    """DeLong 1988 as printed: structural components from every pair."""
    components = []
    for score in scores:
        wins = (score[positive][:, None] > score[~positive][None]).astype(float)
        wins += 0.5 * (score[positive][:, None] == score[~positive][None])
        components.append((wins.mean(axis=1), wins.mean(axis=0)))
    cases, others = (np.array([c[k] for c in components]) for k in (0, 1))
    return np.cov(cases) / cases.shape[1] + np.cov(others) / others.shape[1]


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_areas_and_covariance_are_those_of_all_pairs(seed, ties):
    scores, positive = rows(seed, ties=ties)
    values, covariance = aurocs_with_covariance(scores, positive)
    assert values == pytest.approx([roc_auc_score(positive, score) for score in scores])
    np.testing.assert_allclose(covariance, by_pairs(scores, positive), atol=1e-12)


def test_the_interval_covers_the_true_area_in_about_95_of_100():
    random, covered = np.random.default_rng(1), 0
    truth = 0.7602499389065233  # P(x > y), x from N(1, 1) and y from N(0, 1)
    for _ in range(1000):
        positive = np.arange(120) < 60
        _, low, high = delong_interval(random.normal(size=120) + positive, positive)
        covered += low <= truth <= high
    assert 0.925 <= covered / 1000 <= 0.97


def test_equal_scores_do_not_differ_and_other_ones_do():
    scores, positive = rows(0, 400)
    assert delong_test(scores[0], scores[0], positive)[0::3] == (0.0, 1.0)
    difference, low, high, p = delong_test(scores[0] + 2 * positive, scores[1], positive)
    assert low < difference < high
    assert low > 0
    assert p < 0.001


def test_a_perfect_order_has_no_interval_rather_than_one_of_no_width():
    score, positive = np.arange(8.0), np.arange(8) > 4
    value, *interval = delong_interval(score, positive)
    assert value == 1
    assert np.isnan(interval).all()
    difference, low, high, p = delong_test(score, score + 1, positive)
    assert (difference, p) == (0, 1)
    assert np.isnan([low, high]).all()
    assert np.isnan(delong_test(score, -score, positive)[1:]).all()


def test_with_one_row_of_a_class_there_is_no_interval():
    assert np.isnan(delong_interval(np.arange(5.0), np.arange(5) == 4)).all()


def test_the_interval_of_a_difference_ends_where_differences_do():
    positive = np.array([True, True, False, False])
    one, other = np.array([0.9, 0.4, 0.5, 0.1]), np.array([0.1, 0.6, 0.5, 0.7])
    difference, low, high, _ = delong_test(one, other, positive)
    assert -1 < low < difference < high == 1
