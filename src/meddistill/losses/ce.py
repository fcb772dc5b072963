"""Cross-entropy with the labels: the student alone, without a teacher."""

from __future__ import annotations

from torch import Tensor

from meddistill.losses.base import (
    DistillationLoss,
    LossTerms,
    by_member,
    classes_first,
    coefficient,
    log_softmax,
)


def cross_entropy(logits: Tensor, target: Tensor, label_smoothing: Tensor | None = None) -> Tensor:
    """Cross-entropy per row in nats.

    With label smoothing e the target is `1 - e` times the label plus `e` spread evenly over the
    classes (Szegedy et al. 2016, arXiv:1512.00567).

    Args:
        logits: [classes, ..., rows], as `classes_first` gives them.
        target: [..., rows] class numbers.
        label_smoothing: e, [] or [...]; None is none.

    Returns:
        [..., rows].
    """
    log_probabilities = log_softmax(logits)
    label = -log_probabilities.gather(0, target.unsqueeze(0)).squeeze(0)
    if label_smoothing is None:
        return label
    share = by_member(label_smoothing, label)
    return (1 - share) * label - share * log_probabilities.mean(dim=0)


class CE(DistillationLoss):
    """Cross-entropy averaged over the labelled rows.

    Args:
        label_smoothing: Share of the target spread evenly over the classes, at least 0 and below 1;
            a number, or a tensor [...] with one a member of a stack.
    """

    needs_teacher: bool = False
    per_member: tuple[str, ...] = ("label_smoothing",)
    label_smoothing: Tensor | None

    def __init__(self, label_smoothing: float | Tensor = 0.0) -> None:
        super().__init__()
        self.register_buffer("label_smoothing", smoothing(label_smoothing), persistent=False)

    def forward(
        self,
        student_logits: Tensor,
        target: Tensor,
        teacher_log_probabilities: Tensor | None = None,
    ) -> LossTerms:
        """One term, `ce`; the teacher's answers are not read. Shapes as in the base class."""
        student = classes_first(student_logits)
        return LossTerms(label={"ce": cross_entropy(student, target, self.label_smoothing)})


def smoothing(value: float | Tensor) -> Tensor | None:
    """Label smoothing as a coefficient, or None where there is none at all."""
    checked = coefficient("label_smoothing", value, at_least=0, at_most=0.999)
    return checked.float() if bool((checked > 0).any()) else None
