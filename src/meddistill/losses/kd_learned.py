"""Distillation whose temperature is learned against the student (Li et al. 2023)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from meddistill.errors import SettingError
from meddistill.losses.base import (
    DistillationLoss,
    LossTerms,
    classes_first,
    coefficient,
    log_softmax,
)
from meddistill.losses.ce import cross_entropy, smoothing


class KDLearned(DistillationLoss):
    """`KD` at a temperature that is learned to make the teacher's term large, as far as it may.

    Curriculum temperature (CTKD, arXiv:2211.16231, the global form): T = 1 + (highest - 1) *
    sigmoid(a), and the gradient of a is reversed and scaled by `reversal`, which grows from 0 over
    the first epochs: what the student is asked becomes harder step by step. `a` is trained by the
    student's optimizer, kept in the training state and never shipped.

    Args:
        start: First temperature, between 1 and `highest`.
        highest: Bound of the temperature.
        alpha: Weight of the teacher, between 0 and 1.
        reversal: Scale of the reversed gradient, at least 0; usually a schedule.
        label_smoothing: As in `CE`.
    """

    alpha: Tensor
    reversal: Tensor
    label_smoothing: Tensor | None

    def __init__(
        self,
        start: float = 4.0,
        highest: float = 20.0,
        alpha: float = 0.5,
        reversal: float = 1.0,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        if not 1 < start < highest:
            raise SettingError("start", start, f"must be above 1 and below highest={highest}")
        share = (start - 1) / (highest - 1)
        self.span = highest - 1
        self.free = nn.Parameter(torch.tensor(math.log(share / (1 - share))))
        weight = coefficient("alpha", alpha, at_least=0, at_most=1)
        self.register_buffer("alpha", weight, persistent=False)
        scale = coefficient("reversal", reversal, at_least=0)
        self.register_buffer("reversal", scale, persistent=False)
        self.register_buffer("label_smoothing", smoothing(label_smoothing), persistent=False)

    @property
    def distils(self) -> bool:
        """False at alpha = 0, which is the student alone."""
        return bool(self.alpha > 0)

    @property
    def temperature(self) -> Tensor:
        """The present temperature, its gradient reversed."""
        value = 1 + self.span * self.free.sigmoid()
        return (1 + self.reversal) * value.detach() - self.reversal * value

    def forward(
        self, student_logits: Tensor, target: Tensor, teacher_log_probabilities: Tensor | None
    ) -> LossTerms:
        """Terms `ce` and `kd` per row in nats; shapes as in the base class."""
        if teacher_log_probabilities is None:
            raise ValueError("KDLearned needs the teacher's answers for every row")
        logits, temperature = classes_first(student_logits), self.temperature
        student = log_softmax(logits, temperature)
        teacher = log_softmax(classes_first(teacher_log_probabilities), temperature)
        divergence = F.kl_div(student, teacher, reduction="none", log_target=True).sum(dim=0)
        label = cross_entropy(logits, target, self.label_smoothing)
        return LossTerms(
            label={"ce": (1 - self.alpha) * label},
            teacher={"kd": self.alpha * temperature**2 * divergence},
        )
