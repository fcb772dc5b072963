"""What is kept of a fitted classifier: itself, or its answers alone."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from meddistill.config.identity import files_named
from meddistill.data.cohort import Cohort
from meddistill.data.datamodule import CohortDataModule
from meddistill.data.preprocessing import PREPROCESSING
from meddistill.data.records import Positions, Records
from meddistill.files.atomic import checksum
from meddistill.inference.card import SCORES, Card, save_card
from meddistill.inference.estimator import EstimatorModel, tempered
from meddistill.inference.estimator_file import save_estimator
from meddistill.once import NOTE
from meddistill.teachers.finished_folds import Numbers
from meddistill.teachers.out_of_fold import save_out_of_fold

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fit:
    """A fitted classifier, whole, before it is kept or dropped.

    Attributes:
        model: Raw rows -> log-probabilities.
        rows: Positions in the cohort of the rows it was fitted on.
        held: [len(rows), classes] their answers by classifiers of other folds, untempered; None
            where the model itself answers them.
    """

    model: EstimatorModel
    rows: Positions
    held: Numbers | None

    def answers(self, cohort: Cohort) -> Numbers:
        """[rows, classes] log-probabilities of the cohort's rows, as `with_out_of_fold` has it."""
        if self.held is None:
            return self.model.log_probabilities(cohort.records)
        others = np.setdiff1d(np.arange(len(cohort.target)), self.rows)
        found = np.empty((len(cohort.target), self.held.shape[1]))
        found[others] = self.model.log_probabilities(cohort.records.take(others))
        found[self.rows] = tempered(
            torch.from_numpy(self.held), self.model.card.temperature
        ).numpy()
        return found

    def answers_of(self, more: Sequence[Records]) -> Numbers | None:
        """[rows of all, classes] log-probabilities of other rows; None of none."""
        if not more:
            return None
        return np.concatenate([self.model.log_probabilities(each) for each in more])


def save_fit(folder: Path, cohort: Cohort, fit: Fit) -> None:
    """Write the classifier, and its out-of-fold answers."""
    save_estimator(folder, fit.model.answers.estimator)
    if fit.held is not None:
        save_out_of_fold(folder, cohort, fit.rows, fit.held)
    fit.model.preprocessing.save(folder / PREPROCESSING)
    save_card(folder, fit.model.card)


def save_without_model(folder: Path, data: CohortDataModule, clamp: float) -> None:
    """Write a folder that `load_model` reads, of which nothing can be asked."""
    data.save_preprocessing(folder)
    save_card(folder, Card.of({}, [], data, SCORES, clamp))


def say_dropped(target: str) -> None:
    """Say that a classifier's answers are all that is kept, and the licence of its package."""
    stated = licence_of(target)
    if stated:
        log.info("teacher: by %s (weights may have a licence of their own)", stated, **NOTE)
    log.info("teacher: its answers are kept and no model (teacher.keep=answers)", **NOTE)


def licence_of(target: str) -> str | None:
    """The package of a class with the licence that it states; None where it states none.

    Args:
        target: The class by its full name.
    """
    name = target.partition(".")[0]
    try:
        said = metadata.metadata(name).json
    except metadata.PackageNotFoundError:  # or it is called otherwise than what it installs
        return None
    classifiers = [each for each in said.get("classifier", []) if each.startswith("License")]
    stated = str(said.get("license_expression") or said.get("license") or "; ".join(classifiers))
    if not stated:
        return None
    return f"{name} {metadata.version(name)}, whose package states: {stated.splitlines()[0]}"


def files_of(node: Mapping[str, Any]) -> dict[str, Any]:
    """The content of files that a classifier's settings name, such as weights; empty of none."""
    found = {key: checksum(path) for key, path in files_named(node) if path.is_file()}
    return {"files": found} if found else {}


def some_of_each(
    rows: Positions, target: NDArray[np.int64], most: int | None, random: np.random.Generator
) -> Positions:
    """At most so many of `rows`, drawn so that classes keep their shares, one of each at least.

    Args:
        rows: Positions.
        target: [len(rows)] class numbers.
        most: How many; None is all.
        random: What they are drawn from.
    """
    if most is None or len(rows) <= most:
        return rows
    share = np.empty(len(rows))
    for number in np.unique(target):
        own = random.permutation(np.flatnonzero(target == number))
        share[own] = np.arange(len(own)) / len(own)
    return np.sort(rows[np.argsort(share, kind="stable")[:most]])
