"""Calibration measures on data whose calibration is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import expit, log_softmax, logit
from sklearn.metrics import log_loss

from meddistill.evaluation.calibration import (
    apply_temperature,
    calibration_slope_intercept,
    fit_temperature,
    reliability,
)


def drawn(slope=1.0, intercept=0.0, count=40_000):
    """Probabilities given, and classes drawn from others: logit(true) = a + b logit(given)."""
    random = np.random.default_rng(0)
    given = expit(random.normal(size=count) * 1.5)
    target = (random.random(count) < expit(intercept + slope * logit(given))).astype(np.int64)
    return np.stack([1 - given, given], axis=1), target


@pytest.mark.parametrize("slope", [0.5, 1.0, 2.0])
def test_the_slope_is_the_one_that_the_classes_were_drawn_with(slope):
    assert calibration_slope_intercept(*drawn(slope))[0] == pytest.approx(slope, abs=0.06)


@pytest.mark.parametrize(("true", "spread"), [(0.1, 3.0), (1.0, 3.0), (14.0, 0.3), (60.0, 0.3)])
def test_the_slope_has_converged(true, spread):
    random = np.random.default_rng(0)
    odds = spread * random.normal(size=300)
    target = (random.random(300) < expit(0.3 + true * odds)).astype(int)
    slope, _ = calibration_slope_intercept(np.stack([expit(-odds), expit(odds)], axis=1), target)
    shift = brentq(lambda a: (expit(a + slope * odds) - target).sum(), -100, 100)
    assert abs(((expit(shift + slope * odds) - target) * odds).sum()) < 1e-6


@pytest.mark.parametrize("intercept", [-1.0, 0.0, 0.7])
def test_calibration_in_the_large_is_the_shift_that_they_were_drawn_with(intercept):
    found = calibration_slope_intercept(*drawn(1.0, intercept))[1]
    assert found == pytest.approx(intercept, abs=0.05)


def test_scores_that_separate_the_classes_have_no_slope():
    values = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.1, 0.9]])
    slope, intercept = calibration_slope_intercept(values, np.array([0, 0, 1, 1]))
    assert np.isnan(slope)
    assert np.isfinite(intercept)


def test_one_class_alone_has_neither():
    assert np.isnan(calibration_slope_intercept(np.full((3, 2), 0.5), np.zeros(3, int))).all()


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_the_temperature_that_spoilt_the_answers_is_found(temperature):
    random = np.random.default_rng(0)
    logits = random.normal(size=(20_000, 3)) * 2
    target = np.array([random.choice(3, p=p) for p in np.exp(log_softmax(logits, axis=1))])
    spoilt = log_softmax(logits * temperature, axis=1)
    assert fit_temperature(spoilt, target) == pytest.approx(temperature, rel=0.05)


def test_scaling_never_raises_the_log_loss_of_the_rows_it_was_fitted_on():
    values, target = drawn(0.6, count=500)
    scaled = apply_temperature(values, fit_temperature(np.log(values), target))
    assert log_loss(target, scaled[:, 1]) <= log_loss(target, values[:, 1]) + 1e-9
    np.testing.assert_allclose(scaled.sum(axis=1), 1)


def test_reliability_bins_hold_equally_many_rows_and_wilson_covers_the_share():
    values, target = drawn(count=1000)
    mean, share, count, low, high = reliability(values[:, 1], target == 1)
    assert count.tolist() == [100] * 10
    assert (np.diff(mean) > 0).all()
    assert ((low < share) & (share < high)).all()
    assert low.min() >= 0  # Wilson's interval never leaves [0, 1]
    assert high.max() <= 1


def test_equal_probabilities_are_one_bin():
    assert reliability(np.full(7, 0.3), np.arange(7) < 2)[2].tolist() == [7]
