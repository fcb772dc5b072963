"""Distillation by correlations (DIST; Huang, You, Wang, Qian and Xu 2022, arXiv:2205.10536)."""

from __future__ import annotations

from torch import Tensor

from meddistill.losses.base import by_member, coefficient
from meddistill.losses.blend import Tempered
from meddistill.losses.correlation import apart_over_rows, correlation


class DIST(Tempered):
    """`(1 - alpha) CE(y, s) + alpha (beta inter + gamma intra)`, without unit.

    inter is 1 - Pearson's correlation of a row's probabilities over the classes, intra that of a
    class's probabilities over the rows of the batch, averaged over the classes; both of answers
    softened by T. They are 0 where the student equals the teacher, and wherever it is the teacher
    up to a shift and a positive factor. There is no T^2, as in the paper's formula (its
    authors' code multiplies by it): a correlation does not shrink as T grows.

    A constant row or column correlates with nothing. intra needs a batch of many rows.

    Args:
        temperature: T, above 0; a number, or a tensor [members] with one a member of a stack.
        alpha: Weight of the teacher, between 0 and 1; a number or a tensor likewise.
        beta: Weight of inter, at least 0; a number or a tensor likewise.
        gamma: Weight of intra, at least 0; a number or a tensor likewise.
        label_smoothing: Of the labels' term, as in `CE`; a number or a tensor likewise.
    """

    min_classes: int = 3
    void: str = (
        "a row's two probabilities correlate by 1 or -1 whatever they are and the rest is "
        "loss=ranking"
    )
    relates_rows: bool = True
    by_square: bool = False
    per_member: tuple[str, ...] = ("beta", "gamma", *Tempered.per_member)
    beta: Tensor
    gamma: Tensor

    def __init__(
        self,
        temperature: float | Tensor = 1.0,
        alpha: float | Tensor = 0.5,
        beta: float | Tensor = 1.0,
        gamma: float | Tensor = 1.0,
        label_smoothing: float | Tensor = 0.0,
    ) -> None:
        super().__init__(temperature, alpha, label_smoothing)
        self.keep(
            beta=coefficient("beta", beta, at_least=0),
            gamma=coefficient("gamma", gamma, at_least=0),
        )

    def teacher_terms(self, student: Tensor, teacher: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The terms `inter_class` and `intra_class`; shapes as in the base class."""
        learned, taught = self.soften(student).exp(), self.soften(teacher).exp()
        inter = 1 - correlation(learned, taught, dim=0)
        intra = apart_over_rows(learned, taught)
        return {
            "inter_class": by_member(self.beta, inter) * inter,
            "intra_class": by_member(self.gamma, intra) * intra,
        }
