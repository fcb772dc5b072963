"""Cross-entropy with the labels: the student alone, without a teacher."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.nn import functional as F

from meddistill.losses.base import DistillationLoss, LossTerms


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy per row in nats, float32: [..., rows, classes], [..., rows] -> [..., rows]."""
    log_probabilities = F.log_softmax(logits.float(), dim=-1)
    return -log_probabilities.gather(-1, target.unsqueeze(-1)).squeeze(-1)


class CE(DistillationLoss):
    """Cross-entropy averaged over the labelled rows."""

    needs_teacher: ClassVar[bool] = False

    def forward(
        self,
        student_logits: Tensor,
        target: Tensor,
        teacher_log_probabilities: Tensor | None = None,
    ) -> LossTerms:
        """One term, `ce`; the teacher's answers are not read. Shapes as in the base class."""
        return LossTerms(label={"ce": cross_entropy(student_logits, target)})
