"""What training rows teach a preprocessing, by scikit-learn; nothing of a few patients alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from meddistill.data.patients import Patients
from meddistill.data.tables.blocks import Categories, Cells, Codes, Floats
from meddistill.data.tables.encoding import CategoryInputs, NumberInputs
from meddistill.data.tables.preprocessing import TablePreprocessing
from meddistill.data.tables.schema import Schema

MAX_CATEGORIES = 50
"""A column's categories beyond the most frequent ones share one input."""
EMPTY, OTHER = "\0empty", "\0other"
"""Cells as scikit-learn reads them: no category is spelled so."""
Learned = tuple[NumberInputs, list[NDArray[Any]]]
"""Inputs of the numbers, and how scikit-learn answers the training rows."""


def fit_preprocessing(
    schema: Schema,
    cells: Cells,
    fewest: int = 1,
    group: NDArray[np.object_] | None = None,
    *,
    masked: bool = False,
) -> TablePreprocessing:
    """Learn medians, scales and categories from training rows alone.

    What fewer than `fewest` patients have in common gets no input of its own: a category, an empty
    cell. A column in which fewer have a number is not read.

    Args:
        schema: The columns to read.
        cells: Training rows.
        fewest: Patients.
        group: [rows] whom a row belongs to; None is a patient a row.
        masked: Whether an empty cell of numbers is 0 with a mask beside it, in place of a median.

    Raises:
        SettingError: There are not that many patients.
    """
    patients = Patients.of(len(cells.numbers), fewest, group)
    fit_numbers = _without_numbers if not schema.numeric else _by_mask if masked else _by_median
    numbers, expected = fit_numbers(schema.numeric, cells.numbers, patients)
    categories = _fit_categories(schema.categorical, cells.categories, patients)
    fitted = TablePreprocessing(schema, numbers, categories)
    _check(fitted, cells, [*expected, *_encoded(categories, cells.categories)])
    return fitted


def _without_numbers(columns: tuple[str, ...], values: Floats, patients: Patients) -> Learned:
    nothing = np.zeros(0)
    none = np.zeros(0, dtype=np.intp)
    inputs = (nothing.astype(bool), *[nothing] * 5, none, *[nothing] * 3)
    return NumberInputs(columns, *inputs), []


def _by_median(columns: tuple[str, ...], values: Floats, patients: Patients) -> Learned:
    """Empty cells get their column's median; an indicator of those of which there are enough."""
    from sklearn.impute import SimpleImputer
    from sklearn.preprocessing import StandardScaler

    values, known, lowest, highest = _readable(values, patients)
    empty = np.isnan(values)
    flagged = np.flatnonzero(known & _are_enough(empty, patients))
    imputer = SimpleImputer(strategy="median", keep_empty_features=True)
    scaler, flag_scaler = StandardScaler(), StandardScaler()
    expected = [scaler.fit_transform(imputer.fit_transform(values))]
    flag_mean = flag_scale = np.zeros(0)
    if len(flagged):
        expected.append(flag_scaler.fit_transform(empty[:, flagged]))
        flag_mean, flag_scale = flag_scaler.mean_, flag_scaler.scale_
    numbers = NumberInputs(
        columns, known, imputer.statistics_, scaler.mean_, scaler.scale_, lowest, highest,
        flagged, flag_mean, flag_scale, flag_mean,
    )  # fmt: skip
    return numbers, expected


def _by_mask(columns: tuple[str, ...], values: Floats, patients: Patients) -> Learned:
    """Empty cells are 0 once the others are scaled; beside each column 1 where it is empty.

    Every column has its mask, also one that no training row lacks.
    """
    from sklearn.impute import SimpleImputer
    from sklearn.preprocessing import StandardScaler

    values, known, lowest, highest = _readable(values, patients)
    empty, flagged = np.isnan(values), np.flatnonzero(known)
    share = np.where(_are_enough(empty, patients), empty.mean(axis=0), 0)[flagged]
    scaler = StandardScaler().fit(np.where(known, values, 0))
    mean, scale = scaler.mean_, scaler.scale_
    zero = SimpleImputer(strategy="constant", fill_value=0, keep_empty_features=True)
    expected = [zero.fit_transform(scaler.transform(values)), empty[:, flagged]]
    numbers = NumberInputs(
        columns, known, mean, mean, scale, lowest, highest,
        flagged, np.zeros(len(flagged)), np.ones(len(flagged)), share,
    )  # fmt: skip
    return numbers, expected


