"""Which models the data leave in play: by hand, and by how often the rule errs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from meddistill.evaluation.standing import shortfalls, standings

RATIO = 1 / 3
MARGINS = {"auroc": 0.01, "log_loss": 0.02}


def about(means, sd, splits, seed=0):
    """[models, splits] whose means are exact and whose spread is about `sd`."""
    noise = np.random.default_rng(seed).normal(scale=sd, size=(len(means), splits))
    return np.array(means)[:, None] + noise - noise.mean(axis=1, keepdims=True)


def test_the_interval_holds_for_all_comparisons_of_a_model_at_once():
    values = about([0.90, 0.93, 0.92], 0.01, 12)
    _, *found = shortfalls({"auroc": values, "log_loss": values}, "auroc", 0, RATIO)
    gaps = values[1] - values[0]
    error = np.sqrt((1 / 12 + RATIO) * gaps.var(ddof=1))
    low, high = stats.t.interval(1 - 0.05 / (2 * 2), 11, gaps.mean(), error)
    assert [ends[1] for ends in found] == pytest.approx([low, high])


def test_the_interval_ends_where_the_measure_does():
    values = np.array([[0.5, 0.9], [0.9, 0.5]])
    for name, ends in {"auroc": (-1, 1), "log_loss": None}.items():
        _, low, high = shortfalls({name: values}, name, 0, RATIO)
        assert ((low[1], high[1]) == ends) if ends else (low[1] < -1 and high[1] > 1)


@pytest.mark.parametrize(
    ("means", "sd", "out", "as_good"),
    [
        ([0.80, 0.90, 0.90], 0.002, [True, False, False], [False, True, True]),
        ([0.80, 0.90, 0.90], 0.200, [False] * 3, [False] * 3),  # nothing is shown either way
        ([0.895, 0.90, 0.90], 0.001, [False] * 3, [True] * 3),  # worse by less than matters
    ],
)
def test_not_shown_to_be_worse_is_another_thing_than_shown_to_be_as_good(means, sd, out, as_good):
    found = standings({"auroc": about(means, sd, 10)}, MARGINS, RATIO)
    assert [each.out for each in found] == out
    assert [each.as_good for each in found] == as_good


def test_one_measure_on_which_it_is_worse_is_enough():
    good, bad = about([0.9, 0.9], 0.001, 10), about([0.5, 0.3], 0.001, 10)
    found = standings({"auroc": good, "log_loss": bad}, MARGINS, RATIO)
    assert [each.out for each in found] == [True, False]


def test_two_splits_with_equal_differences_show_nothing():
    found = standings({"auroc": np.array([[0.5, 0.5], [0.9, 0.9]])}, MARGINS, RATIO)
    assert not any(each.out or each.as_good for each in found)


def test_a_model_without_values_on_the_others_splits_is_neither():
    values = np.array([[0.9, 0.9, np.nan, np.nan], [np.nan, np.nan, 0.5, 0.5]])
    found = standings({"auroc": values}, MARGINS, RATIO)
    assert not any(each.out or each.as_good for each in found)


def test_the_rule_errs_at_the_stated_rate_where_the_interval_is_exact():
    random, out, good = np.random.default_rng(0), 0, 0
    for _ in range(500):  # the first is worse than seven others by exactly the margin
        values = random.normal(scale=0.01, size=(8, 15)) + np.array([0.0, *[0.01] * 7])[:, None]
        first = standings({"auroc": values}, MARGINS, 0.0)[0]
        out, good = out + first.out, good + first.as_good
    assert 0 < out / 500 <= 0.025 + 0.014  # two standard errors
    assert good / 500 <= 0.025
