"""One torch optimizer for all members, each with its own settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn

from meddistill.training.classifier import OptimizerFactory

ELEMENTWISE = (torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD)
"""Optimizers that treat each number of a parameter by itself, so that stacking changes nothing."""


class MemberGroups:
    """Views of stacked parameters: a group of the optimizer for each run of alike members.

    An optimizer has one learning rate a group, not a member. Members with equal settings lie side
    by side, so their part of a stacked parameter is a slice, which shares its memory with it.

    Args:
        parameters: Stacked parameters, [M, ...] each.
        settings: The optimizer's numbers of each member, members with equal ones side by side.
        factory: From parameter groups to the optimizer.
    """

    def __init__(
        self,
        parameters: Sequence[nn.Parameter],
        settings: Sequence[Mapping[str, Any]],
        factory: OptimizerFactory,
    ) -> None:
        self.parameters = list(parameters)
        self._slices: list[slice] = []
        groups, start = [], 0
        for numbers, run in groupby(settings, key=dict):
            self._slices.append(slice(start, start + len(list(run))))
            start = self._slices[-1].stop
            groups.append({**numbers, "params": self._views(self._slices[-1])})
        self.optimizer = factory(groups)  # type: ignore[arg-type]

    def share_gradients(self) -> None:
        """Hand the stacked parameters' gradients to the views."""
        for group, part in zip(self.optimizer.param_groups, self._slices, strict=True):
            for view, parameter in zip(group["params"], self.parameters, strict=True):
                view.grad = None if parameter.grad is None else parameter.grad[part]

    def keep(self, members: Tensor, parameters: Sequence[nn.Parameter]) -> None:
        """Go on with the members numbered by `members` alone.

        State of a parameter's shape (momenta) is cut like the parameter; the rest (step counts) is
        the same for all members, since they step together.

        Args:
            members: Ascending.
            parameters: The stacked parameters cut to them.
        """
        self.parameters = list(parameters)
        state = dict(self.optimizer.state)
        old = list(zip(self.optimizer.param_groups, self._slices, strict=True))
        self.optimizer.state.clear()
        self.optimizer.param_groups.clear()
        self._slices, start = [], 0
        for group, part in old:
            local = members[(members >= part.start) & (members < part.stop)] - part.start
            if len(local) == 0:
                continue
            self._slices.append(slice(start, start + len(local)))
            start += len(local)
            views = self._views(self._slices[-1])
            for view, before in zip(views, group["params"], strict=True):
                cut = {k: _cut(v, before, local) for k, v in state.get(before, {}).items()}
                self.optimizer.state[view] = cut
            self.optimizer.param_groups.append({**group, "params": views})

    def _views(self, part: slice) -> list[nn.Parameter]:
        return [nn.Parameter(parameter.data[part]) for parameter in self.parameters]

    def clear_gradients(self) -> None:
        """Forget the gradients of parameters and views."""
        for parameter in self.parameters:
            parameter.grad = None

    def clip(self, limit: float, algorithm: str) -> None:
        """Limit each member's gradient, as torch's `clip_grad_norm_` does for one network."""
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        if algorithm == "value":
            for gradient in gradients:
                gradient.clamp_(-limit, limit)
            return
        norms = torch.stack([gradient.flatten(1).norm(dim=1) for gradient in gradients])
        factor = (limit / (norms.norm(dim=0) + 1e-6)).clamp(max=1.0)
        for gradient in gradients:
            gradient.mul_(factor.view(-1, *[1] * (gradient.dim() - 1)))


def _cut(value: Any, parameter: Tensor, members: Tensor) -> Any:
    per_member = isinstance(value, Tensor) and value.shape == parameter.shape
    return value[members] if per_member else value
