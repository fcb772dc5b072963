"""The contract of every loss: named terms per row, reduced in one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from meddistill.errors import number


@dataclass(frozen=True)
class LossTerms:
    """Named terms of a loss, each already weighted and of shape [..., batch].

    Attributes:
        label: Terms that need the row's label; counted on labelled rows only.
        teacher: Terms that need the teacher's answer; counted on every row.
    """

    label: dict[str, Tensor] = field(default_factory=dict)
    teacher: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """What there is to learn from in one step; leading dimensions [...] are members of a stack.

    Attributes:
        logits: [..., batch, classes] the student's answers, any real numbers.
        target: [..., batch] class numbers; any valid one on unlabelled rows.
        label_weight: [..., batch] above 0 on labelled rows, 0 elsewhere.
        teacher: [..., batch, classes] log-probabilities in nats, or None.
        student_features: [batch, ...] by module path, where the loss reads any.
        teacher_features: [batch, ...] likewise of the live teacher.
    """

    logits: Tensor
    target: Tensor
    label_weight: Tensor
    teacher: Tensor | None
    student_features: Mapping[str, Tensor] = field(default_factory=dict)
    teacher_features: Mapping[str, Tensor] = field(default_factory=dict)


class DistillationLoss(nn.Module):
    """Base of the losses; `forward` turns the answers to a batch into `LossTerms`.

    Attributes:
        min_classes: Fewest classes for which the loss says anything, or anything of its own.
        void: What becomes of it with fewer, as the end of a sentence.
        needs_teacher: Whether the teacher's answers are read.
        needs_features: Whether layers of student and live teacher are read.
        reads_labels: Whether the teacher's part, too, is counted on labelled rows only.
        relates_rows: Whether a row's term depends on the other rows of its batch, so that several
            devices each relate their own rows alone.
        per_member: Settings that may be tensors with one value a member of a stack.
        fixed: Settings that are read before the first epoch alone, so that no schedule moves them.
        distils_later: Whether schedules give the teacher a say in a later epoch.
        labels_later: Whether they do so with the labels.
    """

    min_classes: int = 2
    void: str = "it gives no gradient"
    needs_teacher: bool = True
    needs_features: bool = False
    reads_labels: bool = False
    relates_rows: bool = False
    per_member: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()
    distils_later: bool = False
    labels_later: bool = False

    @property
    def distils(self) -> bool:
        """Whether the teacher has any say with the present settings."""
        return self.needs_teacher

    @property
    def ever_distils(self) -> bool:
        """Whether it has any in this or a later epoch."""
        return self.distils or self.distils_later

    @property
    def learns_labels(self) -> bool:
        """Whether the labels' term (`labels.Labelled`) counts with the present settings."""
        return False

    @property
    def ever_learns_labels(self) -> bool:
        """Whether it does in this or a later epoch."""
        return self.learns_labels or self.labels_later

    def forward(
        self, student_logits: Tensor, target: Tensor, teacher_log_probabilities: Tensor | None
    ) -> LossTerms:
        """Terms per row.

        Args:
            student_logits: [..., batch, classes], any real numbers.
            target: [..., batch], class numbers; any valid class number on unlabelled rows.
            teacher_log_probabilities: [..., batch, classes], natural logarithms, or None where
                the loss reads no teacher.
        """
        raise NotImplementedError

    def of_step(self, step: Step) -> LossTerms:
        """Terms per row of a step; a loss that reads more than `forward` takes overrides it."""
        terms: LossTerms = self(step.logits, step.target, step.teacher)
        return terms

    @property
    def layers(self) -> tuple[set[str], set[str]]:
        """Module paths that it reads, of the student and of the teacher (see `training.taps`)."""
        return set(), set()

    def check_student(self, step: Step) -> None:
        """Refuse the student's features of some rows, before any training."""

    def connect(self, step: Step, seed: int) -> None:
        """Make what the features decide; called once, before the student's training.

        Args:
            step: Some labelled training rows.
            seed: Of first weights.
        """


class Searched(DistillationLoss):
    """A loss whose settings are found by an inner search before training.

    Attributes:
        seeds: Students a setting.
        epochs: Epochs before the first halving of the settings.
        eta: Of the settings one in eta goes on.
    """

    seeds: int
    epochs: int
    eta: int

    def candidates(self) -> list[dict[str, float]]:
        """Settings to try: keys that the loss takes one a member."""
        raise NotImplementedError

    def node(self, setting: dict[str, float]) -> dict[str, Any]:
        """Config node of the loss with a setting."""
        raise NotImplementedError


def coefficient(key: str, value: float | Tensor, **limits: float) -> Tensor:
    """A setting as float64: [] from a number, [members] from a tensor; out of range is an error."""
    values = value.flatten().tolist() if isinstance(value, Tensor) else [value]
    checked = torch.tensor([number(key, each, **limits) for each in values], dtype=torch.float64)
    return checked if isinstance(value, Tensor) else checked.squeeze(0)


def by_member(value: Tensor, like: Tensor) -> Tensor:
    """A coefficient [members] shaped to multiply `like` [members, ...]; [] stays."""
    return value.view(*value.shape, *[1] * (like.dim() - 1)) if value.dim() else value


def classes_first(logits: Tensor) -> Tensor:
    """[..., rows, classes] -> [classes, ..., rows] in float64 (float32 on mps, which has no other).

    float64, since torch rounds the last few numbers of a tensor otherwise than the rest, and after
    hundreds of steps a student in a stack would not be the one trained alone. Torch works along few
    classes ten times faster when they are not the last dimension.
    """
    precision = torch.float32 if logits.device.type == "mps" else torch.float64
    return logits.movedim(-1, 0).to(precision, memory_format=torch.contiguous_format)


def log_softmax(logits: Tensor, temperature: Tensor | None = None) -> Tensor:
    """Log-probabilities along the first dimension; never by log(p), which may be log(0).

    Args:
        logits: [classes, ..., rows], as `classes_first` gives them.
        temperature: Divides the logits; [] or [members].
    """
    if temperature is not None:
        logits = logits / by_member(temperature, logits[0])
    return functional.log_softmax(logits, dim=0)


def reduced(terms: LossTerms, label_weight: Tensor, row_weight: Tensor) -> dict[str, Tensor]:
    """A number a term: label terms averaged over labelled rows, teacher terms over all rows.

    The averages are in the weights (`1 / labelled rows` on labelled rows and 0 elsewhere;
    `1 / rows` on every row), so that a batch shared by several devices or stacked for several
    members needs no other code: leading dimensions are members and are summed.

    Args:
        terms: Terms of shape [..., batch].
        label_weight: [..., batch].
        row_weight: [..., batch].
    """
    parts = {name: (term * label_weight).sum() for name, term in terms.label.items()}
    return parts | {name: (term * row_weight).sum() for name, term in terms.teacher.items()}


def reduce_terms(terms: LossTerms, label_weight: Tensor, row_weight: Tensor) -> Tensor:
    """One number: the sum of the `reduced` terms."""
    return total(reduced(terms, label_weight, row_weight))


def total(parts: Mapping[str, Tensor]) -> Tensor:
    """The sum of reduced terms."""
    first, *others = parts.values()
    for part in others:
        first = first + part
    return first
