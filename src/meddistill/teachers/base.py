"""The contract of a teacher: what made it, and a folder with a model that answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from meddistill.data.cohort import Cohort
from meddistill.data.preprocessing import Preprocessing
from meddistill.data.records import Records
from meddistill.data.split import Split
from meddistill.inference.loading import load_model
from meddistill.teachers.out_of_fold import teaching_answers


@dataclass(frozen=True)
class Blueprint:
    """What a teacher that is a network, or several, looks like before it is trained.

    Attributes:
        network: One of its networks; its weights mean nothing.
        members: How many it has.
        preprocessing: How they read rows.
    """

    network: nn.Module
    members: int
    preprocessing: Preprocessing


class Teacher(ABC):
    """Where a teacher comes from; once fitted it is a folder that `load_model` reads.

    Attributes:
        treats_imbalance: Whether its constructor takes `imbalance`, the student's unless the config
            says otherwise.
    """

    treats_imbalance = False

    @property
    def live(self) -> bool:
        """Whether its model can be asked in every training step (`answers=live`)."""
        return True

    @property
    def answers_new_rows(self) -> bool:
        """Whether its model can answer rows that are not the cohort's."""
        return True

    @property
    def keeps_model(self) -> bool:
        """Whether its folder holds what answers; of others the answers alone are kept."""
        return True

    @property
    def trains(self) -> bool:
        """Whether `fit` is a training, whose time is worth telling."""
        return True

    @property
    def parts(self) -> Mapping[str, Teacher]:
        """Teachers whose folders `fit` finds in its own, at `mixture.part_folder`, by name."""
        return {}

    def blueprint(self, cohort: Cohort, split: Split) -> Blueprint | None:
        """What its networks look like; None of a teacher that is none."""
        return None

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """What decides its answers besides data and split; equal identities share one fit."""

    @abstractmethod
    def fit(self, cohort: Cohort, split: Split, folder: Path, trainer: Mapping[str, Any]) -> None:
        """Fill `folder` with the teacher's model; a folder left by a killed fit is gone on with.

        Args:
            cohort: All rows.
            split: Which of them train, validate and test.
            folder: Where the model is written.
            trainer: Where it runs: arguments of Lightning's Trainer.
        """

    def answers(self, cohort: Cohort, folder: Path) -> NDArray[np.float64]:
        """[rows, classes] log-probabilities of the cohort's rows, by the model in `folder`.

        Rows that it was fitted on have their out-of-fold answers where the folder holds any.
        """
        return teaching_answers(load_model(folder), cohort, folder)

    def last_answers(
        self, cohort: Cohort, more: Sequence[Records]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """Answers of what `fit` has just fitted, which is gone after: the cohort's, and of `more`.

        Of a teacher that keeps no model, in the place of `answers`.
        """
        raise NotImplementedError(f"{type(self).__name__} keeps its model")
