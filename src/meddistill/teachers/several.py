"""A committee: other teachers, each calibrated by itself, and a weighted mean of their answers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddistill.config.compose import build
from meddistill.data.cohort import Cohort
from meddistill.data.datamodule import CohortDataModule
from meddistill.data.split import Split
from meddistill.errors import SettingError, number
from meddistill.inference.card import AVERAGES, PARTS, SEVERAL, Card, save_card
from meddistill.inference.known_rows import read_known_rows, rows_known, save_known_rows
from meddistill.inference.loading import load_model
from meddistill.inference.mixture import mix, part_folder
from meddistill.teachers.base import Teacher


class SeveralTeacher(Teacher):
    """Teachers by name; each is found in the store, or trained, as if it taught alone.

    Args:
        of: Config node of each teacher by a name of one's own.
        weights: Weight of each by its name; None weighs them alike.
        average: `probabilities`, or `logits`: their mean, normalised.
        labels: Share of labels at the teachers' site, in the place of each one's own.

    Raises:
        UserError: There is no teacher, or a setting is out of its range.
    """

    def __init__(
        self,
        of: Mapping[str, Mapping[str, Any]] | None = None,
        weights: Mapping[str, float] | None = None,
        average: str = "probabilities",
        labels: float = 1.0,
    ) -> None:
        if not isinstance(of, Mapping) or not of:
            mend = "must name at least one teacher: +teacher@teacher.of.forest=forest"
            raise SettingError("of", of, mend)
        if average not in AVERAGES:
            raise SettingError("average", average, f"must be one of {', '.join(AVERAGES)}")
        share = number("labels", labels, above=0, at_most=1)
        self.average, self.weights = average, _weights(weights, list(of))
        self.teachers: dict[str, Teacher] = {
            name: build(_with_labels(node, share), f"teacher.of.{name}", _recursive_=False)
            for name, node in of.items()
        }
        dropped = [name for name, teacher in self.teachers.items() if not teacher.keeps_model]
        if dropped:
            mend = "a committee's folder holds its teachers: keep the model, or let it teach alone"
            raise SettingError(f"of.{dropped[0]}.keep", "answers", mend)

    @property
    def live(self) -> bool:
        """No: each part reads rows by a preprocessing of its own."""
        return False

    @property
    def answers_new_rows(self) -> bool:
        """Where all of them can."""
        return all(teacher.answers_new_rows for teacher in self.teachers.values())

    @property
    def trains(self) -> bool:
        """Where one of them does."""
        return any(teacher.trains for teacher in self.teachers.values())

    @property
    def parts(self) -> Mapping[str, Teacher]:
        """The teachers by name."""
        return self.teachers

    def identity(self) -> dict[str, Any]:
        """Whatever decides a part's answers, and how they are mixed."""
        parts = {name: teacher.identity() for name, teacher in self.teachers.items()}
        return {"several": parts, "weights": self.weights, "average": self.average}

    def fit(self, cohort: Cohort, split: Split, folder: Path, trainer: Mapping[str, Any]) -> None:
        """Put the card of the mixture beside the parts, which lie in `folder` already."""
        data = CohortDataModule(cohort, split)
        parts = {name: part_folder(folder, name) for name in self.teachers}
        files = [
            f"{PARTS}/{name}/{file}"
            for name, part in parts.items()
            for file in load_model(part).card.files
        ]
        how = {"average": self.average, "weights": self.weights}
        data.save_preprocessing(folder)
        known = [rows_known(data), *(read_known_rows(part) for part in parts.values())]
        if all(rows is not None for rows in known):  # else nobody knows of the whole either
            save_known_rows(folder, sorted({key for rows in known for key in rows or ()}))
        save_card(folder, Card.of(how, files, data, SEVERAL))

    def answers(self, cohort: Cohort, folder: Path) -> NDArray[np.float64]:
        """[rows, classes] log-probabilities: the mix of what each part answers when it teaches."""
        found = [
            teacher.answers(cohort, part_folder(folder, name))
            for name, teacher in self.teachers.items()
        ]
        return mix(found, list(self.weights.values()), self.average)


def _with_labels(node: Mapping[str, Any], share: float) -> dict[str, Any]:
    return {**node, "labels": share} if "labels" in node else dict(node)


def _weights(weights: Mapping[str, float] | None, names: list[str]) -> dict[str, float]:
    """Weight of each name, together 1."""
    given = dict.fromkeys(names, 1.0) if weights is None else dict(weights)
    if sorted(given) != sorted(names):
        raise SettingError("weights", given, f"must have one for each of {', '.join(names)}")
    checked = {name: number(f"weights.{name}", given[name], above=0) for name in names}
    return {name: weight / sum(checked.values()) for name, weight in checked.items()}
