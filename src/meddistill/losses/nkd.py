"""Normalised knowledge distillation (Yang et al. 2023, arXiv:2303.13005)."""

from __future__ import annotations

from torch import Tensor

from meddistill.losses.base import by_member, coefficient, log_softmax
from meddistill.losses.blend import Tempered
from meddistill.losses.others import among_others


class NKD(Tempered):
    """`(1 - alpha) CE(y, s) + alpha (-p_y log q_y - gamma T^2 sum_{k != y} p'_k log q'_k)`.

    In nats. p_y and q_y are the teacher's and the student's probability of the label, not softened;
    p' and q' their softened answers among the other classes, each summing to 1. As in the paper T^2
    goes with the softened part alone.

    The first part is the label's cross-entropy, weighed by how sure the teacher is of it. So at
    alpha = 1 the best student is the teacher among the other classes only, where the part is gamma
    T^2 times the entropy of p', and sure of the label: unlike with the other losses, it is not the
    teacher itself. Both parts need to know the label's class, so they count on labelled rows only.

    Args:
        temperature: T, above 0; a number, or a tensor [members] with one a member of a stack.
        alpha: Weight of the teacher, between 0 and 1; a number or a tensor likewise.
        gamma: Weight of the other classes, at least 0; a number or a tensor likewise.
        label_smoothing: Of the labels' term, as in `CE`; a number or a tensor likewise.
    """

    min_classes: int = 3
    void: str = (
        "its part of the other classes is 0 and the rest is weighted cross-entropy with the labels"
    )
    reads_labels: bool = True
    by_square: bool = False
    per_member: tuple[str, ...] = ("gamma", *Tempered.per_member)
    other_size: Tensor

    def __init__(
        self,
        temperature: float | Tensor = 1.0,
        alpha: float | Tensor = 0.5,
        gamma: float | Tensor = 1.5,
        label_smoothing: float | Tensor = 0.0,
    ) -> None:
        super().__init__(temperature, alpha, label_smoothing)
        squared = coefficient("temperature", temperature, above=0) ** 2
        self.keep(other_size=coefficient("gamma", gamma, at_least=0) * squared)

    def teacher_terms(self, student: Tensor, teacher: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The parts `label_class` and `other_classes`; shapes as in the base class."""
        label = target.unsqueeze(0)
        learned = log_softmax(student).gather(0, label).squeeze(0)
        taught = log_softmax(teacher).gather(0, label).squeeze(0)
        softened = among_others(self.soften(student), target)
        other = -(among_others(self.soften(teacher), target).exp() * softened).sum(dim=0)
        return {
            "label_class": -taught.exp() * learned,
            "other_classes": by_member(self.other_size, other) * other,
        }
