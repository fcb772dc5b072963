"""Answers of folds that a killed fit had finished, found again by its repeat."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddistill.config.identity import short_hash
from meddistill.data.records import Positions
from meddistill.files.atomic import write_atomically
from meddistill.teachers.store import Store

Numbers = NDArray[np.float64]
FOLDS, ANSWERS = "folds", "answers.npy"


class FinishedFolds:
    """A store inside a teacher's folder, there only while the folder is not whole.

    Args:
        folder: The teacher's folder.
        made_by: What decides the answers besides the rows; what anything else made is not found.
    """

    def __init__(self, folder: Path, made_by: Sequence[Any]) -> None:
        self.folder, self.made_by = folder / FOLDS, list(made_by)

    def find_or_make(
        self,
        others: Positions,
        held: Positions,
        make: Callable[[Positions, Positions], Numbers],
    ) -> Numbers:
        """[len(held), classes] log-probabilities, kept bit for bit.

        Args:
            others: Positions of the rows that the fold's model is fitted on.
            held: Positions of the fold's own rows, which it answers.
            make: From both to the answers, where they are not there or damaged.
        """

        def write(entry: Path) -> None:
            buffer = io.BytesIO()
            np.save(buffer, make(others, held))
            write_atomically(entry / ANSWERS, buffer.getvalue())

        key = short_hash([self.made_by, others.tolist(), held.tolist()], digits=24)
        answers: Numbers = np.load(Store(self.folder).find_or_make(key, write) / ANSWERS)
        return answers

    def forget(self) -> None:
        """Remove them all."""
        shutil.rmtree(self.folder, ignore_errors=True)
