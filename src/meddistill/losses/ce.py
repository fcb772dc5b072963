"""Cross-entropy with the labels: the student alone, without a teacher."""

from __future__ import annotations

from torch import Tensor

from meddistill.losses.base import LossTerms, classes_first
from meddistill.losses.labels import Labelled


class CE(Labelled):
    """Cross-entropy averaged over the labelled rows.

    Args:
        label_smoothing: As for `Labelled`.
    """

    needs_teacher: bool = False
    per_member: tuple[str, ...] = ("label_smoothing",)

    def forward(
        self,
        student_logits: Tensor,
        target: Tensor,
        teacher_log_probabilities: Tensor | None = None,
    ) -> LossTerms:
        """One term, `ce`; the teacher's answers are not read. Shapes as in the base class."""
        return LossTerms(label={"ce": self.label_term(classes_first(student_logits), target)})
