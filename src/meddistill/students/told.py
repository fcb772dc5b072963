"""How much of a teacher's answers some columns tell, and which to take one after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meddistill.data.datamodule import CohortDataModule
from meddistill.data.records import Positions
from meddistill.seeding import derive

Numbers = NDArray[np.float64]
BANDS, RIDGE = 8, 10.0
"""Bands of a column's numbers, and how many rows at the mean each effect is drawn to it by."""
LEAST = 1e-3
"""Probabilities below it are alike: a sure teacher's far ends would rule otherwise."""
MOST_ROWS = 10_000
"""Rows of a part that are looked at."""


@dataclass(frozen=True)
class _Design:
    """Effects of some columns: 0 or 1 for each band and category.

    Attributes:
        train: [training rows, effects].
        held: [validation rows, effects].
    """

    train: Numbers
    held: Numbers

    def beside(self, other: _Design) -> _Design:
        """Both columns' effects."""
        return _Design(np.hstack([self.train, other.train]), np.hstack([self.held, other.held]))


class Told:
    """An additive model of a teacher's answers, of as few columns as are wanted.

    Each column has an effect on the log-probabilities for each eighth of its numbers, each category
    and the empty cell, as the student reads it. Effects are fitted to the teacher's answers to
    training rows by ridge regression; what they tell is the share of the variance of its answers to
    validation rows. No label is read, and no test row.

    Args:
        data: The rows, whole.
        answers: [rows of the cohort, classes] the teacher's log-probabilities.
    """

    def __init__(self, data: CohortDataModule, answers: NDArray[np.float32]) -> None:
        train, held = _some(data.split.train), _some(data.split.validation)
        known = np.maximum(answers.astype(np.float64), np.log(LEAST))
        known -= known.mean(axis=1, keepdims=True)
        mean = known[train].mean(axis=0)
        self._taught, self._asked = known[train] - mean, known[held] - mean
        self._nothing = _Design(np.zeros((len(train), 0)), np.zeros((len(held), 0)))
        self._all = float((self._asked**2).sum())
        self._designs = {
            name: _design(data.with_columns([name]), train, held)
            for name in data.cohort.records.columns
        }

    @property
    def columns(self) -> list[str]:
        """The table's columns."""
        return list(self._designs)

    def forward(
        self,
        may_take: Callable[[list[str]], bool],
        worth: Callable[[str, float], tuple[float, float]],
    ) -> dict[str, float]:
        """Forward selection: the columns in the order taken, with the share told until then.

        It ends where nothing may be taken that tells more.

        Args:
            may_take: Whether columns are allowed together.
            worth: Of a column that adds so much; the largest is taken.
        """
        taken, share, found = self._nothing, 0.0, dict[str, float]()
        while True:
            left = [name for name in self._designs if name not in found]
            allowed = [name for name in left if may_take([*found, name])]
            shares = self._shares(taken, allowed)
            gains = {name: each - share for name, each in shares.items() if each > share}
            if not gains:
                return found
            best = max(gains, key=lambda name: worth(name, gains[name]))
            taken, share = taken.beside(self._designs[best]), shares[best]
            found[best] = share

    def alone(self) -> dict[str, float]:
        """Of every column the share that it tells by itself, the largest first."""
        shares = self._shares(self._nothing, self.columns)
        return dict(sorted(shares.items(), key=lambda item: -item[1]))

    def _shares(self, taken: _Design, names: list[str]) -> dict[str, float]:
        """What the columns taken tell together with each of `names`."""
        gram, moment = taken.train.T @ taken.train, taken.train.T @ self._taught
        return {name: self._share(taken, gram, moment, self._designs[name]) for name in names}

    def _share(self, taken: _Design, gram: Numbers, moment: Numbers, more: _Design) -> float:
        cross = taken.train.T @ more.train
        joint = np.block([[gram, cross], [cross.T, more.train.T @ more.train]])
        joint += RIDGE * np.eye(len(joint))
        effects = np.linalg.solve(joint, np.vstack([moment, more.train.T @ self._taught]))
        left = self._asked - taken.beside(more).held @ effects
        return 1 - float((left**2).sum()) / self._all if self._all else 0.0


def _some(positions: Positions) -> Positions:
    """At most `MOST_ROWS` of a part's rows, drawn where there are more."""
    random = np.random.default_rng(derive(0, "columns"))
    return np.sort(random.permutation(positions)[:MOST_ROWS])


def _design(data: CohortDataModule, train: Positions, held: Positions) -> _Design:
    """The effects of what a network reads."""
    own, others = (data.inputs_at(rows).reshape(len(rows), -1) for rows in (train, held))
    pairs = [_bands(own[:, k], others[:, k]) for k in range(own.shape[1])]
    return _Design(*(np.hstack(part) for part in zip(*pairs, strict=True)))


def _bands(own: NDArray[np.float32], others: NDArray[np.float32]) -> tuple[Numbers, Numbers]:
    """[rows, bands] in which eighth of the training rows' numbers a number lies."""
    edges = np.unique(np.quantile(own, np.linspace(0, 1, BANDS + 1), method="lower"))
    places = np.eye(len(edges) + 1)
    return places[np.searchsorted(edges, own)], places[np.searchsorted(edges, others)]
