"""Cells without a value: what was seen last, and how long ago; nothing comes from later steps."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

GAPPED, WHOLE = 3, 1
"""Parts of a series: value, observed and time since; value alone."""
ROWS_AT_ONCE = 1024


def in_parts(block: NDArray[np.float32], variables: int, parts: int) -> NDArray[np.float32]:
    """[rows, time, 1 + V + S] -> [rows, time, parts, 1 + V + S], not scaled.

    The first part is the block, with the value seen last in each gap. The second says whether a
    value, or a static column, was observed, the third for how long it has been since one before.
    In column 0 the first two have the step's time, the third the time since the step before.
    Both are 0 elsewhere, and at padding.

    Args:
        block: Of records.
        variables: V.
        parts: 3, or 1.
    """
    rows, steps, width = block.shape
    made = np.zeros((rows, steps, parts, width), dtype=np.float32)
    for first in range(0, rows, ROWS_AT_ONCE):
        chosen = slice(first, first + ROWS_AT_ONCE)
        _write(torch.from_numpy(block[chosen]), torch.from_numpy(made[chosen]), variables)
    return made


def _write(block: Tensor, made: Tensor, variables: int) -> None:
    own = slice(1, 1 + variables)
    times, values = block[..., 0], block[..., own]
    real, last = ~times.isnan().unsqueeze(-1), last_seen(~values.isnan())
    value = made[:, :, 0]
    value.copy_(block)
    value[..., own] = torch.where(real, carried(values, last), torch.nan)
    if made.shape[2] == GAPPED:
        observed, since = made[:, :, 1], made[:, :, 2]
        observed.copy_((~block.isnan()).to(block.dtype))
        observed[..., 0] = times.nan_to_num()
        since[..., own] = torch.where(real, time_since(times, last), 0.0)
        since[..., :1] = torch.where(real, strides(times).unsqueeze(-1), 0.0)


def last_seen(seen: Tensor) -> Tensor:
    """[..., time, variables] the latest step up to each at which there was a value, -1 if none."""
    steps = torch.arange(seen.shape[-2], device=seen.device).unsqueeze(-1)
    return torch.where(seen, steps, -1).cummax(dim=-2).values


def carried(values: Tensor, last: Tensor) -> Tensor:
    """[..., time, variables] the value seen last; NaN where there was none yet."""
    return values.gather(-2, last.clamp(min=0))


def time_since(times: Tensor, last: Tensor) -> Tensor:
    """[..., time, variables] from the value before a step to it, as in GRU-D (Che et al. 2018).

    The step's own value doesn't count. Before the first value it is the time since the first step.

    Args:
        times: [..., time] of each step.
        last: What `last_seen` says.
    """
    before = torch.cat([torch.full_like(last[..., :1, :], -1), last[..., :-1, :]], dim=-2)
    every = times.unsqueeze(-1).expand(*times.shape, last.shape[-1])
    return every - every.gather(-2, before.clamp(min=0))


def strides(times: Tensor) -> Tensor:
    """[..., time] the time since the step before; 0 at the first."""
    return torch.cat([torch.zeros_like(times[..., :1]), times.diff(dim=-1)], dim=-1)


def is_even(times: NDArray[np.float32]) -> bool:
    """Whether all steps are equally long."""
    differences = np.diff(times, axis=1)
    known = differences[~np.isnan(differences)]
    return bool(len(known) == 0 or np.ptp(known) <= 1e-4 * np.abs(known).max())
