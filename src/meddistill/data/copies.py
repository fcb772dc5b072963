"""Copies among the official parts of a data set: they are told, and the parts stay as they are."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

PARTS = ("train", "validation", "test")


def of_rows(content: NDArray[np.uint64], target: NDArray[np.int64]) -> list[str]:
    """Notes on exact copies, wherever they are.

    Args:
        content: [rows] equal for copies.
        target: [rows] class numbers.
    """
    rows = pd.DataFrame({"content": content, "target": target})
    copies = int(rows["content"].duplicated().sum())
    notes = [f"{copies} row(s) are exact copies of others"] if copies else []
    at_odds = int((rows.groupby("content")["target"].nunique() > 1).sum())
    if at_odds:
        notes.append(f"{at_odds} row(s) have copies of another class: a label of each is wrong")
    return notes


def of_parts(parts: NDArray[np.object_], values: NDArray[np.generic], what: str) -> list[str]:
    """Notes on what two official parts share.

    Args:
        parts: [rows] names of parts.
        values: [rows] what is to be in one part alone.
        what: Such values in words.
    """
    found = {name: np.unique(values[parts == name]) for name in PARTS}
    shared = {
        pair: len(np.intersect1d(found[pair[0]], found[pair[1]])) for pair in combinations(PARTS, 2)
    }
    return [
        f"{one} and {other} share {count} {what}: the official parts stay as they are "
        "(data.split=random keeps such rows together)"
        for (one, other), count in shared.items()
        if count
    ]
