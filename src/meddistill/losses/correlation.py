"""Values without their mean and spread, and how two sets of them go together."""

from __future__ import annotations

from torch import Tensor

LEAST_SPREAD = 1e-4
"""A smaller standard deviation counts as this one: a constant would be divided by 0."""


def standardised(values: Tensor, dim: int) -> Tensor:
    """Values less their mean, divided by their standard deviation along `dim`, which stays.

    The deviation is that of all values there are (divided by their number). Where it is below
    `LEAST_SPREAD`, value and gradient are finite, and of a single value both are 0.
    """
    centred = values - values.mean(dim=dim, keepdim=True)
    variance = centred.square().mean(dim=dim, keepdim=True)
    # Clamped before the root, whose slope at 0 is infinite.
    return centred / variance.clamp(min=LEAST_SPREAD**2).sqrt()


def correlation(one: Tensor, other: Tensor, dim: int) -> Tensor:
    """Pearson's, between -1 and 1, along `dim`, which is taken away; 0 where one is constant."""
    return (standardised(one, dim) * standardised(other, dim)).mean(dim=dim)


def apart_over_rows(student: Tensor, teacher: Tensor) -> Tensor:
    """1 - the correlation of each class's values over the rows, averaged over the classes.

    It is one number a batch; every row gets it, so that the mean over rows is that number.

    Args:
        student: [classes, ..., rows].
        teacher: [classes, ..., rows].

    Returns:
        [..., rows] between 0 and 2.
    """
    apart = 1 - correlation(student, teacher, dim=-1).mean(dim=0)
    return apart.unsqueeze(-1).expand(student.shape[1:])
