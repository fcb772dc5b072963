"""The labels' term of a loss where an imbalance of classes is treated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from meddistill.data.datamodule import CohortDataModule
from meddistill.losses.base import DistillationLoss, by_member, log_softmax
from meddistill.losses.imbalance import Numbers, Treatment, treatment_of
from meddistill.losses.labels import Labelled, LabelTerm

LEAST = 1e-12
"""Probability missed below which a focal loss has no slope: its root has none at 0."""


class TreatedLabels(LabelTerm):
    """`w_y (1 - p_y)^gamma CE(y, z + a)`, with p of `z + a` and z the logits of the true prior.

    Args:
        treatments: One; or one a member of a stack, whose dimension comes before the rows'.
        stacked: Whether they are a stack's.
    """

    weight: Tensor
    added: Tensor
    left: Tensor
    gamma: Tensor

    def __init__(self, treatments: Sequence[Treatment], stacked: bool = False) -> None:
        super().__init__()

        def keep(name: str, values: Sequence[Numbers | float]) -> None:
            every = torch.tensor(np.array(values), dtype=torch.float32)
            self.register_buffer(name, every if stacked else every[0], persistent=False)

        keep("weight", [each.weight for each in treatments])
        keep("added", [each.added - each.left for each in treatments])
        keep("left", [each.left for each in treatments])
        keep("gamma", [each.gamma for each in treatments])
        self.focuses = any(each.gamma for each in treatments)
        self.bends = any(each.left.any() for each in treatments)

    def forward(self, logits: Tensor, target: Tensor, label_smoothing: Tensor | None) -> Tensor:
        """[..., rows] nats; logits [classes, ..., rows] as the network answers."""
        bent = logits + _classes_first(self.added, logits)
        label = super().forward(bent, target, label_smoothing)
        weight = self.weight.expand(*target.shape[:-1], -1).gather(-1, target)
        return weight * (self._missed(bent, target) * label if self.focuses else label)

    def _missed(self, logits: Tensor, target: Tensor) -> Tensor:
        """[..., rows] (1 - p_y)^gamma."""
        chosen = log_softmax(logits).gather(0, target.unsqueeze(0)).squeeze(0)
        missed = (-torch.expm1(chosen)).clamp(min=LEAST)
        return missed ** by_member(self.gamma, missed)

    def at_true_prior(self, logits: Tensor) -> Tensor:
        """[classes, ..., rows] without the bend that the network's answers keep."""
        return logits - _classes_first(self.left, logits)


def treatment_by(
    loss: DistillationLoss, node: Mapping[str, Any], data: CohortDataModule
) -> Treatment | None:
    """What a config node of an imbalance asks for of a student that learns by `loss`.

    One that takes nothing from labels is the student without a treatment, whatever its kind.
    """
    found = treatment_of(node, data)
    return found if found is None or loss.ever_learns_labels else found.of_no_labels


def treat(
    loss: DistillationLoss, treatments: Sequence[Treatment], stacked: bool = False
) -> DistillationLoss:
    """Give a loss, and those within it, the labels' term of a treatment; it is changed in place.

    Args:
        loss: Any.
        treatments: None where there is nothing to treat, one, or one a member of a stack.
        stacked: Whether they are a stack's.
    """
    if any(not each.is_plain for each in treatments):
        for each in loss.modules():
            if isinstance(each, Labelled):
                each.labels = TreatedLabels(treatments, stacked)
    return loss


def at_true_prior(loss: DistillationLoss, logits: Tensor) -> Tensor:
    """Logits [..., rows, classes] of who learns by a loss, without the bend that answers keep.

    Epochs, tries and students are chosen by these, so that none is better for being less bent.
    """
    found = (each for each in loss.modules() if isinstance(each, TreatedLabels) and each.bends)
    term = next(found, None)
    return logits if term is None else logits - term.left.unsqueeze(-2)


def _classes_first(vector: Tensor, like: Tensor) -> Tensor:
    """[..., classes] shaped to be added to `like` [classes, ..., rows]."""
    first = vector.movedim(-1, 0)
    return first.view(*first.shape, *[1] * (like.dim() - first.dim()))
