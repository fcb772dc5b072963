"""A teacher that is a file: the probabilities an outside system gave for these rows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from meddistill.data.cohort import Cohort
from meddistill.data.datamodule import CohortDataModule
from meddistill.data.reading import read_table
from meddistill.data.schema import as_text, to_numbers
from meddistill.data.split import Split
from meddistill.errors import SettingError, UserError, number
from meddistill.estimator import clamped_log
from meddistill.files import checksum
from meddistill.model import SCORES, Card, save_card
from meddistill.teachers.base import Teacher

SUM_TOLERANCE = 0.01
CLASS = "{class}"


class ScoresTeacher(Teacher):
    """Probabilities by row from a CSV or Parquet file: another model's, a score's, a committee's.

    Whether they came from rows that are test rows here, nobody can check.

    Args:
        path: The file.
        id: Its column with the row ids, those of the data's own; None matches rows by their order.
        column: Name of a class's column, with `{class}` in place of the class; with two classes it
            may name the one column of the positive class's probability.
        clamp: Lowest probability it answers, since log 0 would rule the soft targets.
        separator: Between cells of a CSV file.
        decimal: Decimal mark in a CSV file.
        encoding: Of a CSV file.
    """

    def __init__(
        self,
        path: str,
        id: str | None = None,
        column: str = CLASS,
        clamp: float = 1e-6,
        separator: str = ",",
        decimal: str = ".",
        encoding: str = "utf-8",
    ) -> None:
        self.path, self.id, self.column = Path(path), id, column
        self.clamp = number("clamp", clamp, above=0, at_most=0.1)
        try:
            self.frame = read_table(self.path, separator, decimal, encoding)
        except SettingError as error:  # the reader speaks of data.*
            raise SettingError(error.key.removeprefix("data."), error.value, error.mend) from None

    def identity(self) -> dict[str, Any]:
        """The file's content, and how it is read."""
        own = {"id": self.id, "column": self.column, "clamp": self.clamp}
        return {"scores": checksum(self.path), **own}

    def fit(self, cohort: Cohort, split: Split, folder: Path, trainer: Mapping[str, Any]) -> None:
        """Check that it has an answer for every row; there is nothing to train."""
        self.answers(cohort, folder)
        data = CohortDataModule(cohort, split)
        data.save_preprocessing(folder)
        save_card(folder, Card.of({}, [], data, SCORES, self.clamp))

    def answers(self, cohort: Cohort, folder: Path) -> NDArray[np.float64]:
        """[rows, classes] log-probabilities of the cohort's rows.

        Raises:
            UserError: A row has no answer, or a cell is no probability.
        """
        frame = self._rows(cohort)
        found = self._probabilities(frame, cohort)
        log_probabilities: NDArray[np.float64] = clamped_log(
            torch.from_numpy(found), self.clamp
        ).numpy()
        return log_probabilities

    def _rows(self, cohort: Cohort) -> pd.DataFrame:
        """The file's lines in the cohort's order."""
        count = len(cohort.target)
        if self.id is None:
            if cohort.has_ids:
                raise UserError(
                    f"teacher.id is not set: the data have ids, so name the column of {self.path} "
                    "that holds them"
                )
            if len(self.frame) != count:
                raise SettingError(
                    "teacher.path", self.path, f"has {len(self.frame)} rows, the data {count}: "
                    "without ids (data.id, teacher.id) rows are matched by their order"
                )  # fmt: skip
            return self.frame
        self._check_column(self.id, "teacher.id")
        ids = as_text(self.frame[self.id])
        if ids.duplicated().any():
            again = ids[ids.duplicated()].iloc[0]
            raise SettingError("teacher.id", self.id, f"{again!r} stands in {self.path} twice")
        rows = [str(row) for row in cohort.row]
        missing = [row for row in rows if row not in set(ids)]
        if missing:
            raise SettingError(
                "teacher.path", self.path,
                f"has no line for {len(missing)} of the {count} rows, first {missing[:3]}",
            )  # fmt: skip
        return self.frame.set_axis(ids).loc[rows]

    def _probabilities(self, frame: pd.DataFrame, cohort: Cohort) -> NDArray[np.float64]:
        """[rows, classes], each line summing to 1."""
        if CLASS not in self.column:
            if len(cohort.classes) != 2:
                raise SettingError(
                    "teacher.column", self.column,
                    f"must hold {CLASS}: there are {len(cohort.classes)} classes",
                )  # fmt: skip
            positive = self._cells(frame, self.column)
            return np.stack([1 - positive, positive], axis=1)
        names = [self.column.replace(CLASS, name) for name in cohort.classes]
        values = np.stack([self._cells(frame, name) for name in names], axis=1)
        sums = values.sum(axis=1)
        wrong = np.flatnonzero(np.abs(sums - 1) > SUM_TOLERANCE)
        if len(wrong):
            first = wrong[0]
            raise SettingError(
                "teacher.path", self.path, f"{len(wrong)} row(s) do not sum to 1, first row "
                f"{frame.index[first]}: {sums[first]:g} over {', '.join(names)}",
            )  # fmt: skip
        normalised: NDArray[np.float64] = values / sums[:, None]
        return normalised

    def _cells(self, frame: pd.DataFrame, name: str) -> NDArray[np.float64]:
        self._check_column(name, "teacher.column")
        numbers = to_numbers(frame[name])
        wrong = frame.index[~numbers.between(0, 1)]
        if len(wrong):
            cell = frame[name].loc[wrong[0]]
            raise SettingError(
                "teacher.path", self.path,
                f"column '{name}', row {wrong[0]}: {cell!r} is no probability between 0 and 1",
            )  # fmt: skip
        cells: NDArray[np.float64] = np.asarray(numbers, dtype=np.float64)
        return cells

    def _check_column(self, name: str, key: str) -> None:
        if name not in self.frame.columns:
            have = ", ".join(map(str, self.frame.columns[:20]))
            raise SettingError(key, name, f"no such column in {self.path}; it has {have}")
