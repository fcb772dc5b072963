"""Squared error of logits (Ba and Caruana 2014, arXiv:1312.6184; Kim et al. 2021, 2105.08919)."""

from __future__ import annotations

from torch import Tensor

from meddistill.losses.blend import Blend


class LogitMSE(Blend):
    """`(1 - alpha) CE(y, s) + alpha (1 / C) sum_k ((s_k - mean s) - (t_k - mean t))^2`, C classes.

    Both sides are centred over the classes: the teacher's log-probabilities are its logits up to a
    constant of the row, and no constant of a row changes a probability. There is no temperature;
    the term is twice the limit of `KD`'s as T grows (Kim, Oh, Kim, Cho and Yun 2021).

    A teacher's clamped log-probabilities weigh heavily here: `Margin` bounds what one row can do.

    Args:
        alpha: Weight of the teacher, between 0 and 1; a number, or a tensor [members].
        label_smoothing: Of the labels' term, as in `CE`; a number or a tensor likewise.
    """

    def __init__(self, alpha: float | Tensor = 0.5, label_smoothing: float | Tensor = 0.0) -> None:
        super().__init__(alpha, label_smoothing)

    def teacher_terms(self, student: Tensor, teacher: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The mean square `logit_mse`, in squared nats; shapes as in the base class."""
        difference = student - teacher
        return {"logit_mse": (difference - difference.mean(dim=0)).square().mean(dim=0)}
