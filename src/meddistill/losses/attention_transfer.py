"""Where a layer looks (Zagoruyko and Komodakis 2017, arXiv:1612.03928)."""

from __future__ import annotations

from torch import Tensor

from meddistill.errors import UserError
from meddistill.losses.base import Step
from meddistill.losses.features import FeatureLoss, unit


class AttentionTransfer(FeatureLoss):
    """D = `|| q_student - q_teacher ||^2`, q a layer's attention over its positions.

    Attention is the mean square over channels at each position, as a vector of length 1. It needs
    layers with positions: [batch, channels, height, width] of images, or [batch, tokens, channels].
    A layer that is one vector a row has none.
    """

    term = "attention_transfer"

    def check_student(self, step: Step) -> None:
        """Refuse a layer without positions."""
        super().check_student(step)
        _check_positions("student", step.student_features[self.student_layer])

    def fit_sizes(self, student: Tensor, teacher: Tensor) -> None:
        """Refuse layers without positions, or with others."""
        _check_positions("teacher", teacher)
        own, others = (attention(features).shape[1] for features in (student, teacher))
        if own != others:
            raise UserError(
                f"loss=attention_transfer: the student's layer has {own} positions and the "
                f"teacher's {others}; name layers of one size (loss.student_layer, "
                "loss.teacher_layer)"
            )

    def compare(self, student: Tensor, teacher: Tensor) -> Tensor:
        """[batch] squared distance of a row's attentions."""
        return (attention(student) - attention(teacher)).square().sum(dim=1)


def attention(features: Tensor) -> Tensor:
    """[batch, positions] of length 1."""
    channels = 1 if features.dim() > 3 else -1
    return unit(features.float().square().mean(dim=channels).flatten(1), dim=1)


def _check_positions(who: str, features: Tensor) -> None:
    if features.dim() < 3:
        raise UserError(
            f"loss=attention_transfer: the {who}'s layer has one vector a row and so no positions "
            f"to look at; name another (loss.{who}_layer), or take loss=fitnets, similarity or rkd"
        )
