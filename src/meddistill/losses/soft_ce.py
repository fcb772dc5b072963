"""Cross-entropy with a teacher's softened answers (Hinton et al. 2015, arXiv:1503.02531)."""

from __future__ import annotations

from torch import Tensor

from meddistill.losses.blend import Tempered


class SoftCE(Tempered):
    """`(1 - alpha) CE(y, s) - alpha T^2 sum_k p_k log q_k`, in nats.

    p and q are `softmax(t / T)` and `softmax(s / T)`. The teacher's part is `KD`'s plus T^2 times
    the entropy of p, which is its minimum, at q = p. The entropy depends on the teacher alone, so
    the gradient is `KD`'s; the value tells how unsure the teacher is, and not the distance to it.
    """

    def teacher_terms(self, student: Tensor, teacher: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The cross-entropy `soft_ce`; shapes as in the base class."""
        return {"soft_ce": -(self.soften(teacher).exp() * self.soften(student)).sum(dim=0)}
