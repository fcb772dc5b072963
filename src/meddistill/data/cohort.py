"""A cohort: raw rows with their target, classes and identities, before any split."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from meddistill.data.blocks import Cells
from meddistill.data.schema import Schema


@dataclass(frozen=True)
class Cohort:
    """Raw rows of one study population.

    Attributes:
        name: What it is called in output.
        features: [rows] prepared by `schema`: float64 and text columns, NaN where missing.
        target: [rows] class numbers.
        classes: Class names; with two, the positive one is the last.
        schema: The feature columns by role.
        row: [rows] row ids as text, unique: the id column's, else the row's number in the file.
        has_ids: Whether the ids are the data's own, so that they mean the same in another file.
        group: [rows] what a row belongs to, such as a patient; a group is never split. None is
            every row by itself.
        fewest: What fewer patients (groups, or rows) have in common gets no input of its own.
        notes: What was guessed, repaired or left out in reading, a sentence each.
    """

    name: str
    features: pd.DataFrame
    target: NDArray[np.int64]
    classes: tuple[str, ...]
    schema: Schema
    row: NDArray[np.object_]
    has_ids: bool = False
    notes: tuple[str, ...] = ()
    group: NDArray[np.object_] | None = None
    fewest: int = 5

    @property
    def positive(self) -> str | None:
        """The class to find, where there are two."""
        return self.classes[-1] if len(self.classes) == 2 else None

    @cached_property
    def cells(self) -> Cells:
        """The cells of `features`."""
        return self.schema.read(self.features)

    @cached_property
    def content(self) -> NDArray[np.uint64]:
        """[rows] A hash of each row's feature cells; equal for exact copies."""
        hashes = pd.util.hash_pandas_object(self.features, index=False)
        return np.asarray(hashes, dtype=np.uint64)

    @cached_property
    def keys(self) -> list[str]:
        """[rows] What a row is recognised by in another cohort: its id, or its content.

        The k-th copy of a row is told from the first by its count, so that the same table gives
        the same keys, all different.
        """
        if self.has_ids:
            return [str(row) for row in self.row]
        copy = pd.Series(self.content).groupby(self.content).cumcount()
        return [f"{value:016x}#{k}" for value, k in zip(self.content, copy, strict=True)]

    @cached_property
    def fingerprint(self) -> str:
        """A hash of everything a model can learn from: rows, classes, columns, privacy."""
        digest = hashlib.sha256(repr((self.classes, self.schema, self.fewest)).encode())
        digest.update(self.content.tobytes())
        digest.update(self.target.tobytes())
        digest.update("\n".join(map(str, self.row)).encode())
        if self.group is not None:
            digest.update("\n".join(map(str, self.group)).encode())
        return digest.hexdigest()

    def describe(self) -> str:
        """One line: size, classes and which of them is positive."""
        counts = np.bincount(self.target, minlength=len(self.classes))
        classes = ", ".join(f"{name} {n}" for name, n in zip(self.classes, counts, strict=True))
        positive = f"; positive class: {self.positive}" if self.positive else ""
        size = f"{len(self.target)} rows, {len(self.schema.columns)} columns"
        return f"{self.name}: {size}; {classes}{positive}"


def number_rows(count: int) -> NDArray[np.object_]:
    """Row ids for data without any: the row's number from 0."""
    rows: NDArray[Any] = np.array([str(row) for row in range(count)], dtype=object)
    return rows
