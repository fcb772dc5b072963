"""What is compared in a trial; each arm is a yaml in `conf/arm`."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from meddistill.config.compose import build, choice_name
from meddistill.data.modalities import EmptyCells, method_of
from meddistill.errors import SettingError, UserError
from meddistill.stack.members import with_changes

TEACHERS = ("true", "permuted")


@dataclass(frozen=True)
class Arm:
    """One of the compared models.

    Args:
        label: What it is called in tables.
        tune: Settings to choose among on validation rows: values by flat key, every combination a
            try. A key with None is not tuned. Without any there is one try.
    """

    label: str
    tune: Mapping[str, Sequence[Any] | None] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Its label, and what the trial's settings add to it."""
        return self.label

    @property
    def is_control(self) -> bool:
        """Whether it only shows what chance gives: nobody would use it."""
        return False

    @property
    def tuned(self) -> dict[str, Sequence[Any]]:
        """What is tried of each setting that is tuned."""
        return {key: values for key, values in self.tune.items() if values is not None}

    def tries(self) -> list[dict[str, Any]]:
        """Every combination of the settings, the last key changing fastest."""
        values = itertools.product(*self.tuned.values())
        return [dict(zip(self.tuned, combination, strict=True)) for combination in values]

    def __post_init__(self) -> None:
        for key, values in self.tuned.items():
            if isinstance(values, str) or not isinstance(values, Sequence) or not len(values):
                mend = "must be a list of values to try (null takes the setting out of the tries)"
                raise SettingError(f"tune.{key}", values, mend)


@dataclass(frozen=True)
class StudentArm(Arm):
    """The student, trained with a loss.

    `tune` may hold `loss.*`, `optimizer.*`, and `init.*` and `imbalance.*` of its own.

    Args:
        loss: Config node of the loss.
        teacher: Whose answers it learns from, where the loss reads any: `true`, or `permuted`, the
            same answers dealt out to other rows.
        synthetic: Config node of what makes rows for the teacher to answer; an empty one is none.
        init: Config node of what it takes of its teacher to start from; an empty one is nothing.
        student: Config node of a student of its own; an empty one is the trial's.
        preprocessing: Config node of what makes inputs for it; an empty one is the trial's.
        missing: Of the trial's `missing`, what is otherwise: the share to hide, or a whole node.
        imbalance: Config node of what is done about classes out of balance; an empty one is
            nothing, None is what the trial says.
    """

    loss: Mapping[str, Any] = field(default_factory=dict)
    teacher: str = "true"
    synthetic: Mapping[str, Any] = field(default_factory=dict)
    init: Mapping[str, Any] = field(default_factory=dict)
    student: Mapping[str, Any] = field(default_factory=dict)
    preprocessing: Mapping[str, Any] = field(default_factory=dict)
    missing: Mapping[str, Any] = field(default_factory=dict)
    imbalance: Mapping[str, Any] | None = None

    @property
    def own(self) -> dict[str, Any]:
        """Its settings that take the place of the trial's, by flat key."""
        nodes = {"student": self.student, "preprocessing": self.preprocessing}
        given = {key: dict(node) for key, node in nodes.items() if node}
        cells = {f"missing.{key}": value for key, value in self.missing.items()}
        if "_target_" in self.missing:
            cells = {"missing": dict(self.missing)}
        if self.imbalance is not None:
            given["imbalance"] = dict(self.imbalance)
        return {"loss": dict(self.loss), "init": dict(self.init), **given, **cells}

    def method(
        self, settings: Mapping[str, Any], name: str
    ) -> tuple[Mapping[str, Any], str, float]:
        """How it reads rows, as `method_of` says, in a trial of such settings.

        A preprocessing of its own reads empty cells in its own way, whatever the trial's does.

        Args:
            settings: The trial's.
            name: The arm's, for messages.
        """
        own, prefix = with_changes(settings, self.own), f"arms.{name}."
        if not self.preprocessing or "_target_" in self.missing:
            return method_of(own["preprocessing"], own["missing"], prefix)
        cells: EmptyCells = build(own["missing"], f"{prefix}missing")
        return self.preprocessing, f"{prefix}preprocessing", cells.hide

    @property
    def title(self) -> str:
        """Says what the student starts from, what it doesn't see and which rows are synthetic."""
        label = f"{self.label}, started from its teacher" if self.init else self.label
        if self.missing.get("hide"):
            label += f", {self.missing['hide']:.0%} of cells hidden"
        if not self.synthetic:
            return label
        return f"{label}, synthetic rows ({choice_name(self.synthetic)})"

    @property
    def is_control(self) -> bool:
        """A student of answers that were dealt out anew."""
        return self.teacher == "permuted"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.teacher not in TEACHERS:
            raise SettingError("teacher", self.teacher, f"must be one of {', '.join(TEACHERS)}")
        for key in self.tune:
            more = [each for each in ("init", "imbalance") if getattr(self, each)]
            if not key.startswith(tuple(f"{each}." for each in ("loss", "optimizer", *more))):
                raise UserError(
                    f"tune.{key}: a student's tries may change loss.* and optimizer.*, init.* "
                    "where it starts from its teacher, and imbalance.* where it has its own"
                )


@dataclass(frozen=True)
class EstimatorArm(Arm):
    """A scikit-learn classifier on the labelled training rows; `tune` holds its own settings.

    Args:
        estimator: Config node of the classifier.
        preprocessing: Config node of what makes lists of numbers of rows that are none; empty
            where the student's inputs, or the usual ones of such rows, are such lists.
    """

    estimator: Mapping[str, Any] = field(default_factory=dict)
    preprocessing: Mapping[str, Any] = field(default_factory=dict)

    def with_try(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Config node of the classifier with a try's settings."""
        return {**self.estimator, **settings}


@dataclass(frozen=True)
class TeacherArm(Arm):
    """The teacher as it is."""


@dataclass(frozen=True)
class PrunedTeacherArm(Arm):
    """The best on validation rows of what is in the teacher: an ensemble's network, a small forest.

    A forest is pruned to its first 1, 3, 10 or 30 trees, or the next as many, ten of each size.

    A teacher of one part, and one that is only a file of scores, has none: the arm is left out.
    """
