"""Distances and angles between rows (Park et al. 2019, arXiv:1904.05068)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from meddistill.errors import number
from meddistill.losses.features import FeatureLoss, flat


class RKD(FeatureLoss):
    """D = `distance * huber(d_student, d_teacher) + angle * huber(a_student, a_teacher)`.

    d are distances between rows over their mean in the batch, a the cosines of the angles at a row
    between any two others. Row i's term is the mean over the pairs or triples with i at the vertex.

    Args:
        distance: Weight of the distances.
        angle: Weight of the angles.
        weight: As the others, of `FeatureLoss`.
    """

    term = "rkd"
    relates_rows: bool = True

    def __init__(
        self,
        distance: float = 1.0,
        angle: float = 2.0,
        weight: float = 1.0,
        student_layer: str | None = None,
        teacher_layer: str | None = None,
        label_weight: float = 1.0,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(weight, student_layer, teacher_layer, label_weight, label_smoothing)
        self.distance = number("distance", distance, at_least=0)
        self.angle = number("angle", angle, at_least=0)

    def compare(self, student: Tensor, teacher: Tensor) -> Tensor:
        """[batch] Huber losses of a row's distances and angles."""
        own, others = flat(student), flat(teacher)
        apart, others_apart = distances(own), distances(others)
        found = self.distance * _huber(over_mean(apart), over_mean(others_apart))
        if self.angle:
            found = found + self.angle * _huber(angles(own, apart), angles(others, others_apart))
        return found


def distances(rows: Tensor) -> Tensor:
    """[batch, batch] Euclidean distances: 0, and without a gradient, between equal rows."""
    return torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist")


def over_mean(distances: Tensor) -> Tensor:
    """[batch, batch] distances over their mean between different rows."""
    return distances / (distances.sum() / (distances > 0).sum().clamp(min=1)).clamp(min=1e-12)


def angles(rows: Tensor, distances: Tensor) -> Tensor:
    """[batch, batch * batch] cosines at the first row between the directions to two others."""
    lengths = torch.where(distances > 0, distances, 1.0)  # equal rows have no direction
    directions = (rows.unsqueeze(0) - rows.unsqueeze(1)) / lengths.unsqueeze(2)
    return (directions @ directions.transpose(1, 2)).flatten(1)


def _huber(student: Tensor, teacher: Tensor) -> Tensor:
    return functional.smooth_l1_loss(student, teacher, reduction="none").mean(dim=1)
