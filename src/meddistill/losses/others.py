"""One class of a row against its others, in log space; [classes, ..., rows] as everywhere here."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

LEFT_OUT = -1e30
"""A logit whose probability is 0, yet finite: 0 times it is 0, and 0 times -inf is not."""


def log_odds(logits: Tensor, chosen: Tensor) -> Tensor:
    """`log p - log(1 - p)` of the chosen class, finite however near to 0 or 1 its p is.

    It is `z_chosen - log sum_{k != chosen} exp(z_k)`, where no p is subtracted from 1.

    Args:
        logits: [classes, ..., rows], up to a constant of the row.
        chosen: [..., rows] class numbers.

    Returns:
        [..., rows] nats.
    """
    others = _without(logits, chosen).logsumexp(dim=0)
    return logits.gather(0, chosen.unsqueeze(0)).squeeze(0) - others


def among_others(logits: Tensor, left_out: Tensor) -> Tensor:
    """Log-probabilities among the classes other than `left_out`, as if it could not be.

    Args:
        logits: [classes, ..., rows], up to a constant of the row.
        left_out: [..., rows] class numbers.

    Returns:
        [classes, ..., rows] nats; at the class left out a number so low that its probability is 0.
    """
    return F.log_softmax(_without(logits, left_out), dim=0)


def _without(logits: Tensor, left_out: Tensor) -> Tensor:
    place = torch.zeros_like(logits, dtype=torch.bool).scatter(0, left_out.unsqueeze(0), True)
    return logits.masked_fill(place, LEFT_OUT)
