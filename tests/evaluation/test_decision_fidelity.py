"""Net benefit and fidelity by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import entropy

from meddistill.evaluation.decision import net_benefit, treat_all
from meddistill.evaluation.fidelity import agreement, kl_from_teacher, negative_transfer


def test_net_benefit_weighs_false_positives_by_the_odds_of_the_threshold():
    score = np.array([0.9, 0.6, 0.4, 0.1])
    positive = np.array([True, False, True, False])
    found = net_benefit(score, positive, np.array([0.0, 0.25, 0.5]))
    assert found == pytest.approx([2 / 4, 2 / 4 - 1 / 4 / 3, 1 / 4 - 1 / 4])


def test_acting_on_everybody_is_the_net_benefit_of_a_score_that_calls_everybody():
    thresholds = np.linspace(0, 0.9, 10)
    positive = np.arange(10) < 3
    everybody = net_benefit(np.ones(10), positive, thresholds)
    assert treat_all(0.3, thresholds) == pytest.approx(everybody)


def test_fidelity_counts_rows():
    teacher = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.7, 0.3]])
    student = np.array([[0.8, 0.2], [0.6, 0.4], [0.7, 0.3], [0.9, 0.1]])
    alone = np.array([[0.9, 0.1], [0.1, 0.9], [0.2, 0.8], [0.8, 0.2]])
    target = np.array([0, 1, 1, 1])
    assert agreement(student, teacher) == 0.75
    # row 2: the teacher is wrong, followed, and alone right; row 3: alone is wrong too
    assert negative_transfer(teacher, student, alone, target) == 0.25
    assert kl_from_teacher(student, teacher) == pytest.approx(entropy(teacher.T, student.T).mean())


def test_a_certain_teacher_gives_a_finite_kl():
    assert np.isfinite(kl_from_teacher(np.array([[0.0, 1.0]]), np.array([[1.0, 0.0]])))
