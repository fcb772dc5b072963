"""Knowledge distillation by softened answers (Hinton, Vinyals and Dean 2015, arXiv:1503.02531)."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from meddistill.losses.blend import Tempered


class KD(Tempered):
    """`(1 - alpha) CE(y, s) + alpha T^2 KL(softmax(t / T) || softmax(s / T))`, in nats.

    T^2 keeps the size of the teacher's gradient independent of T. Both sides are tempered, so that
    at alpha = 1 the best student equals the teacher at every T.
    """

    def teacher_terms(self, student: Tensor, teacher: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The divergence `kd`; shapes as in the base class."""
        softened, taught = self.soften(student), self.soften(teacher)
        divergence = F.kl_div(softened, taught, reduction="none", log_target=True).sum(dim=0)
        return {"kd": divergence}
