"""Stratified train, validation and test rows, and which of them have labels."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meddistill.data.cohort import Cohort
from meddistill.errors import SettingError, UserError, integer, number

PARTS = ("train", "validation", "test")
Positions = NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """Row positions of each part, ascending, and the order in which rows get their labels.

    Attributes:
        train: [n] positions in the cohort.
        validation: [n] likewise.
        test: [n] likewise.
        turn: [rows] a random number a row; the rows with the lowest are labelled first.
    """

    train: Positions
    validation: Positions
    test: Positions
    turn: NDArray[np.float64]

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
        for positions in (self.train, self.validation):
            for label in np.unique(target[positions]):
                rows = positions[target[positions] == label]
                count = max(1, round(share * len(rows)))
                mask[rows[np.argsort(self.turn[rows], kind="stable")[:count]]] = True
        return mask

    @property
    def fingerprint(self) -> str:
        """A hash of which row is where."""
        arrays = (self.train, self.validation, self.test, self.turn)
        return hashlib.sha256(b"|".join(array.tobytes() for array in arrays)).hexdigest()


def split_cohort(
    cohort: Cohort, split_seed: int = 0, test: float = 0.2, validation: float = 0.2
) -> Split:
    """Stratified parts by class; exact copies of a row stay on one side.

    scikit-learn's stratified splitters may leave a rare class out of a part, where its AUROC would
    be undefined; here each class has at least one row in each part.

    Args:
        cohort: The rows.
        split_seed: Seed of the draw; equal seeds give equal parts on every machine.
        test: Share of the rows for the test part.
        validation: Share of the rows for the validation part.

    Raises:
        UserError: A class has fewer than three different rows, or a share is out of range.
    """
    integer("data.split_seed", split_seed)
    for key, value in {"data.test": test, "data.validation": validation}.items():
        number(key, value, above=0, at_most=0.8)
    if test + validation > 0.9:
        raise SettingError("data.test", test, "with data.validation leaves under a tenth to train")
    random = np.random.default_rng(split_seed)
    _, first, group = np.unique(cohort.content, return_index=True, return_inverse=True)
    part = np.empty(len(first), dtype=np.int64)
    for label, name in enumerate(cohort.classes):
        groups = random.permutation(np.flatnonzero(cohort.target[first] == label))
        if len(groups) < len(PARTS):
            raise UserError(
                f"class '{name}' has {np.sum(cohort.target == label)} row(s), different ones "
                f"{len(groups)}: each class needs 3 (train, validation, test); merge it with "
                "another class or leave its rows out"
            )
        for_test = min(max(1, round(test * len(groups))), len(groups) - 2)
        held = for_test + min(max(1, round(validation * len(groups))), len(groups) - for_test - 1)
        part[groups] = 0
        part[groups[:for_test]] = 2
        part[groups[for_test:held]] = 1
    train, held_out, tested = (np.flatnonzero(part[group] == k) for k in range(len(PARTS)))
    return Split(train, held_out, tested, turn=random.random(len(cohort.target)))
