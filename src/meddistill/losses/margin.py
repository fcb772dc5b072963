"""Matching the log odds of every class, with a bound on what one row can do."""

from __future__ import annotations

import torch
from torch import Tensor

from meddistill.losses.base import by_member, coefficient
from meddistill.losses.blend import Blend
from meddistill.losses.others import log_odds


class Margin(Blend):
    """`(1 - alpha) CE(y, s) + alpha (1 / C) sum_k huber(m_k(s) - m_k(t))`, C classes.

    m_k is the log odds of class k against all others, `log p_k - log(1 - p_k)` in nats; with two
    classes it is the logit of the positive class, so the margins' squared error is that of logits
    (Ba and Caruana 2014, arXiv:1312.6184). A forest's answers, clamped near 0 and 1, lie many nats
    out and would rule a square, so the error is Huber's (1964, doi:10.1214/aoms/1177703732):
    half the square up to delta, and beyond that a line with slope delta.

    Args:
        delta: Where the square turns into a line, above 0, in nats; a number, or a tensor [members]
            with one a member of a stack.
        alpha: Weight of the teacher, between 0 and 1; a number or a tensor likewise.
        label_smoothing: Of the labels' term, as in `CE`; a number or a tensor likewise.
    """

    per_member: tuple[str, ...] = ("delta", *Blend.per_member)
    delta: Tensor

    def __init__(
        self,
        delta: float | Tensor = 1.0,
        alpha: float | Tensor = 0.5,
        label_smoothing: float | Tensor = 0.0,
    ) -> None:
        super().__init__(alpha, label_smoothing)
        self.keep(delta=coefficient("delta", delta, above=0))

    def teacher_terms(self, student: Tensor, teacher: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The mean error `margin`, in squared nats; shapes as in the base class."""
        every = [torch.full_like(target, number) for number in range(len(student))]
        errors = torch.stack([log_odds(student, k) - log_odds(teacher, k) for k in every]).abs()
        bounded = torch.minimum(errors, by_member(self.delta, target))
        return {"margin": (bounded * (errors - bounded / 2)).mean(dim=0)}
