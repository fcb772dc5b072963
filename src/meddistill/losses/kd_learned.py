"""Distillation whose temperature is learned against the student (Li et al. 2023)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from meddistill.errors import SettingError
from meddistill.losses.base import coefficient, log_softmax
from meddistill.losses.blend import Blend


class KDLearned(Blend):
    """`KD` at a temperature that is learned to make the teacher's term large, as far as it may.

    Curriculum temperature (CTKD, arXiv:2211.16231, the global form): T = 1 + (highest - 1) *
    sigmoid(a), and the gradient of a is reversed and scaled by `reversal`, which grows from 0 over
    the first epochs: what the student is asked becomes harder step by step. `a` is trained by the
    student's optimizer, kept in the training state and never shipped.

    Args:
        start: First temperature, above 1 and below `highest`.
        highest: Bound of the temperature.
        alpha: Weight of the teacher, between 0 and 1.
        reversal: Scale of the reversed gradient, at least 0; usually a schedule.
        label_smoothing: As in `CE`.
    """

    per_member: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ("start", "highest")
    reversal: Tensor

    def __init__(
        self,
        start: float = 4.0,
        highest: float = 20.0,
        alpha: float = 0.5,
        reversal: float = 1.0,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(alpha, label_smoothing)
        if not 1 < start < highest:
            raise SettingError("start", start, f"must be above 1 and below highest={highest}")
        share = (start - 1) / (highest - 1)
        self.span = highest - 1
        self.free = nn.Parameter(torch.tensor(math.log(share / (1 - share))))
        self.keep(reversal=coefficient("reversal", reversal, at_least=0))

    @property
    def temperature(self) -> Tensor:
        """The present temperature, its gradient reversed."""
        value = 1 + self.span * self.free.sigmoid()
        return (1 + self.reversal) * value.detach() - self.reversal * value

    def teacher_terms(self, student: Tensor, teacher: Tensor, target: Tensor) -> dict[str, Tensor]:
        """`T^2` times the divergence, as `kd`; shapes as in the base class."""
        temperature = self.temperature
        softened, taught = (log_softmax(logits, temperature) for logits in (student, teacher))
        divergence = F.kl_div(softened, taught, reduction="none", log_target=True).sum(dim=0)
        return {"kd": temperature**2 * divergence}
