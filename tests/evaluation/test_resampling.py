"""Corrected standard errors, paired tests and Holm's correction, against scipy.stats."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from meddistill.evaluation.resampling import (
    differences,
    estimate,
    holm,
    moments,
    paired_p,
    rows_ratio,
    standard_errors,
)
from meddistill.measures import largest_difference

NAN = np.nan


def test_the_error_of_a_mean_by_hand():
    # s^2 of 1, 2, 3, 6 is (4 + 1 + 0 + 9) / 3; (1/4 + 1/4) * 14/3 = 7/3
    assert standard_errors(np.array([[1.0, 2, 3, 6]]), 0.25) == pytest.approx([np.sqrt(7 / 3)])
    assert standard_errors(np.array([[1.0, 2, 3, 6]]), 0.0) == pytest.approx(
        [stats.sem([1, 2, 3, 6])]
    )


def test_missing_values_are_left_out_and_one_value_has_no_spread():
    count, mean, spread = moments(np.array([[1.0, NAN, 3.0], [NAN, 5.0, NAN], [NAN, NAN, NAN]]))
    assert count.tolist() == [2, 1, 0]
    assert mean == pytest.approx([2, 5, NAN], nan_ok=True)
    assert spread == pytest.approx([np.sqrt(2), NAN, NAN], nan_ok=True)


def test_the_interval_without_overlap_is_students():
    values = np.random.default_rng(0).normal(size=7)
    found = estimate(values, 0.0)
    low, high = stats.t.interval(0.95, 6, values.mean(), stats.sem(values))
    assert (found.mean, found.low, found.high) == pytest.approx((values.mean(), low, high))
    assert found.count == 7


def test_the_interval_with_overlap_is_wider_by_the_correction():
    values = np.random.default_rng(1).normal(size=10)
    plain, corrected = estimate(values, 0.0), estimate(values, 0.25)
    wider = (corrected.high - corrected.mean) / (plain.high - plain.mean)
    assert wider == pytest.approx(np.sqrt(1 + 10 * 0.25))


def test_the_interval_of_a_measure_with_bounds_ends_at_them():
    values = np.array([0.0, 0.1])
    free, bounded = estimate(values, 0.25), estimate(values, 0.25, 0.5)
    assert free.low < -0.5 < 0.5 < free.high
    assert (bounded.low, bounded.high) == (-0.5, 0.5)
    assert (bounded.mean, bounded.error) == (free.mean, free.error)
    assert np.isnan(
        [estimate(values[:1], 0.25, 0.5).low, estimate(values[:1], 0.25, 0.5).high]
    ).all()


@pytest.mark.parametrize(
    ("name", "largest"),
    [("auroc", 1), ("test/accuracy", 1), ("sensitivity_at_specificity_90", 1),
     ("calibration_error_scaled", 1), ("brier", 2), ("log_loss", math.inf),
     ("log_loss_scaled", math.inf), ("calibration_slope", math.inf)],
)  # fmt: skip
def test_how_far_two_values_can_differ_is_known_by_the_measures_name(name, largest):
    assert largest_difference(name) == largest


def test_one_value_is_a_mean_without_error():
    found = estimate(np.array([0.4, NAN]), 0.25)
    assert (found.mean, found.count) == (0.4, 1)
    assert np.isnan([found.error, found.low, found.high]).all()


@pytest.mark.parametrize("ratio", [0.0, 1 / 3])
def test_the_paired_test_is_scipys_with_the_corrected_t(ratio):
    one, other = np.random.default_rng(2).normal(([0.8], [0.0]), 1.0, size=(2, 8))
    t = stats.ttest_rel(one, other).statistic / np.sqrt(1 + 8 * ratio)
    p = paired_p((one - other)[None], ratio)
    assert p == pytest.approx([2 * stats.t.sf(abs(t), 7)])
    assert paired_p((other - one)[None], ratio) == pytest.approx(p)


def test_the_paired_test_keeps_to_common_repeats():
    lines = np.array([[1.0, 2.0, NAN, 4.0], [1.0, NAN, NAN, NAN], [NAN] * 4])
    p = paired_p(lines, 0.0)
    assert p[0] == pytest.approx(stats.ttest_1samp([1, 2, 4], 0).pvalue)
    assert np.isnan(p[1:]).all()


def test_equal_differences_fall_back_on_the_sign_test():
    lines = np.array([[0.1] * 6, [-0.1] * 6, [0.0] * 6, [0.3 - 0.2, 0.5 - 0.4] * 3])
    p = paired_p(lines, 0.25)
    assert p == pytest.approx([2**-5, 2**-5, 1, 2**-5])
    assert p[0] == pytest.approx(stats.binomtest(6, 6).pvalue)


def test_two_equal_differences_prove_nothing():
    assert paired_p(np.array([[0.01, 0.01]]), 0.25) == pytest.approx([0.5])


def test_unknown_sizes_give_no_p():
    assert np.isnan(paired_p(np.array([[1.0, 2.0], [1.0, 1.0]]), NAN)).all()
    assert np.isnan(standard_errors(np.array([[1.0, 2.0]]), NAN)).all()


def test_rounding_is_no_difference():
    assert differences(np.array([0.1 + 0.2, 0.5]), np.array([0.3, 0.4])).tolist() == [
        0.0,
        pytest.approx(0.1),
    ]


def test_holm_by_hand():
    # sorted .01 .02 .03 .04 times 4 3 2 1: .04 .06 .06 .04, never falling: .04 .06 .06 .06
    assert holm(np.array([0.03, 0.01, 0.04, 0.02])) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm(np.array([0.9, 0.6])) == pytest.approx([1, 1])
    assert holm(np.array([])).size == 0


def test_holm_does_not_count_missing_tests():
    assert holm(np.array([NAN, 0.02, NAN, 0.04])) == pytest.approx(
        [NAN, 0.04, NAN, 0.04], nan_ok=True
    )


def test_holm_agrees_with_step_down_rejection():
    p = np.random.default_rng(3).beta(0.3, 3, size=40)
    rejected = set()
    for rank, index in enumerate(np.argsort(p)):
        if p[index] > 0.05 / (len(p) - rank):
            break
        rejected.add(int(index))
    assert 0 < len(rejected) < len(p)
    assert set(np.flatnonzero(holm(p) <= 0.05)) == rejected


def test_the_ratio_of_rows():
    assert rows_ratio(pd.DataFrame({"rows/train": [300, 100], "rows/test": [50, 50]})) == 0.25
    assert np.isnan(rows_ratio(pd.DataFrame({"rows/test": [50]})))
