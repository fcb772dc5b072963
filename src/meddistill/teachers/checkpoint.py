"""A teacher that was trained before: the model of an earlier run folder."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from meddistill.config.identity import from_call
from meddistill.data.cohort import Cohort
from meddistill.data.split import Split
from meddistill.errors import SettingError, UserError
from meddistill.files.model_files import read_regular
from meddistill.inference.card import NETWORK
from meddistill.inference.known_rows import seen_in_test
from meddistill.inference.loading import copy_model, load_model
from meddistill.inference.network import MeanOfProbabilities
from meddistill.measures import BENT
from meddistill.teachers.base import Blueprint, Teacher

log = logging.getLogger(__name__)
ALONE = (
    "holds answers alone (a file of scores, or those of a model that was dropped, "
    "teacher.keep=answers), so that it can't be asked for others: take the teacher that it was "
    "made with, whose answers are in the store"
)

STRAIGHT = (
    "a student would take them for risks; take one that was made without that, or with "
    "imbalance=weights, whose answers are brought back"
)


class CheckpointTeacher(Teacher):
    """The model in `path`, a folder made by `meddistill teacher` or `meddistill distill`.

    Args:
        path: The run folder.
        trust: Networks of your own that the folder may name, besides those of this config.
        trust_unseen: Teach though the folder doesn't say which rows its model was trained on, as
            one that was handed on does not.

    Raises:
        UserError: The folder holds no model that can be opened.
    """

    def __init__(self, path: str, trust: Sequence[str] = (), trust_unseen: bool = False) -> None:
        self.path, self.trust_unseen = from_call(path), trust_unseen
        if isinstance(trust, str):
            raise SettingError("trust", trust, f"must be a list: teacher.trust=[{trust}]")
        if not isinstance(trust_unseen, bool):
            raise SettingError("trust_unseen", trust_unseen, "must be true or false")
        if not os.path.lexists(self.path / "model.json"):
            raise SettingError(
                "path", path, "is no folder of a finished run (it has no model.json)"
            )
        self.model = load_model(self.path, trust)
        if not self.model.answers_new_rows:
            raise SettingError("path", path, ALONE)
        if self.model.card.bent:
            raise SettingError("path", path, f"can't teach, {BENT}: {STRAIGHT}")

    @property
    def live(self) -> bool:
        """Where it is a network."""
        return self.model.card.kind == NETWORK

    @property
    def trains(self) -> bool:
        """It was trained before."""
        return False

    def blueprint(self, cohort: Cohort, split: Split) -> Blueprint | None:
        """The network itself, where it is one."""
        network = self.model.frozen
        if not isinstance(network, MeanOfProbabilities):
            return None
        return Blueprint(network.members[0], len(network.members), self.model.preprocessing)

    def identity(self) -> dict[str, Any]:
        """The content of its files, wherever they lie."""
        content = {name: read_regular(self.path, name) for name in self.model.card.files}
        return {name: hashlib.sha256(each).hexdigest() for name, each in content.items()}

    def fit(self, cohort: Cohort, split: Split, folder: Path, trainer: Mapping[str, Any]) -> None:
        """Check that it may teach here, and copy it.

        Raises:
            UserError: It has other classes, lacks a column here, or knows rows of the test part.
        """
        if tuple(self.model.card.classes) != cohort.classes:
            raise UserError(
                f"teacher.path={self.path}: its classes {self.model.card.classes} are not those "
                f"of {cohort.name}, {list(cohort.classes)}, in this order"
            )
        seen = seen_in_test(self.path, cohort, split)
        if seen is None:
            self._check_unseen()
        if seen:
            raise UserError(
                f"teacher.path={self.path}: it was trained on {len(seen)} of the {len(split.test)} "
                "rows that are test rows now, so its answers there would be no test; use the "
                "data.split_seed it was trained with, or train it anew (teacher=mlp_ensemble)"
            )
        copy_model(self.model.card, self.path, folder)

    def _check_unseen(self) -> None:
        """Say that nobody can check it, and go on only where the user knows."""
        said = (
            f"teacher.path={self.path} doesn't say which rows its model was trained on, so nobody "
            "can check whether test rows are among them"
        )
        if not self.trust_unseen:
            raise UserError(
                f"{said}: if you know that none is, set teacher.trust_unseen=true; otherwise test "
                "figures of teacher and student would be too good"
            )
        log.warning("%s (teacher.trust_unseen=true)", said)
