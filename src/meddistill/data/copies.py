"""Copies among the official parts of a data set: they are told, and the parts stay as they are."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

PARTS = ("train", "validation", "test")


def found(
    content: NDArray[np.uint64],
    target: NDArray[np.int64],
    parts: NDArray[np.object_] | None,
    group: NDArray[np.object_] | None,
) -> list[str]:
    """Notes on copies of rows, and on what official parts share.

    Args:
        content: [rows] equal for copies.
        target: [rows] class numbers.
        parts: [rows] official parts, or None.
        group: [rows] what rows belong to, or None.
    """
    notes = _of_rows(content, target)
    if parts is not None:
        notes += _of_parts(parts, content, "copies")
        notes += [] if group is None else _of_parts(parts, group.astype(str), "groups")
    return notes


def _of_rows(content: NDArray[np.uint64], target: NDArray[np.int64]) -> list[str]:
    """Notes on exact copies, wherever they are."""
    rows = pd.DataFrame({"content": content, "target": target})
    copies = int(rows["content"].duplicated().sum())
    notes = [f"{copies} row(s) are exact copies of others"] if copies else []
    at_odds = int((rows.groupby("content")["target"].nunique() > 1).sum())
    if at_odds:
        notes.append(f"{at_odds} row(s) have copies of another class: a label of each is wrong")
    return notes


def _of_parts(parts: NDArray[np.object_], values: NDArray[np.generic], what: str) -> list[str]:
    """Notes on the values [rows] that two official parts have both; `what` they are in words."""
    own = {name: np.unique(values[parts == name]) for name in PARTS}
    shared = {
        pair: len(np.intersect1d(own[pair[0]], own[pair[1]])) for pair in combinations(PARTS, 2)
    }
    return [
        f"{one} and {other} share {count} {what}: the official parts stay as they are "
        "(data.split=random keeps such rows together)"
        for (one, other), count in shared.items()
        if count
    ]
