"""Decoupled knowledge distillation (Zhao, Cui, Song, Qiu and Liang 2022, arXiv:2203.08679)."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from meddistill.losses.base import by_member, coefficient
from meddistill.losses.blend import Tempered
from meddistill.losses.others import among_others, log_odds


class DKD(Tempered):
    """`(1 - alpha) CE(y, s) + alpha T^2 (TCKD + beta NCKD)`, in nats.

    TCKD is the divergence of the label's class against all others, `KL((p_y, 1 - p_y) || (q_y,
    1 - q_y))`, and NCKD that among the others, `KL(p_k / (1 - p_y) || q_k / (1 - q_y))` over
    k != y, with p and q the teacher's and the student's softened answers. `KD` is `TCKD +
    (1 - p_y) NCKD`: a sure teacher mutes what it knows of the other classes, and beta does not.
    The paper's formulas leave T out and its experiments multiply by T^2, as here.

    Both terms need to know the label's class, so they count on labelled rows only.

    Args:
        temperature: T, as in `KD`.
        alpha: Weight of the teacher, as in `KD`.
        beta: Weight of NCKD, at least 0; a number, or a tensor [members].
        label_smoothing: As in `KD`.
    """

    min_classes: int = 3
    void: str = "its divergence among the other classes is 0 and the rest is loss=kd"
    reads_labels: bool = True
    per_member: tuple[str, ...] = ("beta", *Tempered.per_member)
    beta: Tensor

    def __init__(
        self,
        temperature: float | Tensor = 4.0,
        alpha: float | Tensor = 0.5,
        beta: float | Tensor = 8.0,
        label_smoothing: float | Tensor = 0.0,
    ) -> None:
        super().__init__(temperature, alpha, label_smoothing)
        self.keep(beta=coefficient("beta", beta, at_least=0))

    def teacher_terms(self, student: Tensor, teacher: Tensor, target: Tensor) -> dict[str, Tensor]:
        """TCKD as `label_class` and beta NCKD as `other_classes`; shapes as in the base class."""
        softened, taught = self.soften(student), self.soften(teacher)
        other = F.kl_div(
            among_others(softened, target),
            among_others(taught, target),
            reduction="none",
            log_target=True,
        ).sum(dim=0)
        return {
            "label_class": divergence_of_odds(log_odds(taught, target), log_odds(softened, target)),
            "other_classes": by_member(self.beta, other) * other,
        }


def divergence_of_odds(teacher: Tensor, student: Tensor) -> Tensor:
    """`KL((p, 1 - p) || (q, 1 - q))` in nats, from the log odds of p and q, of any shape."""
    yes = teacher.sigmoid() * (F.logsigmoid(teacher) - F.logsigmoid(student))
    no = (-teacher).sigmoid() * (F.logsigmoid(-teacher) - F.logsigmoid(-student))
    return yes + no
