"""Each member's learning rate moves as the single student's would."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from meddistill.stack.optimizer import MemberGroups
from meddistill.training.schedulers import Schedule


class _Groups(Optimizer):
    """Some groups of an optimizer, for a scheduler that would take all of them."""

    _opt_called = True  # schedulers ask whether a step was taken: the whole optimizer takes them

    def __init__(self, whole: Optimizer, groups: list[dict[str, Any]]) -> None:
        self.defaults, self.param_groups = whole.defaults, groups


class MemberSchedulers:
    """A scheduler of torch's for each run of members with one learning rate.

    A plateau is each member's own, so there `MemberGroups` has a run a member.

    Args:
        groups: The members' optimizer.
        schedule: What the members share.
        epochs: Of the whole training.
        steps: Optimizer steps of the whole training.
    """

    def __init__(self, groups: MemberGroups, schedule: Schedule, epochs: int, steps: int) -> None:
        self.groups, self.schedule = groups, schedule
        self.schedulers: dict[int, LRScheduler] = {
            run: schedule.built(_Groups(groups.optimizer, own), epochs, steps)
            for run, own in groups.by_run().items()
        }

    def bind(self) -> None:
        """Go on with the runs that are left, in the groups that the optimizer has now."""
        left = self.groups.by_run()
        self.schedulers = {run: self.schedulers[run] for run in left}
        for run, scheduler in self.schedulers.items():
            scheduler.optimizer.param_groups = left[run]

    def after_step(self, number: int) -> None:
        """Move after the step on an epoch's batch, counted from 1, as Lightning counts."""
        if self.schedule.interval == "step" and number % self.schedule.frequency == 0:
            for scheduler in self.schedulers.values():
                scheduler.step()

    def after_epoch(self, number: int) -> None:
        """Move after an epoch's steps, counted from 1."""
        if self._due(number) and not self.schedule.is_plateau:
            for scheduler in self.schedulers.values():
                scheduler.step()

    def after_validation(self, number: int, scores: Sequence[float]) -> None:
        """Move where a member's score stands still; scores of the members in the stack."""
        if self._due(number) and self.schedule.is_plateau:
            for scheduler, score in zip(self.schedulers.values(), scores, strict=True):
                scheduler.step(score)  # type: ignore[arg-type]

    def state_dict(self) -> dict[int, dict[str, Any]]:
        """By run."""
        return {run: scheduler.state_dict() for run, scheduler in self.schedulers.items()}

    def load_state_dict(self, state: Mapping[int, Mapping[str, Any]]) -> None:
        """Go on from a state; the optimizer's groups are loaded, and carry its runs' numbers."""
        present = self.schedulers.values()
        self.schedulers = dict(zip(self.groups.by_run(), present, strict=True))
        self.bind()
        for run, scheduler in self.schedulers.items():
            scheduler.load_state_dict(dict(state[run]))

    def _due(self, epoch: int) -> bool:
        return self.schedule.interval == "epoch" and epoch % self.schedule.frequency == 0
