"""The labels' term that losses share: cross-entropy, treated where classes are out of balance."""

from __future__ import annotations

from torch import Tensor, nn

from meddistill.losses.base import DistillationLoss, by_member, coefficient, log_softmax


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


def smoothing(value: float | Tensor) -> Tensor | None:
    """Label smoothing as a coefficient, or None where there is none at all."""
    checked = coefficient("label_smoothing", value, at_least=0, at_most=0.999)
    return checked.float() if bool((checked > 0).any()) else None


class LabelTerm(nn.Module):
    """What a row's label says of the student's answer: plain cross-entropy."""

    def forward(self, logits: Tensor, target: Tensor, label_smoothing: Tensor | None) -> Tensor:
        """[..., rows] nats; shapes as for `cross_entropy`."""
        return cross_entropy(logits, target, label_smoothing)

    def at_true_prior(self, logits: Tensor) -> Tensor:
        """[classes, ..., rows] logits as they compare with a teacher's answers."""
        return logits


class Labelled(DistillationLoss):
    """A loss with the labels' term, in which an imbalance of classes is treated (`treated.treat`).

    Args:
        label_smoothing: Share of the target spread evenly over the classes, at least 0 and below 1;
            a number, or a tensor [...] with one a member of a stack.
    """

    label_smoothing: Tensor | None
    labels: LabelTerm

    def __init__(self, label_smoothing: float | Tensor = 0.0) -> None:
        super().__init__()
        self.labels = LabelTerm()
        self.register_buffer("label_smoothing", smoothing(label_smoothing), persistent=False)

    @property
    def learns_labels(self) -> bool:
        """Yes, unless a subclass weighs the labels by 0."""
        return True

    def label_term(self, student: Tensor, target: Tensor) -> Tensor:
        """[..., rows] nats of logits [classes, ..., rows] and labels [..., rows]."""
        term: Tensor = self.labels(student, target, self.label_smoothing)
        return term
