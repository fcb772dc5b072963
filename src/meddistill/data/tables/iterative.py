"""Empty cells by regressions on the row's other numbers, one column after the other, in rounds.

Van Buuren and Groothuis-Oudshoorn 2011, doi:10.18637/jss.v045.i03; as scikit-learn's
IterativeImputer does it, which gives one value a cell, not several draws.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddistill.data.tables.blocks import Floats
from meddistill.data.tables.filled import Filler, array_of


@dataclass(frozen=True)
class Regressions(Filler):
    """The regressions as coefficients, in the order in which they are asked.

    Attributes:
        start: [columns] what an empty cell is at first.
        lowest: [columns] what it becomes at least.
        highest: [columns] at most.
        column: [steps] which column a step fills.
        weights: [steps, columns] of the others, 0 for the column itself.
        intercept: [steps].
    """

    name = "iterative"
    keys = ("start", "lowest", "highest", "column", "weights", "intercept")
    learned = "of each column of numbers its median, and coefficients by which the others tell it"

    start: Floats
    lowest: Floats
    highest: Floats
    column: NDArray[np.intp]
    weights: Floats
    intercept: Floats

    def __call__(self, scaled: Floats) -> Floats:
        """[rows, columns] with NaN where empty -> without.

        A row's answer is the same to the last bit with whatever other rows it comes.
        """
        empty = np.isnan(scaled)
        filled = np.where(empty, self.start, scaled)
        rows_of = [np.flatnonzero(column) for column in empty.T]
        for column, weights, intercept in zip(
            self.column.tolist(), self.weights, self.intercept, strict=True
        ):
            rows = rows_of[column]
            if len(rows):
                found = (filled[rows] * weights).sum(axis=1) + intercept
                filled[rows, column] = found.clip(self.lowest[column], self.highest[column])
        return filled

    @property
    def plain(self) -> dict[str, Any]:
        """As JSON values."""
        return {key: getattr(self, key).tolist() for key in self.keys}

    @staticmethod
    def of_plain(columns: int, plain: Mapping[str, Any]) -> Regressions:
        """What `plain` gave, every value checked."""
        weights = plain["weights"]
        steps = len(weights)
        column = array_of(plain["column"], steps).astype(np.intp)
        if steps and not 0 <= column.min() <= column.max() < columns:
            raise ValueError("a step fills a column that is not there")
        return Regressions(
            array_of(plain["start"], columns), array_of(plain["lowest"], columns),
            array_of(plain["highest"], columns), column,
            array_of(weights, steps, columns) if steps else np.zeros((0, columns)),
            array_of(plain["intercept"], steps),
        )  # fmt: skip


def fit_regressions(
    scaled: Floats, lowest: Floats, highest: Floats, max_iter: int
) -> tuple[Regressions, Floats]:
    """Learn regressions of each column on the others, by scikit-learn.

    Args:
        scaled: [rows, columns] of training rows, NaN where empty; no column is empty.
        lowest: [columns] lower end of the training range.
        highest: [columns] upper end.
        max_iter: Rounds over all columns, at most.

    Returns:
        The regressions, and how scikit-learn fills the training rows.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401  # it lets it be imported
    from sklearn.impute import IterativeImputer

    columns = scaled.shape[1]
    if columns < 2:
        start = np.nanmedian(scaled, axis=0)
        none = np.zeros(0)
        alone = Regressions(start, lowest, highest, none.astype(np.intp),
                            np.zeros((0, columns)), none)  # fmt: skip
        return alone, alone(scaled)
    imputer = IterativeImputer(
        max_iter=max_iter, initial_strategy="median", min_value=lowest, max_value=highest,
        random_state=0,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the rounds asked for are taken
        expected = imputer.fit_transform(scaled)
    steps = imputer.imputation_sequence_
    weights = np.zeros((len(steps), columns))
    for weight, step in zip(weights, steps, strict=True):
        weight[step.neighbor_feat_idx] = step.estimator.coef_
    fitted = Regressions(
        imputer.initial_imputer_.statistics_, lowest, highest,
        np.array([step.feat_idx for step in steps], dtype=np.intp), weights,
        np.array([step.estimator.intercept_ for step in steps]),
    )  # fmt: skip
    return fitted, expected
