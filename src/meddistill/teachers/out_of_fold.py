"""Answers for a teacher's own training rows by models that were not fitted on them.

A teacher that interpolates its training rows answers their labels there, and knows more than it
can tell; what it would say of such a row as a new one is said by a model of the other folds.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from meddistill.data.cohort import Cohort
from meddistill.data.records import Positions
from meddistill.errors import UserError
from meddistill.files.atomic import write_atomically
from meddistill.inference.card import OUT_OF_FOLD, Card
from meddistill.inference.estimator import tempered
from meddistill.inference.mixture import MixedModel, part_folder
from meddistill.inference.model import Model
from meddistill.teachers.finished_folds import FinishedFolds, Numbers


def answer_out_of_fold(
    fit: Callable[[Positions], nn.Module],
    inputs_at: Callable[[Positions], NDArray[np.float32]],
    rows: Positions,
    fold: NDArray[np.int64],
    finished: FinishedFolds,
) -> Numbers:
    """[len(rows), classes] log-probabilities, each row's by a model fitted without its fold.

    Args:
        fit: From positions of the rows to fit to a model: inputs -> log-probabilities.
        inputs_at: From positions in the cohort to inputs [len(positions), features].
        rows: Positions of the rows the teacher is fitted on.
        fold: [len(rows)] the fold of each.
        finished: Folds that need not be fitted again; it keeps each one that is.

    Raises:
        UserError: There are no two folds.
    """
    numbers = np.unique(fold)
    if len(numbers) < 2:
        raise UserError(
            f"teacher.out_of_fold=true: the {len(rows)} labelled training rows belong to one group "
            "(data.group), which can't be cut into folds; set teacher.out_of_fold=false"
        )

    def answer(others: Positions, held: Positions) -> Numbers:
        answers: Numbers = fit(others)(torch.from_numpy(inputs_at(held))).numpy()
        return answers

    found: dict[int, Numbers] = {}
    for number in numbers:
        answers = finished.find_or_make(rows[fold != number], rows[fold == number], answer)
        found |= dict(zip(np.flatnonzero(fold == number), answers, strict=True))
    return np.stack([found[place] for place in range(len(rows))])


def save_out_of_fold(folder: Path, cohort: Cohort, rows: Positions, answers: Numbers) -> None:
    """Write answers [len(rows), classes], untempered, by the keys that rows are recognised by."""
    frame = pd.DataFrame(answers, columns=list(map(str, range(answers.shape[1]))))
    frame.insert(0, "key", [cohort.keys[row] for row in rows])
    write_atomically(folder / OUT_OF_FOLD, frame.to_parquet(index=False))


def teaching_answers(model: Model, cohort: Cohort, folder: Path) -> Numbers:
    """[rows, classes] log-probabilities, out-of-fold ones for rows that the model was fitted on."""
    if not isinstance(model, MixedModel):
        answers = model.log_probabilities(cohort.records)
        return with_out_of_fold(answers, model.card, cohort, folder)
    parts = {
        name: teaching_answers(part, cohort, part_folder(folder, name))
        for name, part in model.by_name.items()
    }
    return model.mixed(parts)


def with_out_of_fold(answers: Numbers, card: Card, cohort: Cohort, folder: Path) -> Numbers:
    """[rows, classes] with the out-of-fold answers in the place of rows the model was fitted on."""
    if not card.out_of_fold:
        return answers
    frame = pd.read_parquet(folder / OUT_OF_FOLD).set_index("key")
    place = {key: number for number, key in enumerate(cohort.keys)}
    frame = frame[frame.index.isin(place)]
    found = answers.copy()
    held = torch.from_numpy(frame.to_numpy(dtype=np.float64, copy=True))
    found[[place[key] for key in frame.index]] = tempered(held, card.temperature).numpy()
    return found
