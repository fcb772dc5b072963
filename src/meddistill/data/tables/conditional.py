"""What a column's cells are where the others are as they are: drawn from leaves of honest trees."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

Codes = NDArray[np.float32]
"""[rows, columns] each cell's place among the values of its column, NaN where it is missing."""


@dataclass(frozen=True)
class Leaves:
    """A tree, and the cells that lie in each of its leaves.

    Attributes:
        tree: From the other columns to a leaf.
        donors: [donors] cells, leaf by leaf.
        first: [nodes] the first donor of each node.
        count: [nodes] how many a node has.
    """

    tree: DecisionTreeClassifier | DecisionTreeRegressor
    donors: Codes
    first: NDArray[np.int64]
    count: NDArray[np.int64]

    def draw(self, others: Codes, cells: Codes, random: np.random.Generator) -> Codes:
        """[rows] a donor of each row's leaf; the row's own cell where the leaf has none."""
        leaf = self.tree.tree_.apply(others)
        place = self.first[leaf] + (random.random(len(leaf)) * self.count[leaf]).astype(np.int64)
        found = self.donors[np.minimum(place, len(self.donors) - 1)]
        drawn: Codes = np.where(self.count[leaf] > 0, found, cells)
        return drawn


class Conditional:
    """The distribution of one column given the others.

    Several trees, each grown on a half of the rows; the cells that are drawn are those of the other
    half, by which the leaves were not chosen (honest trees: Athey and Imbens 2016,
    doi:10.1073/pnas.1510489113), so that a leaf's spread is that of new rows. Each drawn cell is
    one that training rows have.

    Args:
        codes: Training rows.
        column: The column's number.
        classes: Whether its cells have no order.
        trees: How many.
        leaf: Rows that a leaf has at least, of those by which it was grown.
        random: What halves and trees are drawn from.
    """

    def __init__(
        self,
        codes: Codes,
        column: int,
        classes: bool,
        trees: int,
        leaf: int,
        random: np.random.Generator,
    ) -> None:
        self.column = column
        rows = np.flatnonzero(~np.isnan(codes[:, column]))
        others, cells = np.delete(codes, column, axis=1)[rows], codes[rows, column]
        kind = DecisionTreeClassifier if classes else DecisionTreeRegressor
        self.leaves = []
        for _ in range(trees):
            order = random.permutation(len(rows))
            grown, held = order[: (len(order) + 1) // 2], order[(len(order) + 1) // 2 :]
            tree = kind(min_samples_leaf=leaf, random_state=int(random.integers(2**31)))
            tree.fit(others[grown], cells[grown])
            self.leaves.append(_with_donors(tree, others[held], cells[held]))

    def redraw(self, codes: Codes, random: np.random.Generator) -> None:
        """Draw the column's cells anew, in place, where they are not missing."""
        rows = np.flatnonzero(~np.isnan(codes[:, self.column]))
        others, cells = np.delete(codes, self.column, axis=1), codes[:, self.column].copy()
        for leaves, part in zip(self.leaves, _dealt(rows, len(self.leaves), random), strict=True):
            codes[part, self.column] = leaves.draw(others[part], cells[part], random)


def _with_donors(
    tree: DecisionTreeClassifier | DecisionTreeRegressor, others: Codes, cells: Codes
) -> Leaves:
    nodes = tree.tree_.node_count
    leaf = tree.tree_.apply(others)
    count = np.bincount(leaf, minlength=nodes)
    return Leaves(tree, cells[np.argsort(leaf, kind="stable")], count.cumsum() - count, count)


def _dealt(
    rows: NDArray[np.int64], parts: int, random: np.random.Generator
) -> list[NDArray[np.int64]]:
    """Each row in one of `parts`, whichever."""
    to = random.integers(0, parts, len(rows))
    return [rows[to == part] for part in range(parts)]
