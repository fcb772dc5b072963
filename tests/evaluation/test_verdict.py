"""Verdicts, their precedence, and what would settle an open one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from meddistill.evaluation.verdict import bottom_line, judge_differences, sentence

RATIO = 1 / 3


def spread(mean, sd, count):
    """Differences of exactly that mean and standard deviation."""
    values = np.random.default_rng(0).normal(size=count)
    return mean + sd * (values - values.mean()) / values.std(ddof=1)


def test_interval_and_p_are_those_of_the_corrected_resampled_t_test():
    differences = spread(0.02, 0.03, 10)
    found = judge_differences(differences, RATIO, False, 0.01)
    error = math.sqrt((1 / 10 + RATIO) * differences.var(ddof=1))
    low, high = stats.t.interval(0.95, 9, 0.02, error)
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.p == pytest.approx(2 * stats.t.sf(0.02 / error, 9))


@pytest.mark.parametrize(
    ("mean", "sd", "lower", "margin", "word"),
    [
        (0.05, 0.01, False, 0.01, "BETTER"),
        (0.05, 0.01, True, 0.01, "WORSE"),
        (-0.05, 0.01, True, 0.01, "BETTER"),
        (-0.05, 0.01, False, 0.01, "WORSE"),
        (0.001, 0.002, False, 0.01, "NO DIFFERENCE"),
        (0.004, 0.001, False, 0.01, "NO DIFFERENCE"),  # excludes zero, and doesn't matter
        (0.01, 0.05, False, 0.01, "INCONCLUSIVE"),
        (0.0, 0.0, False, 0.0, "NO DIFFERENCE"),  # the same arm twice
    ],
)
def test_equivalence_comes_before_better_and_worse(mean, sd, lower, margin, word):
    assert judge_differences(spread(mean, sd, 10), RATIO, lower, margin).word == word


def test_the_repeats_that_would_settle_it_do_settle_it():
    found = judge_differences(spread(0.04, 0.03, 4), RATIO, False, 0.01)
    assert found.word == "INCONCLUSIVE"
    needed = found.repeats_needed
    assert judge_differences(spread(0.04, 0.03, needed), RATIO, False, 0.01).word == "BETTER"
    fewer = judge_differences(spread(0.04, 0.03, needed - 1), RATIO, False, 0.01)
    assert fewer.word == "INCONCLUSIVE"


def test_where_the_corrections_floor_binds_patients_are_named_instead():
    found = judge_differences(spread(0.01, 0.03, 10), RATIO, False, 0.005)
    assert found.repeats_needed is None
    half = stats.norm.ppf(0.975) * math.sqrt(RATIO) * 0.03
    assert found.patients_needed >= (half / 0.01) ** 2
    assert "times as many patients" in sentence(found, "student", "other", "auroc", 0.005)


def test_undefined_splits_are_left_out_and_one_split_says_nothing():
    with_gaps = np.append(spread(0.05, 0.01, 10), [np.nan, np.nan])
    assert judge_differences(with_gaps, RATIO, False, 0.01).repeats == 10
    alone = judge_differences(np.array([0.3, np.nan]), RATIO, False, 0.01)
    assert alone.word == "INCONCLUSIVE"
    assert "nothing can be said" in sentence(alone, "a", "b", "auroc", 0.01)


@pytest.mark.parametrize(("mean", "sd"), [(0.05, 0.01), (0.3, 0.2), (0.001, 0.002), (-0.6, 0.5)])
@pytest.mark.parametrize("count", [2, 10])
def test_bounds_change_no_verdict(mean, sd, count):
    free, bounded = (
        judge_differences(spread(mean, sd, count), RATIO, False, 0.01, largest)
        for largest in (math.inf, 1.0)
    )
    assert (free.word, free.p, free.repeats_needed) == (
        bounded.word, bounded.p, bounded.repeats_needed,
    )  # fmt: skip
    assert -1 <= bounded.low <= bounded.high <= 1


def test_two_equal_differences_are_no_proof():
    assert judge_differences(np.array([0.05, 0.05]), RATIO, False, 0.01).word == "INCONCLUSIVE"


def test_the_sentence_says_which_way_and_how_much():
    found = judge_differences(spread(-0.05, 0.01, 10), RATIO, True, 0.01)
    said = sentence(found, "distilled student", "student alone", "log_loss", 0.01)
    assert said.startswith(
        "By log loss, the distilled student is better than the student alone: 0.050 lower (95 %"
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["BETTER", "INCONCLUSIVE"], "was worth it"),
        (["WORSE", "NO DIFFERENCE"], "did harm"),
        (["WORSE", "BETTER"], "helped by one measure and did harm"),
        (["NO DIFFERENCE", "NO DIFFERENCE"], "was not needed"),
        (["INCONCLUSIVE", "NO DIFFERENCE"], "showed no gain"),
        (["INCONCLUSIVE"], "do not settle"),
    ],
)
def test_the_bottom_line_never_claims_more_than_the_verdicts(words, says):
    assert says in bottom_line(words)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["BETTER", "INCONCLUSIVE"], "The forest is better than the logistic regression here."),
        (["WORSE", "NO DIFFERENCE"], "The forest is worse than the logistic regression here."),
        (["WORSE", "BETTER"], "better than the logistic regression by one measure and worse by"),
        (["NO DIFFERENCE", "NO DIFFERENCE"], "is as good as the logistic regression here"),
        (["INCONCLUSIVE", "NO DIFFERENCE"], "shows no gain over the logistic regression"),
        (["INCONCLUSIVE"], "do not settle whether the forest is better than the logistic regr"),
    ],
)
def test_the_bottom_line_of_two_other_arms_names_them_and_no_distillation(words, says):
    line = bottom_line(words, ("forest", "logistic regression"))
    assert says in line
    assert "istillation" not in line
