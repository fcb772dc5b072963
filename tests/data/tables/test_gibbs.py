"""Gibbs sampling: chains come to the distribution of the rows, wherever they begin."""

from __future__ import annotations

import numpy as np
import pytest

from meddistill.data.tables.gibbs import Gibbs

ROWS = 4000
CORRELATION = np.array([[1.0, 0.7, -0.5], [0.7, 1.0, -0.2], [-0.5, -0.2, 1.0]])


def known(random):
    """[rows, 4] three numbers with known correlations, and a class of known odds given the first.

    P(class 1 | first) is the logistic function of twice the first.
    """
    numbers = random.multivariate_normal(np.zeros(3), CORRELATION, ROWS)
    odds = 1 / (1 + np.exp(-2 * numbers[:, 0]))
    drawn = (random.random(ROWS) < odds).astype(np.float64)
    return np.column_stack([numbers, drawn]).astype(np.float32)


@pytest.fixture(scope="module")
def stationary():
    """Rows, where chains began, and where they came to."""
    random = np.random.default_rng(0)
    rows = known(random)
    begun = np.column_stack([random.permutation(column) for column in rows.T])
    begun[:, 0] = np.sort(rows[:, 0])[: ROWS // 4].repeat(4)  # other marginals too
    chains = begun.copy()
    Gibbs(rounds=20).sample(rows, [False, False, False, True], chains, random)
    return rows, begun, chains


def test_marginals_are_right_wherever_the_chains_began(stationary):
    rows, begun, chains = stationary
    for quantile in (0.1, 0.25, 0.5, 0.75, 0.9):
        expected = np.quantile(rows[:, :3], quantile, axis=0)
        assert np.quantile(chains[:, :3], quantile, axis=0) == pytest.approx(expected, abs=0.1)
    assert chains[:, 3].mean() == pytest.approx(0.5, abs=0.03)
    assert abs(np.median(begun[:, 0])) > 1


def test_pairwise_correlations_are_right_wherever_the_chains_began(stationary):
    _, begun, chains = stationary
    assert np.abs(np.corrcoef(begun[:, 1:3].T)[0, 1]) < 0.05
    assert np.corrcoef(chains[:, :3].T) == pytest.approx(CORRELATION, abs=0.06)


def test_the_conditional_of_a_class_is_right(stationary):
    _, _, chains = stationary
    for low, high in ((-1.5, -0.5), (-0.5, 0.5), (0.5, 1.5)):
        inside = (chains[:, 0] > low) & (chains[:, 0] <= high)
        expected = (1 / (1 + np.exp(-2 * chains[inside, 0]))).mean()
        assert chains[inside, 3].mean() == pytest.approx(expected, abs=0.06)


def test_missing_cells_stay_missing_and_are_read_by_the_others():
    random = np.random.default_rng(1)
    rows = known(random)[:1000]
    rows[rows[:, 0] > 0, 1] = np.nan  # whether one is missing tells of another
    chains = rows.copy()
    Gibbs().sample(rows, [False, False, False, True], chains, random)
    assert np.array_equal(np.isnan(chains), np.isnan(rows))
    moved = chains[:, 0]
    assert moved[np.isnan(rows[:, 1])].mean() > 0.5 > -0.5 > moved[~np.isnan(rows[:, 1])].mean()
