from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meddistill.evaluation.members import evaluate_members
from meddistill.evaluation.predictions import evaluate


def probabilities(rng, members, rows, classes, levels=None):
    """Random answers; with `levels`, of so many different values only, so that there are ties."""
    logits = rng.normal(size=(members, rows, classes)) * 2
    if levels:
        logits = np.round(logits * levels) / levels
    p = np.exp(logits)
    return p / p.sum(axis=2, keepdims=True)


def assert_as_alone(p, target, threshold=0.5, tolerance=1e-6):
    together = evaluate_members(p, target, threshold)
    for member, answers in enumerate(p):
        alone = evaluate(answers.astype(np.float64), target, threshold)
        assert list(together) == list(alone)
        for name, value in alone.items():
            assert together[name][member] == pytest.approx(value, abs=tolerance, nan_ok=True), name


@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize("levels", [None, 1])
def test_members_measures_equal_those_of_each_alone(classes, levels):
    rng = np.random.default_rng(classes)
    p = probabilities(rng, 5, 60, classes, levels)
    assert_as_alone(p, rng.integers(classes, size=60))


@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.9])
def test_the_threshold_is_that_of_a_single_model(threshold):
    rng = np.random.default_rng(0)
    assert_as_alone(probabilities(rng, 3, 50, 2), rng.integers(2, size=50), threshold)


def test_exact_zeros_and_ones_are_measured_as_alone():
    target = np.array([0, 1, 0, 1, 1])
    certain = np.array([1.0, 0.0, 0.0, 1.0, 0.5])
    assert_as_alone(np.stack([np.stack([certain, 1 - certain], axis=1)] * 2), target)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("only", [0, 1])
def test_where_one_class_occurs_the_same_measures_are_undefined(classes, only):
    p = probabilities(np.random.default_rng(1), 2, 8, classes)
    assert_as_alone(p, np.full(8, only))


def test_a_class_that_does_not_occur_is_left_out_of_averages():
    rng = np.random.default_rng(2)
    assert_as_alone(probabilities(rng, 3, 40, 5), rng.integers(3, size=40))


def test_a_single_row_is_measured_as_alone():
    assert_as_alone(probabilities(np.random.default_rng(3), 2, 1, 3), np.array([1]))


def test_single_precision_is_measured_in_double():
    rng = np.random.default_rng(4)
    p, target = probabilities(rng, 3, 50, 2).astype(np.float32), rng.integers(2, size=50)
    doubled = evaluate_members(p.astype(np.float64), target)
    for name, value in evaluate_members(p, target).items():
        assert value.dtype == np.float64
        np.testing.assert_array_equal(value, doubled[name])


@pytest.mark.parametrize("classes", [2, 4])
def test_no_members_give_no_measures_and_no_error(classes):
    measures = evaluate_members(np.zeros((0, 6, classes)), np.arange(6) % classes)
    assert {value.shape for value in measures.values()} == {(0,)}


@pytest.mark.parametrize("classes", [2, 3])
def test_a_diverged_member_leaves_the_others_as_they_are(classes):
    rng = np.random.default_rng(5)
    p, target = probabilities(rng, 3, 30, classes), rng.integers(classes, size=30)
    clean = evaluate_members(p, target)
    p[1] = np.nan
    for name, value in evaluate_members(p, target).items():
        np.testing.assert_array_equal(value[[0, 2]], clean[name][[0, 2]], name)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 4), st.integers(2, 30), st.sampled_from([1, 2, None]))
def test_whatever_the_ties_and_the_classes_measures_are_those_of_each_alone(
    seed, classes, rows, levels
):
    rng = np.random.default_rng(seed)
    assert_as_alone(probabilities(rng, 2, rows, classes, levels), rng.integers(classes, size=rows))
