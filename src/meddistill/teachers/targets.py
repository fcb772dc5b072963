"""A teacher's answers, worked out once and found again by what made them."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from meddistill.config.compose import short_hash
from meddistill.data.cohort import Cohort
from meddistill.data.split import Split
from meddistill.errors import DamagedError, UserError
from meddistill.evaluation.predictions import probability_columns
from meddistill.files.atomic import LEDGER, read_json, write_atomically, write_json
from meddistill.inference.known_rows import KNOWN_ROWS
from meddistill.inference.loading import copy_model, load_model
from meddistill.inference.mixture import part_folder
from meddistill.inference.model import Model
from meddistill.teachers.base import Teacher
from meddistill.teachers.store import Store

log = logging.getLogger(__name__)
FORMAT = 2
ANSWERS, COST = "answers.parquet", "cost.json"
SHARED = ("accelerator", "precision", "deterministic", "enable_progress_bar")
"""The run's Trainer arguments that hold for its teacher too; its budget is the teacher's own."""
NUMERIC = ("precision", "deterministic")
"""Those of them that change its answers; where it was trained does not make it another teacher."""


@dataclass(frozen=True)
class Targets:
    """A trained teacher and its answers.

    Attributes:
        key: What made it, as a hash.
        folder: Where its model lies.
        log_probabilities: [rows, classes] for every row of the cohort, in nats.
        knows_rows: Whether its folder says which rows it was trained on.
    """

    key: str
    folder: Path
    log_probabilities: NDArray[np.float32]
    knows_rows: bool = True

    _held: list[Model] = field(default_factory=list, repr=False, compare=False)

    def model(self) -> Model:
        """The teacher itself.

        Raises:
            UserError: It was removed from the store meanwhile.
        """
        if self._held:
            return self._held[0]
        try:
            return load_model(self.folder)
        except UserError as error:
            raise UserError(f"{error}; repeat the command, which makes it again") from error

    def hold(self) -> None:
        """Keep the teacher in memory, for use when the store may have been removed."""
        self._held[:] = [self.model()]

    @cached_property
    def parameters(self) -> int:
        """Numbers trained in it."""
        return self.model().num_parameters

    def seconds(self) -> float | None:
        """Time to fit it, where and when it was; None of one not fitted here, or not at once."""
        file = self.folder / COST
        return float(read_json(file)["seconds"]) if file.exists() else None


def find_targets(
    teacher: Teacher, cohort: Cohort, split: Split, store: Path, trainer: Mapping[str, Any]
) -> Targets:
    """The teacher's answers from the store; the teacher is fitted first where nobody did.

    Args:
        teacher: Where it comes from.
        cohort: All rows.
        split: Which of them train, validate and test.
        store: Folder of the store.
        trainer: Arguments of Lightning's Trainer; a teacher is trained on one device.
    """
    made_by = [FORMAT, cohort.fingerprint, split.fingerprint, teacher.identity()]
    made_by += [{name: trainer.get(name) for name in NUMERIC}]
    key = short_hash(made_by, digits=24)
    shared = {name: trainer[name] for name in SHARED if name in trainer}

    def make(folder: Path) -> None:
        place = store / "teachers" / key
        if teacher.trains:
            log.info("teacher: not in the store yet, made now (%s)", place)
        if trainer.get("strategy", "auto") != "auto":
            log.info("teacher: trained on one device")
        resumed, seconds = any(path.name != LEDGER for path in folder.iterdir()), 0.0
        for name, part in teacher.parts.items():
            found = find_targets(part, cohort, split, store, trainer)
            copy_model(found.model().card, found.folder, part_folder(folder, name))
            seconds += found.seconds() or 0.0
        started = time.perf_counter()
        teacher.fit(cohort, split, folder, {**shared, "devices": 1})
        if teacher.trains and not resumed:  # what a killed process spent nobody knows
            write_json(folder / COST, {"seconds": seconds + time.perf_counter() - started})
        answers = teacher.answers(cohort, folder)
        frame = pd.DataFrame(
            answers.astype(np.float32), columns=probability_columns(cohort.classes)
        )
        frame.insert(0, "row", pd.Series(cohort.row, dtype="str"))
        write_atomically(folder / ANSWERS, frame.to_parquet(index=False))
        if not teacher.trains:  # it may have been refused until here
            log.info("teacher: its answers are in the store now (%s)", place)

    folder = Store(store / "teachers").find_or_make(key, make)
    return Targets(key, folder, _read(folder / ANSWERS, cohort), (folder / KNOWN_ROWS).exists())


def _read(path: Path, cohort: Cohort) -> NDArray[np.float32]:
    """Answers in the cohort's order of rows, found by row id."""
    try:
        frame = pd.read_parquet(path).set_index("row")
        ordered = frame.loc[[str(row) for row in cohort.row]]
        answers: NDArray[np.float32] = ordered.to_numpy(dtype=np.float32)
    except (OSError, ValueError, KeyError) as error:
        mend = "remove its folder and repeat the command, which makes it again"
        raise DamagedError(path, str(error), mend) from error
    return answers
