"""Distillation that trusts the teacher less on rows where it is wrong or unsure."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from meddistill.losses.base import LossTerms, Step, by_member, coefficient
from meddistill.losses.kd import KD


class KDTrusted(KD):
    """`KD` with its teacher term weighted by row, w = `p(y)^wrong * (1 - H(p) / log C)^unsure`.

    p is the teacher's answer, y the label and H the entropy: after the confidence of Zhang, Chen
    and Wang 2022 (arXiv:2201.00007), as powers instead of a softmax over teachers. The label is
    known of labelled rows alone; others have w = 1, as the teacher is all that there is for them.
    Weights are not normalised: a row that is trusted less is learned from less.

    Args:
        wrong: Power of the teacher's probability of the label, at least 0; 0 doesn't ask.
        unsure: Power of its sureness, at least 0; 0 doesn't ask.
        **kd: As for `KD`.
    """

    per_member: tuple[str, ...] = (*KD.per_member, "wrong", "unsure")
    wrong: Tensor
    unsure: Tensor

    def __init__(
        self,
        temperature: float | Tensor = 4.0,
        alpha: float | Tensor = 0.5,
        label_smoothing: float | Tensor = 0.0,
        wrong: float | Tensor = 1.0,
        unsure: float | Tensor = 0.0,
    ) -> None:
        super().__init__(temperature, alpha, label_smoothing)
        self.keep(
            wrong=coefficient("wrong", wrong, at_least=0),
            unsure=coefficient("unsure", unsure, at_least=0),
        )

    def of_step(self, step: Step) -> LossTerms:
        """KD's terms, the teacher's weighted."""
        terms = super().of_step(step)
        assert step.teacher is not None  # KD has read it
        weight = self.trust(step.teacher, step.target)
        weight = torch.where(step.label_weight > 0, weight, torch.ones_like(weight))
        return replace(terms, teacher={k: weight * v for k, v in terms.teacher.items()})

    def trust(self, teacher: Tensor, target: Tensor) -> Tensor:
        """[..., batch] weights between 0 and 1, as if every row had its label.

        Args:
            teacher: [..., batch, classes] log-probabilities.
            target: [..., batch] class numbers.
        """
        said = teacher.gather(-1, target.unsqueeze(-1)).squeeze(-1).exp()
        entropy = -(teacher.exp() * teacher).sum(-1) / math.log(teacher.shape[-1])
        sure = (1 - entropy).clamp(min=0)
        return said ** by_member(self.wrong, said) * sure ** by_member(self.unsure, said)
