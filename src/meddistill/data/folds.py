"""Folds within the labelled training rows, for answers by models that did not see the row."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from meddistill.data.cohort import Cohort
from meddistill.data.records import Positions
from meddistill.data.split import fold_of, units_of
from meddistill.seeding import derive


def fold_rows(cohort: Cohort, rows: Positions, folds: int, seed: int) -> NDArray[np.int64]:
    """[len(rows)] The fold of each row, stratified by class.

    A group's rows, and exact copies of a row, stay in one fold, as they stay in one part of a
    split: a sibling in another fold would tell the row's label. Of a class in fewer groups than
    folds some folds have no row; that of a single group is unknown to the models of its own fold.

    Args:
        cohort: All rows.
        rows: Positions of those that are dealt out.
        folds: Number of folds.
        seed: Of the draw.
    """
    random = np.random.default_rng(derive(seed, "folds"))
    target = cohort.target[rows]
    unit = np.unique(units_of(cohort)[0][rows], return_inverse=True)[1]
    size = np.bincount(unit)
    frequency = np.bincount(target, minlength=len(cohort.classes))
    order = np.argsort(-frequency[target], kind="stable")  # the rarest is written last
    stratum = np.zeros(len(size), dtype=np.int64)
    stratum[unit[order]] = target[order]
    fold = np.zeros(len(size), dtype=np.int64)
    for label in np.unique(stratum):
        units = random.permutation(np.flatnonzero(stratum == label))
        fold[units] = fold_of(size[units], folds, int(label))
    found: NDArray[np.int64] = fold[unit]
    return found
