"""A teacher that is a file: the probabilities an outside system gave for these rows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from meddistill.config.identity import from_call
from meddistill.data.cohort import Cohort
from meddistill.data.datamodule import CohortDataModule
from meddistill.data.split import Split
from meddistill.errors import SettingError, number
from meddistill.files.atomic import checksum
from meddistill.inference.estimator import clamped_log
from meddistill.inference.known_rows import save_known_rows
from meddistill.teachers.base import Teacher
from meddistill.teachers.kept import save_without_model
from meddistill.teachers.score_file import (
    match_rows,
    read_column,
    read_probabilities,
    read_scores,
)

CLASS = "{class}"


class ScoresTeacher(Teacher):
    """Probabilities by row from a CSV or Parquet file: another model's, a score's, a committee's.

    It has nothing to answer for other rows. Whether the outside system was made from rows that are
    test rows here, nobody can check.

    Args:
        path: The file.
        id: Its column with the row ids, those of the data's own; None matches rows by their order.
        column: Name of a class's column, with `{class}` in place of the class; with two classes it
            may name the one column of the positive class's probability.
        clamp: Lowest probability it answers: files hold rounded zeros, and log 0 would rule the
            soft targets.
        separator: Between cells of a CSV file.
        decimal: Decimal mark in a CSV file.
        encoding: Of a CSV file.

    Raises:
        UserError: The file is absent or can't be read.
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
        self.path, self.id, self.column = from_call(path), id, str(column)
        self.clamp = number("clamp", clamp, above=0, at_most=0.1)
        self.reading = separator, decimal, encoding
        self.frame = read_scores(self.path, *self.reading)

    @property
    def live(self) -> bool:
        """No: nothing could be asked."""
        return False

    @property
    def answers_new_rows(self) -> bool:
        """No: it is answers, and nothing that gives them."""
        return False

    @property
    def trains(self) -> bool:
        """Nothing is trained."""
        return False

    def identity(self) -> dict[str, Any]:
        """The file's content, wherever it lies, and how it is read."""
        own = {"id": self.id, "column": self.column, "clamp": self.clamp}
        return {"scores": checksum(self.path), "reading": list(self.reading), **own}

    def fit(self, cohort: Cohort, split: Split, folder: Path, trainer: Mapping[str, Any]) -> None:
        """Write a model without answers for new rows; there is nothing to train."""
        save_without_model(folder, CohortDataModule(cohort, split), self.clamp)
        save_known_rows(folder, [])  # the file's own; what made the scores is not known

    def answers(self, cohort: Cohort, folder: Path) -> NDArray[np.float64]:
        """[rows, classes] log-probabilities of the cohort's rows.

        Raises:
            UserError: A row has no answer, or a cell is no probability.
        """
        found = torch.from_numpy(self._probabilities(self._rows(cohort), cohort))
        log_probabilities: NDArray[np.float64] = clamped_log(found, self.clamp).numpy()
        return log_probabilities

    def _rows(self, cohort: Cohort) -> pd.DataFrame:
        """The file's lines in the cohort's order."""
        if self.id is not None and not cohort.has_ids:
            mend = "the data have no ids to match: set data.id, or teacher.id=null (rows by order)"
            raise SettingError("teacher.id", self.id, mend)
        if self.id is not None:
            return match_rows(self.frame, self.id, [str(row) for row in cohort.row], self.path)
        if cohort.has_ids:
            mend = f"the data have ids: name the column of {self.path} that holds them"
            raise SettingError("teacher.id", self.id, mend)
        if len(self.frame) != len(cohort.target):
            raise SettingError(
                "teacher.path", self.path, f"has {len(self.frame)} rows, the data "
                f"{len(cohort.target)}: without ids (data.id, teacher.id) rows are matched by "
                "their order, so there must be as many",
            )  # fmt: skip
        return self.frame

    def _probabilities(self, frame: pd.DataFrame, cohort: Cohort) -> NDArray[np.float64]:
        """[rows, classes], each row summing to 1."""
        if CLASS in self.column:
            columns = [self.column.replace(CLASS, name) for name in cohort.classes]
            return read_probabilities(frame, columns, self.path)
        if len(cohort.classes) > 2:
            mend = f"must hold {CLASS}: there are {len(cohort.classes)} classes, a column each"
            raise SettingError("teacher.column", self.column, mend)
        positive = read_column(frame, self.column, self.path)
        return np.stack([1 - positive, positive], axis=1)
