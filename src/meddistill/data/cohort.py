"""A cohort: raw rows with their target, classes and identities, before any split."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from meddistill.data.records import Records

UNLABELLED = "data.unlabelled"
"""The setting that names a file of rows without labels."""


@dataclass(frozen=True)
class Cohort:
    """Raw rows of one study population.

    Attributes:
        name: What it is called in output.
        records: [rows] the raw rows, of one kind.
        target: [rows] class numbers.
        classes: Class names; with two, the positive one is the last.
        row: [rows] row ids as text, unique: the id column's, else the row's number in the file.
        has_ids: Whether the ids are the data's own, so that they mean the same in another file.
        group: [rows] what a row belongs to, such as a patient; a group is never split. None is
            every row by itself.
        fewest: What fewer patients (groups, or rows) have in common gets no input of its own.
        notes: What was guessed, repaired or left out in reading, a sentence each.
        parts: [rows] the part (`train`, `validation` or `test`) that the data's maker put each row
            in; None where there are no such parts.
        unlabelled: Further rows, of no part, for a teacher to answer and a student to learn from;
            their target says nothing.
    """

    name: str
    records: Records
    target: NDArray[np.int64]
    classes: tuple[str, ...]
    row: NDArray[np.object_]
    has_ids: bool = False
    notes: tuple[str, ...] = ()
    group: NDArray[np.object_] | None = None
    fewest: int = 5
    parts: NDArray[np.object_] | None = None
    unlabelled: Cohort | None = None

    @cached_property
    def inputs(self) -> dict[str, Any]:
        """Rows and `unlabelled` ones as they lie in memory, by form: one copy for all splits."""
        return {}

    @property
    def positive(self) -> str | None:
        """The class to find, where there are two."""
        return self.classes[-1] if len(self.classes) == 2 else None

    @cached_property
    def content(self) -> NDArray[np.uint64]:
        """[rows] A hash of each row's content; equal for exact copies."""
        return self.records.hashes()

    @cached_property
    def keys(self) -> list[str]:
        """[rows] What a row is recognised by in another cohort: its id, or its content."""
        return [str(row) for row in self.row] if self.has_ids else self.content_keys

    @cached_property
    def content_keys(self) -> list[str]:
        """[rows] What a row is recognised by where it has no id, or another one.

        The k-th copy of a row is told from the first by its count, so that the same table gives
        the same keys, all different.
        """
        copy = pd.Series(self.content).groupby(self.content).cumcount()
        return [f"{value:016x}#{k}" for value, k in zip(self.content, copy, strict=True)]

    @cached_property
    def fingerprint(self) -> str:
        """A hash of everything a teacher can learn from: rows, classes, their kind, privacy."""
        read = [self.classes, self.records.kind, self.records.spec, self.fewest]
        digest = hashlib.sha256(json.dumps(read, sort_keys=True).encode())
        digest.update(self.content.tobytes())
        digest.update(self.target.tobytes())
        digest.update("\n".join(map(str, self.row)).encode())
        for names in (self.group, self.parts):
            if names is not None:
                digest.update("\n".join(map(str, names)).encode())
        return digest.hexdigest()

    def describe(self) -> str:
        """One line: size, classes and which of them is positive."""
        counts = np.bincount(self.target, minlength=len(self.classes))
        classes = ", ".join(f"{name} {n}" for name, n in zip(self.classes, counts, strict=True))
        positive = f"; positive class: {self.positive}" if self.positive else ""
        size = f"{len(self.target)} rows, {self.records.describe()}"
        return f"{self.name}: {size}; {classes}{positive}"


def number_rows(count: int) -> NDArray[np.object_]:
    """Row ids for data without any: the row's number from 0."""
    rows: NDArray[Any] = np.array([str(row) for row in range(count)], dtype=object)
    return rows
