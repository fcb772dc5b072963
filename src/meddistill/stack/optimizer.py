"""One torch optimizer for all members, each with its own settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn

from meddistill.config.compose import OptimizerFactory
from meddistill.training.kernels import by_kernel

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
        apart: Whether members with equal settings are runs of their own all the same.
    """

    def __init__(
        self,
        parameters: Sequence[nn.Parameter],
        settings: Sequence[Mapping[str, Any]],
        factory: OptimizerFactory,
        apart: bool = False,
    ) -> None:
        self.parameters = list(parameters)
        self._parts: list[tuple[slice, list[int]]] = []  # members and parameters of each group
        groups, start = [], 0
        runs = [(dict(own), 1) for own in settings] if apart else _runs(settings)
        for number, (own, length) in enumerate(runs):
            part = slice(start, start + length)
            start = part.stop
            for numbers, kernel in by_kernel(self.parameters, len(settings)):
                self._parts.append((part, numbers))
                views = self._views(part, numbers)
                groups.append({**own, **kernel, "run": number, "params": views})
        self.optimizer = factory(groups)

    def by_run(self) -> dict[int, list[dict[str, Any]]]:
        """The optimizer's groups of each run of members, in their order."""
        groups: list[dict[str, Any]] = self.optimizer.param_groups
        return {run: list(own) for run, own in groupby(groups, key=lambda group: group["run"])}

    def share_gradients(self) -> None:
        """Hand the stacked parameters' gradients to the views."""
        for group, (part, numbers) in zip(self.optimizer.param_groups, self._parts, strict=True):
            for view, number in zip(group["params"], numbers, strict=True):
                gradient = self.parameters[number].grad
                view.grad = None if gradient is None else gradient[part]

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
        old = list(zip(self.optimizer.param_groups, self._parts, strict=True))
        self.optimizer.state.clear()
        self.optimizer.param_groups.clear()
        self._parts = []
        for group, (part, numbers) in old:
            kept = (members >= part.start) & (members < part.stop)
            if not kept.any():
                continue
            local, places = members[kept] - part.start, kept.nonzero().flatten()
            new = slice(int(places[0]), int(places[-1]) + 1)
            views = self._views(new, numbers)
            for view, before in zip(views, group["params"], strict=True):
                cut = {k: _cut(v, before, local) for k, v in state.get(before, {}).items()}
                self.optimizer.state[view] = cut
            self._parts.append((new, numbers))
            self.optimizer.param_groups.append({**group, "params": views})

    def _views(self, part: slice, numbers: Sequence[int]) -> list[nn.Parameter]:
        return [nn.Parameter(self.parameters[number].data[part]) for number in numbers]

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


def _runs(settings: Sequence[Mapping[str, Any]]) -> list[tuple[dict[str, Any], int]]:
    """Settings of members side by side that are equal, and how many these are."""
    return [(own, len(list(run))) for own, run in groupby(settings, key=dict)]


def _cut(value: Any, parameter: Tensor, members: Tensor) -> Any:
    per_member = isinstance(value, Tensor) and value.shape == parameter.shape
    return value[members] if per_member else value
