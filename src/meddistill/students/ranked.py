"""Columns by what training rows alone say of them, for tables with far more columns than rows."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from meddistill.data.datamodule import CohortDataModule
from meddistill.data.preprocessing import Features
from meddistill.data.tables.records import TableRecords
from meddistill.errors import SettingError, UserError

Numbers = NDArray[np.float64]
STEPS, REACH = 40, 1e3
"""Strengths of the penalty that are tried, and how far apart the first and the last are."""


def variance(data: CohortDataModule, most: int) -> dict[str, float]:
    """The columns whose training cells vary most, in their own units; see `ranked`.

    Of categories it is the sum of the variances of their indicators.
    """
    rows = data.cohort.records.take(data.split.train)
    assert isinstance(rows, TableRecords)
    cells = rows.cells
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a column without any number
        found = dict(zip(rows.schema.numeric, np.nanvar(cells.numbers, axis=0), strict=True))
    for place, name in enumerate(rows.schema.categorical):
        codes = cells.categories.codes[:, place]
        shares = np.unique(codes[codes >= 0], return_counts=True)[1] / max(1, (codes >= 0).sum())
        found[name] = (shares * (1 - shares)).sum()
    return _largest({name: float(np.nan_to_num(found[name])) for name in rows.columns}, most)


def univariate(data: CohortDataModule, most: int) -> dict[str, float]:
    """The columns of the largest F between the classes, one at a time; see `ranked`.

    The one-way analysis of variance of each input over the labelled training rows; a column has
    that of its best input.
    """
    from sklearn.feature_selection import f_classif

    inputs, target, columns = _labelled(data, "univariate")
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of inputs that don't vary
        scores, _ = f_classif(inputs, target)
    return _largest(_by_column(np.nan_to_num(scores, posinf=np.finfo(float).max), columns), most)


def l1(data: CohortDataModule, most: int) -> dict[str, float]:
    """The columns that a linear classifier with an l1 penalty keeps; see `ranked`.

    Squared hinge loss over the labelled training rows, a class against the others. The penalty is
    loosened step by step as long as no more columns have a coefficient (Tibshirani 1996); a
    column's is the largest of its inputs and the classes.
    """
    from sklearn.svm import LinearSVC, l1_min_c

    inputs, target, columns = _labelled(data, "l1")
    start = float(l1_min_c(inputs, target, loss="squared_hinge"))
    found: dict[str, float] = {}
    for strength in np.geomspace(start, start * REACH, STEPS):
        model = LinearSVC(penalty="l1", dual=False, C=strength, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a penalty so loose that it didn't converge
            largest = np.abs(model.fit(inputs, target).coef_).max(axis=0)
        kept = {name: each for name, each in _by_column(largest, columns).items() if each > 0}
        if len(kept) > most:
            found = found or kept
            break
        found = kept
    return _largest(found, most)


RANKED: dict[str, Callable[[CohortDataModule, int], dict[str, float]]] = {
    "variance": variance,
    "univariate": univariate,
    "l1": l1,
}
"""By the value of `columns.by`."""


def ranked(by: str, data: CohortDataModule, most: int) -> dict[str, float]:
    """At most so many columns with what speaks for each, the largest first.

    Args:
        by: A key of `RANKED`.
        data: The rows, whole; training rows alone are looked at.
        most: Columns at most.

    Raises:
        UserError: No column has anything.
    """
    found = RANKED[by](data, most)
    if not found:
        count = len(data.labelled_train)
        raise UserError(
            f"columns.by={by}: nothing speaks for any column in the training rows, of which "
            f"{count} are labelled: with few of them take columns.by=variance or teacher"
        )
    return found


def _labelled(data: CohortDataModule, by: str) -> tuple[Numbers, NDArray[np.int64], Sequence[str]]:
    """Labelled training rows: inputs [rows, inputs], classes [rows], the column of each input."""
    rows = data.labelled_train
    target = data.cohort.target[rows].astype(np.int64)
    if len(np.unique(target)) < 2:
        mend = "compares classes, and all labelled training rows are of one"
        raise SettingError("columns.by", by, mend)
    inputs, shape = data.inputs_at(rows).reshape(len(rows), -1), data.in_shape
    if isinstance(shape, Features):
        return inputs.astype(np.float64), target, shape.columns
    return inputs.astype(np.float64), target, np.repeat(data.records.columns, shape[-1]).tolist()


def _by_column(scores: Numbers, columns: Sequence[str]) -> dict[str, float]:
    """The largest score of each column's inputs."""
    found: dict[str, float] = {}
    for name, score in zip(columns, scores.tolist(), strict=True):
        found[name] = max(score, found.get(name, 0.0))
    return found


def _largest(scores: dict[str, float], most: int) -> dict[str, float]:
    order = sorted((name for name in scores if scores[name] > 0), key=lambda name: -scores[name])
    return {name: scores[name] for name in order[:most]}
