"""Knowledge distillation by softened answers (Hinton, Vinyals and Dean 2015, arXiv:1503.02531)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from meddistill.errors import number
from meddistill.losses.base import DistillationLoss, LossTerms
from meddistill.losses.ce import cross_entropy


class KD(DistillationLoss):
    """`(1 - alpha) CE(y, s) + alpha T^2 KL(softmax(t / T) || softmax(s / T))`.

    alpha weighs the teacher: 0 is the student alone, 1 the teacher's answers alone. T^2 keeps the
    size of the teacher's gradient independent of T. Both sides are tempered, so that at alpha = 1
    the best student equals the teacher at every T; a teacher's `log p` tempers like its logits,
    since they differ by a constant of the row.

    Args:
        temperature: T, above 0; a number, or a tensor [...] with one a member of a stack.
        alpha: Between 0 and 1; a number or a tensor likewise.
    """

    def __init__(self, temperature: float | Tensor = 4.0, alpha: float | Tensor = 0.5) -> None:
        super().__init__()
        if not isinstance(temperature, Tensor):
            temperature = number("temperature", temperature, above=0)
        if not isinstance(alpha, Tensor):
            alpha = number("alpha", alpha, at_least=0, at_most=1)
        self.temperature, self.alpha = temperature, alpha

    @property
    def distils(self) -> bool:
        """False at alpha = 0, which is the student alone."""
        return bool((torch.as_tensor(self.alpha) > 0).any())

    def forward(
        self, student_logits: Tensor, target: Tensor, teacher_log_probabilities: Tensor | None
    ) -> LossTerms:
        """Terms `ce` and `kd` per row in nats; shapes as in the base class."""
        if teacher_log_probabilities is None:
            raise ValueError("KD needs the teacher's answers for every row")
        # float32 and log space: half precision answers log(0) = -inf for a confident teacher.
        temperature, alpha = _per_row(self.temperature), _per_row(self.alpha)
        scale = temperature.unsqueeze(-1) if isinstance(temperature, Tensor) else temperature
        student = F.log_softmax(student_logits.float() / scale, dim=-1)
        teacher = F.log_softmax(teacher_log_probabilities.float() / scale, dim=-1)
        divergence = F.kl_div(student, teacher, reduction="none", log_target=True).sum(dim=-1)
        return LossTerms(
            label={"ce": (1 - alpha) * cross_entropy(student_logits, target)},
            teacher={"kd": alpha * temperature**2 * divergence},
        )


def _per_row(value: float | Tensor) -> float | Tensor:
    """A member's number [...] with a dimension for the rows [..., 1]; plain numbers stay."""
    return value.unsqueeze(-1) if isinstance(value, Tensor) else value
