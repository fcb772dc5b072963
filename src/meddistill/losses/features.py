"""The contract of losses that compare a student's features with a live teacher's."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from meddistill.errors import UserError
from meddistill.losses.base import LossTerms, Step, classes_first, coefficient
from meddistill.losses.labels import Labelled


class FeatureLoss(Labelled):
    """`label_weight * CE(y, s) + weight * D(f_student, f_teacher)`, f tapped by module path.

    Beside a loss of answers, which has a cross-entropy of its own: `loss=combined`. Projectors are
    made once the features' sizes are known, trained with the student, kept in the training state
    and never shipped.

    Args:
        weight: Of the features' term, at least 0.
        student_layer: Module path of the student's features; None is what its last linear layer
            reads.
        teacher_layer: Of the teacher's; an ensemble's members stand side by side.
        label_weight: Of the cross-entropy with the labels, at least 0.
        label_smoothing: As in `CE`.
    """

    needs_features: bool = True
    term: str
    weight: Tensor
    label_weight: Tensor

    def __init__(
        self,
        weight: float = 1.0,
        student_layer: str | None = None,
        teacher_layer: str | None = None,
        label_weight: float = 1.0,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(label_smoothing)
        for name, value in {"weight": weight, "label_weight": label_weight}.items():
            self.register_buffer(name, coefficient(name, value, at_least=0), persistent=False)
        self.student_layer, self.teacher_layer = student_layer or "", teacher_layer or ""
        self._has_labels = bool(self.label_weight > 0)

    @property
    def distils(self) -> bool:
        """Whether the teacher has any say."""
        return bool(self.weight > 0)

    @property
    def learns_labels(self) -> bool:
        """Unless the labels' weight is 0."""
        return self._has_labels

    @property
    def layers(self) -> tuple[set[str], set[str]]:
        """Paths that it reads, of the student and of the teacher."""
        return {self.student_layer}, {self.teacher_layer}

    def of_step(self, step: Step) -> LossTerms:
        """Terms `ce`, unless its weight is 0, and the features' own."""
        terms = LossTerms(teacher={self.term: self.weight * self.compare(*self.read(step))})
        if self._has_labels:
            label = self.label_term(classes_first(step.logits), step.target)
            terms.label["ce"] = self.label_weight * label
        return terms

    def read(self, step: Step) -> tuple[Tensor, Tensor]:
        """What is compared: the student's features [batch, ...] and the teacher's."""
        teacher = step.teacher_features[self.teacher_layer].detach()
        return step.student_features[self.student_layer], teacher

    def check_student(self, step: Step) -> None:
        """Refuse a layer that nothing is learned in front of."""
        if not step.student_features[self.student_layer].requires_grad:
            raise UserError(
                f"loss={self.term}: the student has nothing to learn in front of its layer "
                f"'{self.student_layer or 'penultimate'}', which reads the inputs themselves; take "
                "a student with a hidden layer, or another loss.student_layer"
            )

    def connect(self, step: Step, seed: int) -> None:
        """Make what the features' sizes decide, or refuse them; first weights are drawn by seed."""
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            self.fit_sizes(*self.read(step))

    def fit_sizes(self, student: Tensor, teacher: Tensor) -> None:
        """Make projectors, or refuse the sizes; by default any sizes will do.

        Args:
            student: [rows, ...] what `read` gives of some rows.
            teacher: [rows, ...] likewise.
        """

    @abstractmethod
    def compare(self, student: Tensor, teacher: Tensor) -> Tensor:
        """[batch] a row's term, from features [batch, ...]."""


def flat(features: Tensor) -> Tensor:
    """[batch, ...] -> [batch, numbers] in float32: mixed precision taps half of it."""
    return features.flatten(1).float()


def unit(vectors: Tensor, dim: int) -> Tensor:
    """Vectors of length 1 along `dim`; those of length 0 stay, with a gradient that is finite."""
    squared = vectors.square().sum(dim=dim, keepdim=True)
    return vectors / torch.where(squared > 0, squared, 1.0).sqrt()
