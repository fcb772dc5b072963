"""How networks read a series: [..., parts, time, variables], and what of it is real.

Variable 0 is the clock, then come the series' variables, then static columns, repeated over real
steps. Parts are value, observed (1 or 0) and time since last seen; or value alone. Of the clock
they are: 1 at real steps and 0 at padding, the step's time, the time since the step before.
"""

from __future__ import annotations

import torch
from torch import Tensor

VALUE, OBSERVED, SINCE = range(3)


def real_steps(inputs: Tensor) -> Tensor:
    """[..., parts, time, variables] -> [..., time] whether a step is real, not padding."""
    return inputs[..., VALUE, :, 0] > 0


def steps_of(inputs: Tensor) -> Tensor:
    """[..., parts, time, variables] -> [..., time, parts * variables]: all that a step holds."""
    return inputs.movedim(-3, -2).flatten(-2)


def reversed_steps(steps: Tensor, real: Tensor) -> Tensor:
    """[..., time, features] with the real steps in reverse, padding after them as before."""
    if bool(real.all()):
        return steps.flip(-2)
    length = real.sum(dim=-1, keepdim=True)
    place = torch.arange(real.shape[-1], device=real.device)
    index = torch.where(place < length, length - 1 - place, place)
    return steps.gather(-2, index.unsqueeze(-1).expand_as(steps))


def mean_of(states: Tensor, real: Tensor) -> Tensor:
    """[..., time, features] -> [..., features] mean over real steps."""
    weight = real.to(states.dtype).unsqueeze(-1)
    return (states * weight).sum(dim=-2) / weight.sum(dim=-2).clamp(min=1)


def max_of(states: Tensor, real: Tensor) -> Tensor:
    """[..., time, features] -> [..., features] maximum over real steps."""
    lowest = torch.finfo(states.dtype).min
    return states.masked_fill(~real.unsqueeze(-1), lowest).amax(dim=-2)


def last_of(states: Tensor, real: Tensor) -> Tensor:
    """[..., time, features] -> [..., features] of the last real step."""
    last = (real.sum(dim=-1) - 1).clamp(min=0)
    index = last[..., None, None].expand(*states.shape[:-2], 1, states.shape[-1])
    return states.gather(-2, index).squeeze(-2)
