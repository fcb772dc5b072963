"""Answers of another prior and of the true one, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from meddistill.evaluation.members import evaluate_members
from meddistill.evaluation.prior import both, prior_measures

TRUE = np.array([[0.9, 0.1], [0.6, 0.4], [0.97, 0.03], [0.2, 0.8]])
WEIGHT = np.array([0.5, 8.0])
TARGET = np.array([0, 1, 0, 1])


def bent(values):
    weighed = values * WEIGHT
    return weighed / weighed.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("corrected", [True, False])
def test_what_the_model_gives_is_one_of_both_and_the_known_factor_makes_the_other(corrected):
    left = np.zeros(2) if corrected else np.log(WEIGHT)
    given = TRUE if corrected else bent(TRUE)
    found = both(given, {"bend": np.log(WEIGHT), "left": left, "temperature": 1.0})
    np.testing.assert_allclose(found["back"], TRUE)
    np.testing.assert_allclose(found["bent"], bent(TRUE))


def test_a_temperature_is_taken_off_again():
    raw = np.array([[0.8, 0.2], [0.3, 0.7]])
    given = raw**0.5 / (raw**0.5).sum(axis=1, keepdims=True)
    found = both(given, {"bend": [0.0, 0.0], "left": [0.0, 0.0], "temperature": 2.0})
    np.testing.assert_allclose(found["bent"], raw)
    np.testing.assert_allclose(found["back"], given)


def test_measures_are_those_of_each():
    treated = {"bend": np.log(WEIGHT), "left": np.zeros(2), "temperature": 1.0}
    found = prior_measures(TRUE, TARGET, treated)
    for name, values in {"back": TRUE, "bent": bent(TRUE)}.items():
        own = evaluate_members(values[None], TARGET)
        assert found[f"log_loss_{name}"] == pytest.approx(own["log_loss"][0])
        assert found[f"mean_{name}"] == pytest.approx(values[:, 1].mean())


def test_of_more_classes_the_largest_error_of_a_mean_is_told():
    given = np.array([[0.8, 0.1, 0.1], [0.2, 0.6, 0.2]])
    plain = {"bend": [0.0] * 3, "left": [0.0] * 3, "temperature": 1.0}
    assert prior_measures(given, np.array([0, 1]), plain)["off_back"] == pytest.approx(0.15)
