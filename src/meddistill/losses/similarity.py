"""Which rows resemble which (Tung and Mori 2019, arXiv:1907.09682)."""

from __future__ import annotations

from torch import Tensor

from meddistill.losses.features import FeatureLoss, flat, unit


class Similarity(FeatureLoss):
    """D of row i = `sum_j (G_student[i, j] - G_teacher[i, j])^2`, G the products of rows' features.

    Each line of G has length 1, as in the paper. The paper's mean over pairs is a sum over j here
    and a mean over rows outside, so that the value doesn't depend on the number of rows.
    """

    term = "similarity"
    relates_rows: bool = True

    def compare(self, student: Tensor, teacher: Tensor) -> Tensor:
        """[batch] squared distance of a row's similarities to all rows of the batch."""
        return (similarities(student) - similarities(teacher)).square().sum(dim=1)


def similarities(features: Tensor) -> Tensor:
    """[batch, batch] products of rows' features, each line of length 1."""
    rows = flat(features)
    return unit(rows @ rows.T, dim=1)
