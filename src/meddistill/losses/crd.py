"""A row's own teacher among the batch's (after Tian, Krishnan and Isola 2020, arXiv:1910.10699)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from meddistill.errors import integer, number
from meddistill.losses.features import FeatureLoss, flat, unit


class CRD(FeatureLoss):
    """D of row i = `-log softmax_j(cos(P f_student[i], Q f_teacher[j]) / tau)` at j = i.

    P and Q are linear and trained. The paper draws its negatives from a memory of all rows; here
    they are the other rows of the batch (the InfoNCE form, van den Oord et al. 2018,
    arXiv:1807.03748), which needs no memory and is exact after a resume. Its minimum is above 0 and
    depends on the number of rows.

    Args:
        size: Numbers that features are projected to.
        tau: Temperature of the contrast, above 0.
        weight: As the others, of `FeatureLoss`.
    """

    term = "crd"
    relates_rows: bool = True
    own: nn.Linear
    others: nn.Linear

    def __init__(
        self,
        size: int = 32,
        tau: float = 0.1,
        weight: float = 1.0,
        student_layer: str | None = None,
        teacher_layer: str | None = None,
        label_weight: float = 1.0,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(weight, student_layer, teacher_layer, label_weight, label_smoothing)
        self.size, self.tau = integer("size", size, at_least=1), number("tau", tau, above=0)

    def fit_sizes(self, student: Tensor, teacher: Tensor) -> None:
        """Make the projectors."""
        self.own = nn.Linear(flat(student).shape[1], self.size)
        self.others = nn.Linear(flat(teacher).shape[1], self.size)

    def compare(self, student: Tensor, teacher: Tensor) -> Tensor:
        """[batch] cross-entropy of finding a row's own teacher."""
        own = unit(self.own(flat(student)), dim=1)
        others = unit(self.others(flat(teacher)), dim=1)
        rows = torch.arange(len(own), device=own.device)
        return functional.cross_entropy(own @ others.T / self.tau, rows, reduction="none")
