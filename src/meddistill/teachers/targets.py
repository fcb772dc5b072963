"""A teacher's answers, worked out once and found again by what made them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from meddistill.config.identity import short_hash
from meddistill.data.cohort import Cohort, number_rows
from meddistill.data.records import Records
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
ANSWERS, MORE, COST = "answers.parquet", "unlabelled.parquet", "cost.json"
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
        more: [unlabelled rows, classes] the same for those it was found with, where it keeps no
            model.
        again: The teacher with answers for other unlabelled rows; None where a model gives them.
    """

    key: str
    folder: Path
    log_probabilities: NDArray[np.float32]
    knows_rows: bool = True
    more: NDArray[np.float32] | None = None
    again: Callable[[Sequence[Records]], Targets] | None = None

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

    def of(self, unlabelled: Sequence[Records]) -> NDArray[np.float32]:
        """[all their rows, classes] log-probabilities of rows that are not the cohort's.

        The model gives them that was fitted on all labelled training rows.
        """
        if self.again is not None:
            found = self.again(unlabelled).more
            assert found is not None
            return found
        model = self.model()
        answers = [model.log_probabilities(each) for each in unlabelled]
        return np.concatenate(answers).astype(np.float32)

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
    teacher: Teacher,
    cohort: Cohort,
    split: Split,
    store: Path,
    trainer: Mapping[str, Any],
    unlabelled: Sequence[Records] = (),
) -> Targets:
    """The teacher's answers from the store; the teacher is fitted first where nobody did.

    Args:
        teacher: Where it comes from.
        cohort: All rows.
        split: Which of them train, validate and test.
        store: Folder of the store.
        trainer: Arguments of Lightning's Trainer; a teacher is trained on one device.
        unlabelled: Other rows that a teacher which keeps no model has to answer now.
    """
    made_by = [FORMAT, cohort.fingerprint, split.fingerprint, teacher.identity()]
    made_by += [{name: trainer.get(name) for name in NUMERIC}]
    more = () if teacher.keeps_model else unlabelled
    made_by += [short_hash(each.hashes().tolist(), digits=24) for each in more]
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
        if teacher.keeps_model:
            _write(folder / ANSWERS, cohort, teacher.answers(cohort, folder), cohort.row)
        else:
            answers, others = teacher.last_answers(cohort, more)
            _write(folder / ANSWERS, cohort, answers, cohort.row)
            if others is not None:
                _write(folder / MORE, cohort, others, number_rows(len(others)))
        if not teacher.trains:  # it may have been refused until here
            log.info("teacher: its answers are in the store now (%s)", place)

    folder = Store(store / "teachers").find_or_make(key, make)
    found = Targets(
        key, folder, _read(folder / ANSWERS, cohort.row), (folder / KNOWN_ROWS).exists()
    )
    if teacher.keeps_model:
        return found
    count = sum(map(len, more))
    return replace(
        found,
        more=_read(folder / MORE, number_rows(count)) if count else None,
        again=partial(find_targets, teacher, cohort, split, store, trainer),
    )


def _write(path: Path, cohort: Cohort, answers: NDArray[Any], rows: NDArray[np.object_]) -> None:
    """Answers by row id."""
    frame = pd.DataFrame(answers.astype(np.float32), columns=probability_columns(cohort.classes))
    frame.insert(0, "row", pd.Series(rows, dtype="str"))
    write_atomically(path, frame.to_parquet(index=False))


def _read(path: Path, rows: NDArray[np.object_]) -> NDArray[np.float32]:
    """Answers in the order of `rows`, found by row id."""
    try:
        frame = pd.read_parquet(path).set_index("row")
        ordered = frame.loc[[str(row) for row in rows]]
        answers: NDArray[np.float32] = ordered.to_numpy(dtype=np.float32)
    except (OSError, ValueError, KeyError) as error:
        mend = "remove its folder and repeat the command, which makes it again"
        raise DamagedError(path, str(error), mend) from error
    return answers
