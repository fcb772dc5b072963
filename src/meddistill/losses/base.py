"""The contract of every loss: named terms per row, reduced in one place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor, nn


@dataclass(frozen=True)
class LossTerms:
    """Named terms of a loss, each already weighted and of shape [..., batch].

    Attributes:
        label: Terms that need the row's label; counted on labelled rows only.
        teacher: Terms that need the teacher's answer; counted on every row.
    """

    label: dict[str, Tensor] = field(default_factory=dict)
    teacher: dict[str, Tensor] = field(default_factory=dict)


class DistillationLoss(nn.Module):
    """Base of the losses; `forward` turns the answers to a batch into `LossTerms`.

    Attributes:
        min_classes: Fewest classes for which the loss says anything.
        needs_teacher: Whether the teacher's answers are read.
    """

    min_classes: ClassVar[int] = 2
    needs_teacher: ClassVar[bool] = True

    @property
    def distils(self) -> bool:
        """Whether the teacher has any say with the present settings."""
        return self.needs_teacher

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


def reduce_terms(terms: LossTerms, label_weight: Tensor, row_weight: Tensor) -> Tensor:
    """One number: label terms averaged over labelled rows, teacher terms over all rows.

    The averages are in the weights (`1 / labelled rows` on labelled rows and 0 elsewhere;
    `1 / rows` on every row), so that a batch shared by several devices or stacked for several
    members needs no other code: leading dimensions are members and are summed.

    Args:
        terms: Terms of shape [..., batch].
        label_weight: [..., batch].
        row_weight: [..., batch].
    """
    parts = [(term * label_weight).sum() for term in terms.label.values()]
    parts += [(term * row_weight).sum() for term in terms.teacher.values()]
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total
