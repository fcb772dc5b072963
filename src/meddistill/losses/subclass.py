"""Hidden subclasses of the teacher's features (after Mueller, Kornblith and Hinton 2020)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from meddistill.errors import UserError, integer, number
from meddistill.losses.base import Step
from meddistill.losses.features import FeatureLoss, flat


class Subclass(FeatureLoss):
    """D = KL(q || r), q the teacher's answer split into subclasses and r what the student sees.

    With two classes a teacher's answer is one number a row; which kind of a class a row is, its
    features tell (subclass distillation, arXiv:2002.03936). As in LELP (Loo et al. 2024,
    arXiv:2409.20449) subclasses need no new teacher: q(c, s) = p(c) softmax_s(u_cs . (f - m_c) /
    (sd_c tau)), with the mean m_c of the teacher's features f of class c (rows weighted by p(c)),
    their `subclasses` largest principal directions u_cs, and the spread sd_c along the first. LELP
    gives the student these answers as its own; here r comes from a linear layer on its features
    that is trained and never shipped, so that the student stays as small as it was.

    Args:
        subclasses: Of each class, at least 2.
        tau: Softens the subclasses, above 0.
        weight: As the others, of `FeatureLoss`.
    """

    term = "subclass"
    head: nn.Linear
    means: Tensor
    directions: Tensor

    def __init__(
        self,
        subclasses: int = 4,
        tau: float = 1.0,
        weight: float = 1.0,
        student_layer: str | None = None,
        teacher_layer: str | None = None,
        label_weight: float = 1.0,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(weight, student_layer, teacher_layer, label_weight, label_smoothing)
        self.subclasses = integer("subclasses", subclasses, at_least=2)
        self.tau = number("tau", tau, above=0)

    def connect(self, step: Step, seed: int) -> None:
        """Find the subclasses of the teacher's features, then make the student's layer."""
        features = flat(step.teacher_features[self.teacher_layer])
        most = min(features.shape) - 1
        if self.subclasses > most:
            raise UserError(
                f"loss.subclasses={self.subclasses}: {len(features)} labelled rows with "
                f"{features.shape[1]} features of the teacher have no more than {most} directions"
            )
        assert step.teacher is not None  # its features are there
        found = [self._directions(features, share) for share in step.teacher.exp().float().T]
        means, directions = (torch.stack(part) for part in zip(*found, strict=True))
        self.register_buffer("means", means)
        self.register_buffer("directions", directions)
        super().connect(step, seed)

    def read(self, step: Step) -> tuple[Tensor, Tensor]:
        """The student's features, and q as log-probabilities [batch, classes * subclasses]."""
        student, features = super().read(step)
        assert step.teacher is not None  # its features are there
        away = flat(features).unsqueeze(1) - self.means
        along = torch.einsum("rcf,csf->rcs", away, self.directions) / self.tau
        joint = step.teacher.float().unsqueeze(2) + along.log_softmax(dim=2)
        return student, joint.flatten(1)

    def fit_sizes(self, student: Tensor, teacher: Tensor) -> None:
        """Make the student's layer."""
        self.head = nn.Linear(flat(student).shape[1], teacher.shape[1])

    def compare(self, student: Tensor, teacher: Tensor) -> Tensor:
        """[batch] divergence in nats; `teacher` as `read` gives it."""
        seen = self.head(flat(student)).log_softmax(dim=1)
        return functional.kl_div(seen, teacher, reduction="none", log_target=True).sum(dim=1)

    def _directions(self, features: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
        """A class's mean [features] and directions [subclasses, features], over the spread."""
        weight = (share / share.sum().clamp(min=1e-12)).unsqueeze(1)
        mean = (weight * features).sum(dim=0)
        _, spread, directions = torch.linalg.svd(
            weight.sqrt() * (features - mean), full_matrices=False
        )
        return mean, directions[: self.subclasses] / spread[0].clamp(min=1e-12)
