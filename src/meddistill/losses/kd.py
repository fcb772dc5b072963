"""Knowledge distillation by softened answers (Hinton, Vinyals and Dean 2015, arXiv:1503.02531)."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from meddistill.losses.base import (
    DistillationLoss,
    LossTerms,
    by_member,
    classes_first,
    coefficient,
    log_softmax,
)
from meddistill.losses.ce import cross_entropy, smoothing


class KD(DistillationLoss):
    """`(1 - alpha) CE(y, s) + alpha T^2 KL(softmax(t / T) || softmax(s / T))`.

    alpha weighs the teacher: 0 is the student alone, 1 the teacher's answers alone. T^2 keeps the
    size of the teacher's gradient independent of T. Both sides are tempered, so that at alpha = 1
    the best student equals the teacher at every T; a teacher's `log p` tempers like its logits,
    since they differ by a constant of the row.

    Args:
        temperature: T, above 0; a number, or a tensor [...] with one a member of a stack.
        alpha: Between 0 and 1; a number or a tensor likewise.
        label_smoothing: Of the labels' term, as in `CE`; a number or a tensor likewise.
    """

    per_member: tuple[str, ...] = ("temperature", "alpha", "label_smoothing")
    temperature: Tensor
    label_share: Tensor
    teacher_share: Tensor
    label_smoothing: Tensor | None

    def __init__(
        self,
        temperature: float | Tensor = 4.0,
        alpha: float | Tensor = 0.5,
        label_smoothing: float | Tensor = 0.0,
    ) -> None:
        super().__init__()
        checked = coefficient("temperature", temperature, above=0)
        weight = coefficient("alpha", alpha, at_least=0, at_most=1)
        # Worked out in float64, so that a member's are the single student's to the last bit.
        constants = {
            "temperature": checked,
            "label_share": 1 - weight,
            "teacher_share": weight * checked**2,
        }
        for name, value in constants.items():
            self.register_buffer(name, value.float(), persistent=False)
        self.register_buffer("label_smoothing", smoothing(label_smoothing), persistent=False)

    @property
    def distils(self) -> bool:
        """False at alpha = 0, which is the student alone."""
        return bool((self.teacher_share > 0).any())

    def forward(
        self, student_logits: Tensor, target: Tensor, teacher_log_probabilities: Tensor | None
    ) -> LossTerms:
        """Terms `ce` and `kd` per row in nats; shapes as in the base class."""
        if teacher_log_probabilities is None:
            raise ValueError("KD needs the teacher's answers for every row")
        logits = classes_first(student_logits)
        student = log_softmax(logits, self.temperature)
        teacher = log_softmax(classes_first(teacher_log_probabilities), self.temperature)
        divergence = F.kl_div(student, teacher, reduction="none", log_target=True).sum(dim=0)
        label = cross_entropy(logits, target, self.label_smoothing)
        return LossTerms(
            label={"ce": by_member(self.label_share, label) * label},
            teacher={"kd": by_member(self.teacher_share, divergence) * divergence},
        )