def _are_enough(empty: NDArray[np.bool_], patients: Patients) -> NDArray[np.bool_]:
    """[columns] whether so many patients lack it in one of their rows that it may be told."""
    enough: NDArray[np.bool_] = patients.joined(np.logical_or, empty).sum(axis=0) >= patients.fewest
    return enough


def _readable(
    values: Floats, patients: Patients
) -> tuple[Floats, NDArray[np.bool_], Floats, Floats]:
    """Numbers of columns in which enough patients have one, which these are, and their ends."""
    lowest, highest = patients.ends(values, values)
    known = ~np.isnan(lowest)
    ends = np.where(known, lowest, 0), np.where(known, highest, 0)
    return np.where(known, values, np.nan), known, *ends


def _fit_categories(
    columns: tuple[str, ...], cells: Categories, patients: Patients
) -> CategoryInputs:
    found = [
        _known(codes, names, patients.number, patients.fewest)
        for codes, names in zip(cells.codes.T, cells.names, strict=True)
    ]
    return CategoryInputs(
        columns, tuple(known for known, _ in found), tuple(rare for _, rare in found)
    )


def _known(
    codes: Codes, unsorted: Sequence[str], patient: NDArray[Any], fewest: int
) -> tuple[tuple[str | None, ...], bool]:
    """Categories with an input of their own, and whether enough patients share the rare one.

    The most frequent ones are kept, of equal ones those that come last in the alphabet, as
    scikit-learn's OneHotEncoder does.
    """
    names = sorted(unsorted)
    place = {name: number for number, name in enumerate(names)}
    codes = np.array([*(place[name] for name in unsorted), -1])[codes]
    patients = patient.max() + 1
    pairs = np.unique((codes + 1) * patients + patient)  # a patient counts once; 0 is the empty one
    counts = np.bincount(pairs // patients, minlength=len(names) + 1)
    frequent = counts >= fewest
    if frequent.sum() + 1 > MAX_CATEGORIES:
        frequent[np.argsort(counts, kind="stable")[: 1 - MAX_CATEGORIES]] = False
    sharing = len(np.unique(pairs[~frequent[pairs // patients]] % patients))
    every = [None, *names]
    return tuple(every[place] for place in np.flatnonzero(frequent)), sharing >= fewest


def _encoded(categories: CategoryInputs, cells: Categories) -> list[NDArray[Any]]:
    """Training rows as scikit-learn's OneHotEncoder answers them."""
    from sklearn.preprocessing import OneHotEncoder

    if not categories.columns:
        return []
    wanted, read = [], np.empty(cells.codes.shape, dtype=object)
    for place, (known, rare) in enumerate(zip(categories.known, categories.rare, strict=True)):
        column = pd.Series(cells.texts(place))
        listed = [EMPTY if category is None else category for category in known]
        filled = column.where(column.notna(), EMPTY)
        read[:, place] = filled.where(filled.isin(listed), OTHER)
        wanted.append([*listed, OTHER] if rare else listed)
    encoder = OneHotEncoder(
        categories=wanted, handle_unknown="ignore", sparse_output=False, dtype=np.float32
    )
    return [encoder.fit_transform(read)]


def _check(fitted: TablePreprocessing, cells: Cells, expected: Sequence[NDArray[Any]]) -> None:
    """Compare with scikit-learn on the training rows, to the last bit."""
    wanted = np.concatenate(expected, axis=1).astype(np.float32)
    if not np.array_equal(fitted.inputs(cells), wanted):
        raise RuntimeError(
            "the preprocessing answers its training rows otherwise than scikit-learn, which is a "
            "fault of meddistill: please report it"
        )
