"""Stratified train, validation and test rows, and which of them have labels."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from meddistill.data.cohort import Cohort
from meddistill.data.records import Positions
from meddistill.errors import SettingError, UserError, integer, number

PARTS = ("train", "validation", "test")
MOST_FOLDS = 20
TEST = VALIDATION = 0.2
"""Share of the rows for the test part, and the validation part, where nothing says which."""
RANDOM, OFFICIAL = "random", "official"
Parts = tuple[Positions, Positions, Positions]
"""Of the training, validation and test part."""


@dataclass(frozen=True)
class Split:
    """Row positions of each part, ascending, and the order in which rows get their labels.

    Attributes:
        train: [n] positions in the cohort.
        validation: [n] likewise.
        test: [n] likewise.
        turn: [rows] a random number a row; the rows with the lowest are labelled first.
        validation_labels: Share of validation rows with labels at every site; None is a site's own.
    """

    train: Positions
    validation: Positions
    test: Positions
    turn: NDArray[np.float64]
    validation_labels: float | None = None

    def part(self, name: str) -> Positions:
        """Positions of the part `name`, one of `PARTS`."""
        positions: Positions = getattr(self, name)
        return positions

    def names(self) -> NDArray[np.object_]:
        """[rows] The name of the part that each row is in."""
        names = np.empty(len(self.turn), dtype=object)
        for name in PARTS:
            names[self.part(name)] = name
        return names

    def labelled(self, target: NDArray[np.int64], share: float) -> NDArray[np.bool_]:
        """[rows] Which rows have labels at a site that labelled `share` of them.

        Drawn by class within training and validation rows, at least one row a class; a smaller
        share is a subset of a larger one. Test rows are always labelled.
        """
        mask = np.zeros(len(target), dtype=bool)
        mask[self.test] = True
        held = share if self.validation_labels is None else self.validation_labels
        for positions, part_share in ((self.train, share), (self.validation, held)):
            for label in np.unique(target[positions]):
                rows = positions[target[positions] == label]
                count = max(1, round(part_share * len(rows)))
                mask[rows[np.argsort(self.turn[rows], kind="stable")[:count]]] = True
        return mask

    @property
    def fingerprint(self) -> str:
        """A hash of which row is where."""
        arrays = [self.train, self.validation, self.test, self.turn]
        if self.validation_labels is not None:
            arrays.append(np.array([self.validation_labels]))
        return hashlib.sha256(b"|".join(array.tobytes() for array in arrays)).hexdigest()


def split_cohort(
    cohort: Cohort,
    split_seed: int = 0,
    test: float | None = None,
    validation: float | None = None,
    fold: Sequence[int] | None = None,
    validation_labels: float | None = None,
    split: str = RANDOM,
) -> Split:
    """Stratified parts by class; a group's rows, and exact copies of a row, stay on one side.

    scikit-learn's stratified splitters may leave a rare class out of a part, where its AUROC would
    be undefined; here each class has at least one row in each part. A fold's test part alone may
    lack a class with fewer groups (rows, where there are none) than folds.

    Args:
        cohort: The rows.
        split_seed: Seed of the draw; equal seeds give equal parts on every machine.
        test: Share of the rows for the test part; None is 0.2, or what `fold` says.
        validation: Share of the rows for the validation part; None is 0.2.
        fold: [k, K]: the test part is the k-th of K, k from 0; together they are all rows.
        validation_labels: Share of validation rows with labels at every site; None is a site's own.
        split: `random`, or `official`: the parts that came with the data. Where these have no
            validation part, it is drawn from their training part.

    Raises:
        UserError: A class has too few rows or groups to be in each part, or a setting is out of
            range.
    """
    _check(split_seed, test, validation, fold)
    if validation_labels is not None:
        number("data.validation_labels", validation_labels, above=0, at_most=1)
    random = np.random.default_rng(split_seed)
    if _is_official(split, cohort, test, validation, fold):
        parts = _official(cohort, random, validation or VALIDATION)
    else:
        parts = _drawn(cohort, random, test or TEST, validation or VALIDATION, fold)
    _check_classes(cohort, *parts, fold)
    return Split(*parts, random.random(len(cohort.target)), validation_labels)


def _drawn(
    cohort: Cohort,
    random: np.random.Generator,
    test: float,
    validation: float,
    fold: Sequence[int] | None,
) -> Parts:
    """Stratified parts."""
    unit, stratum, size = units_of(cohort)
    part = np.empty(len(stratum), dtype=np.int64)
    for label, name in enumerate(cohort.classes):
        units = random.permutation(np.flatnonzero(stratum == label))
        if len(units) < len(PARTS) and cohort.group is None:
            raise UserError(
                f"class '{name}' has {np.sum(cohort.target == label)} row(s), different ones "
                f"{len(units)}: each class needs 3 (train, validation, test); merge it with "
                "another class or leave its rows out"
            )
        if fold is None:
            tested = units[: _head(size[units], round(test * size[units].sum()), spare=2)]
        else:
            tested = units[fold_of(size[units], fold[1], label) == fold[0]]
        rest = units[~np.isin(units, tested)]
        part[units] = 0
        part[tested] = 2
        held = _head(size[rest], round(validation * size[units].sum()), spare=1)
        part[rest[:held]] = 1
    train, held_out, tested = (np.flatnonzero(part[unit] == k) for k in range(len(PARTS)))
    return train, held_out, tested


def _check(
    split_seed: int, test: float | None, validation: float | None, fold: Sequence[int] | None
) -> None:
    integer("data.split_seed", split_seed)
    validation = VALIDATION if validation is None else validation
    shares = {"data.test": TEST if test is None else test, "data.validation": validation}
    for key, value in shares.items():
        number(key, value, above=0, at_most=0.8)
    if fold is not None:
        _check_fold(fold, test, validation)
    elif sum(shares.values()) > 0.9:
        mend = "with data.validation leaves under a tenth to train"
        raise SettingError("data.test", shares["data.test"], mend)


def _check_fold(fold: Any, test: float | None, validation: float) -> None:
    pair = isinstance(fold, Sequence) and [type(each) for each in fold] == [int, int]
    if not pair or not 2 <= fold[1] <= MOST_FOLDS or not 0 <= fold[0] < fold[1]:
        mend = f"must be [k, K]: fold k, from 0, of K folds (2 to {MOST_FOLDS})"
        raise SettingError("data.fold", fold, mend)
    if test is not None:
        mend = f"the test part is fold {fold[0]} of {fold[1]}, however large: leave data.test out"
        raise SettingError("data.test", test, mend)
    if 1 / fold[1] + validation > 0.9:
        raise SettingError("data.validation", validation, f"with {fold[1]} folds leaves no rows")


def _is_official(
    split: str,
    cohort: Cohort,
    test: float | None,
    validation: float | None,
    fold: Sequence[int] | None,
) -> bool:
    """Whether the parts are those that came with the data, with nothing said against it."""
    if split not in (RANDOM, OFFICIAL):
        raise SettingError("data.split", split, f"must be {RANDOM} or {OFFICIAL}")
    if split == RANDOM:
        return False
    if cohort.parts is None:
        mend = f"these data came without parts: data.split={RANDOM} draws them"
        raise SettingError("data.split", split, mend)
    held = validation if "validation" in cohort.parts else None
    for key, value in {"test": test, "validation": held, "fold": fold}.items():
        if value is not None:
            mend = f"the parts are the official ones: leave it out, or take data.split={RANDOM}"
            raise SettingError(f"data.{key}", value, mend)
    return True


def _official(cohort: Cohort, random: np.random.Generator, validation: float) -> Parts:
    """Positions of the official parts, whatever copies or groups they share."""
    assert cohort.parts is not None
    train, held, tested = (np.flatnonzero(cohort.parts == name) for name in PARTS)
    if not len(held) and len(train):
        unit, stratum, size = units_of(cohort, train)
        chosen = np.zeros(len(size), dtype=bool)
        for label in range(len(cohort.classes)):
            units = random.permutation(np.flatnonzero(stratum == label))
            count = _head(size[units], round(validation * size[units].sum()), spare=1)
            chosen[units[:count]] = True
        train, held = train[~chosen[unit]], train[chosen[unit]]
    return train, held, tested


def units_of(
    cohort: Cohort, among: Positions | None = None
) -> tuple[Positions, Positions, Positions]:
    """What must stay together: [rows] each row's unit; [units] its class and number of rows.

    The class of a unit of several is the rarest, so that a rare class is spread over the parts.
    Without groups a unit counts as one row, however many copies there are of it.

    Args:
        cohort: The rows.
        among: Positions of those that are meant; None is all.
    """
    rows_meant = slice(None) if among is None else among
    content, target = cohort.content[rows_meant], cohort.target[rows_meant]
    _, first, unit = np.unique(content, return_index=True, return_inverse=True)
    if cohort.group is None:
        return unit, target[first], np.ones(len(first), dtype=np.int64)
    group = np.unique(cohort.group[rows_meant].astype(str), return_inverse=True)[1]
    rows, nodes = len(unit), len(first) + group.max() + 1
    ends = (np.concatenate([unit, len(first) + group]), np.ones(2 * rows, dtype=bool))
    edges = coo_array((ends[1][:rows], (ends[0][:rows], ends[0][rows:])), shape=(nodes, nodes))
    unit = connected_components(edges, directed=False)[1][unit]
    frequency = np.bincount(target, minlength=len(cohort.classes))
    order = np.argsort(-frequency[target], kind="stable")  # the rarest is written last
    stratum = np.zeros(unit.max() + 1, dtype=np.int64)
    stratum[unit[order]] = target[order]
    return unit, stratum, np.bincount(unit)


def _head(size: Positions, wanted: int, spare: int) -> int:
    """How many of the first units hold about as many rows as wanted: one at least, and some left.

    Args:
        size: [units] rows of each.
        wanted: Rows.
        spare: Units that must be left.
    """
    if len(size) == 0:
        return 0
    count = int(np.argmin(np.abs(size.cumsum() - wanted))) + 1
    return max(0, min(max(1, count), len(size) - spare))


def fold_of(size: Positions, folds: int, label: int) -> Positions:
    """[units] The fold of each, of about as many rows; classes begin with different folds."""
    if len(size) == 0:
        return np.zeros(0, dtype=np.int64)
    middle = (size.cumsum() - size / 2) / size.sum()
    fold: Positions = (np.floor(middle * folds).astype(np.int64) + label) % folds
    return fold


def _check_classes(
    cohort: Cohort,
    train: Positions,
    validation: Positions,
    test: Positions,
    fold: Sequence[int] | None,
) -> None:
    """Each class in each part; a fold's test part may lack one."""
    parts = {"train": train, "validation": validation} | ({"test": test} if fold is None else {})
    for part, rows in parts.items():
        counts = np.bincount(cohort.target[rows], minlength=len(cohort.classes))
        if (counts == 0).any():
            name = cohort.classes[int(np.argmin(counts))]
            unit = "different rows" if cohort.group is None else "groups (data.group)"
            raise UserError(
                f"class '{name}' is in too few {unit} to be in each part; there is none for "
                f"{part}: merge it with another class or leave its rows out"
            )
