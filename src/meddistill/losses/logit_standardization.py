"""Logit standardisation (Sun, Ren, Li, Wang and Cao 2024, arXiv:2403.01427)."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from meddistill.losses.blend import Tempered
from meddistill.losses.correlation import standardised


class LogitStandardization(Tempered):
    """`(1 - alpha) CE(y, s) + alpha T^2 KL(softmax(Z(t) / T) || softmax(Z(s) / T))`, in nats.

    Z takes the mean of a row's logits away and divides by their standard deviation over the
    classes, so a student need not reach the size of the teacher's logits: the term is 0 where it
    equals the teacher, and wherever its logits are the teacher's times a positive factor. T^2 is
    the paper's. The variance is divided by C, in the authors' code by C - 1: in effect another T.
    Logits all but equal count as spread by 1e-4.
    """

    min_classes: int = 3
    void: str = "two standardised logits are 1 and -1 whatever they were"

    def teacher_terms(self, student: Tensor, teacher: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The divergence `logit_standardization`; shapes as in the base class."""
        softened, taught = (self.soften(standardised(each, dim=0)) for each in (student, teacher))
        divergence = F.kl_div(softened, taught, reduction="none", log_target=True).sum(dim=0)
        return {"logit_standardization": divergence}
