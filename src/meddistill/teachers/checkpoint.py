"""A teacher that was trained before: the model of an earlier run folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from meddistill.card import NETWORK
from meddistill.data.cohort import Cohort
from meddistill.data.split import Split
from meddistill.errors import SettingError, UserError
from meddistill.files import checksum
from meddistill.model import copy_model, load_model
from meddistill.teachers.base import Teacher


class CheckpointTeacher(Teacher):
    """The model in `path`, a folder made by `meddistill teacher` or `meddistill distill`.

    Args:
        path: The run folder.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        if not (self.path / "model.json").is_file():
            raise SettingError(
                "path", path, "is no folder of a finished run (it has no model.json)"
            )
        self.model = load_model(self.path)

    @property
    def live(self) -> bool:
        """Where it is a network."""
        return self.model.card.kind == NETWORK

    @property
    def trains(self) -> bool:
        """It was trained before."""
        return False

    def identity(self) -> dict[str, Any]:
        """The content of its files, wherever they lie."""
        return {name: checksum(self.path / name) for name in self.model.card.files}

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
        seen = self.model.seen(cohort, split.test)
        if seen:
            raise UserError(
                f"teacher.path={self.path}: it was trained on {len(seen)} of the {len(split.test)} "
                "rows that are test rows now, so its answers there would be no test; use the "
                "data.split_seed it was trained with, or train it anew (teacher=mlp_ensemble)"
            )
        copy_model(self.model.card, self.path, folder)
