"""Thresholds that validation rows choose, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from meddistill.errors import SettingError
from meddistill.evaluation.members import evaluate_members
from meddistill.evaluation.thresholds import called_at, rule_of

SCORE = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05])
TRUTH = np.array([1, 0, 1, 1, 0, 1, 0, 0, 0, 0])
BOTH = np.stack([1 - SCORE, SCORE], axis=1)


@pytest.mark.parametrize(
    ("given", "threshold"),
    [
        (0.3, 0.3),
        ("prevalence", 0.4),
        ("youden", 0.4),  # 4 of 4 found, 4 of 6 left out
        ("sensitivity:0.95", 0.4),
        ("sensitivity:0.75", 0.6),
        ("sensitivity:0.5", 0.7),
        ("sensitivity:0.51", 0.6),
        ("sensitivity:1", 0.4),
        ("cost:5", 1 / 6),
        ("cost:0.25", 0.8),
    ],
)
def test_a_rule_gives_the_threshold_worked_out_by_hand(given, threshold):
    assert rule_of(given)(BOTH, TRUTH) == pytest.approx(threshold)


def test_the_highest_threshold_of_a_sensitivity_is_taken():
    least = 0.75
    chosen = rule_of(f"sensitivity:{least}")(BOTH, TRUTH)
    found = evaluate_members(np.stack([BOTH, BOTH]), TRUTH, np.array([chosen, chosen + 1e-9]))
    assert found["sensitivity"][0] >= least > found["sensitivity"][1]


@pytest.mark.parametrize(
    "wrong",
    ["yuden", "sensitivity", "sensitivity:2", "sensitivity:x", "cost:0", "cost:-1", "cost:nan",
     "youden:1", "", "sensitivity:0", 0, 1.5, True, None],
)  # fmt: skip
def test_a_value_that_is_no_threshold_is_refused_with_those_that_are(wrong):
    with pytest.raises(SettingError, match="threshold="):
        rule_of(wrong)


def test_rows_of_one_class_choose_none_and_few_promise_nothing():
    with pytest.raises(SettingError, match="all of one class"):
        rule_of("youden").check(np.zeros(9, dtype=np.int64))
    assert "4 positive validation rows are too few" in (rule_of("sensitivity:0.95").check(TRUTH))
    assert rule_of("sensitivity:0.95").check(np.repeat([0, 1], 80)) is None
    assert rule_of("cost:5").check(np.zeros(9, dtype=np.int64)) is None


@pytest.mark.parametrize("given", ["youden", "prevalence"])
def test_a_rule_that_few_rows_of_a_class_choose_says_so(given):
    few = np.repeat([0, 1], [80, 12])
    assert f"threshold={given}: the validation rows have 12 positive" in rule_of(given).check(few)
    assert "have 12 negative ones" in rule_of(given).check(1 - few)
    assert rule_of(given).check(np.repeat([0, 1], [80, 20])) is None


def test_shares_at_a_threshold_are_counts():
    assert called_at(SCORE, TRUTH == 1, 0.6) == {
        "sensitivity": (3, 4), "specificity": (5, 6), "ppv": (3, 4), "npv": (5, 6)
    }  # fmt: skip
    assert called_at(SCORE, TRUTH == 1, 1.0)["ppv"] == (0, 0)


def test_a_student_that_diverged_has_a_threshold_all_the_same():
    assert rule_of("youden")(np.full((10, 2), np.nan), TRUTH) == 0.5
