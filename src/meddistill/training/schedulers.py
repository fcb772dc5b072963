"""How the learning rate moves: torch's schedulers, by Lightning's names of when they step."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from hydra.utils import get_object
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR, ReduceLROnPlateau

from meddistill.config.compose import build
from meddistill.errors import SettingError, UserError, integer, number
from meddistill.measures import lower_is_better

INTERVALS = ("epoch", "step")
STEPPED = ("interval", "frequency", "monitor")
"""Keys of Lightning's config of a scheduler; the others are the scheduler's own settings."""


class Cosine(LambdaLR):
    """A straight rise to the optimizer's learning rate, then half a cosine down to `floor`.

    Loshchilov and Hutter 2017 (arXiv:1608.03983), with the warm-up of Goyal et al. 2017
    (arXiv:1706.02677).

    Args:
        optimizer: Whose learning rates are the peaks.
        total_steps: Of the scheduler, in the whole training.
        warmup: Share of them in which the learning rate rises.
        floor: Share of the learning rate that is left at the end.
    """

    def __init__(
        self, optimizer: Optimizer, total_steps: int, warmup: float = 0.1, floor: float = 0.0
    ) -> None:
        self.total_steps = integer("total_steps", total_steps, at_least=1)
        self.warmup = number("warmup", warmup, at_least=0, at_most=1)
        self.floor = number("floor", floor, at_least=0, at_most=1)
        super().__init__(optimizer, self._share)

    def _share(self, step: int) -> float:
        """Share of the learning rate after a number of steps."""
        rising = math.ceil(round(self.warmup * self.total_steps, 6))  # any is one at least
        if step < rising:
            return (step + 1) / (rising + 1)
        done = min(1.0, (step - rising) / max(1, self.total_steps - rising))
        return self.floor + (1 - self.floor) * (1 + math.cos(math.pi * done)) / 2

    def state_dict(self) -> dict[str, Any]:
        """Without the function, which is a method of its own."""
        return {key: v for key, v in super().state_dict().items() if key != "lr_lambdas"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a state."""
        super().load_state_dict({**state_dict, "lr_lambdas": [None] * len(self.lr_lambdas)})


class OneCycle(OneCycleLR):
    """One rise and one fall (Smith and Topin 2018, arXiv:1708.07120) to each group's learning rate.

    Args:
        optimizer: Whose learning rates are the peaks.
        total_steps: Of the scheduler, in the whole training.
        **settings: As torch's `OneCycleLR` takes them.
    """

    def __init__(self, optimizer: Optimizer, total_steps: int, **settings: Any) -> None:
        peaks = [group["lr"] for group in optimizer.param_groups]
        super().__init__(optimizer, peaks, total_steps=total_steps, **settings)


@dataclass(frozen=True)
class Schedule:
    """A scheduler of the config, and when it steps.

    Attributes:
        node: Config node of the scheduler, without the keys below.
        interval: `epoch` or `step`.
        frequency: Epochs or steps between two of its steps.
        monitor: The followed value that a plateau is one of, or None.
        key: Where it stands in the config, for messages.
    """

    node: Mapping[str, Any]
    interval: str = "epoch"
    frequency: int = 1
    monitor: str | None = None
    key: str = "scheduler"

    @property
    def is_plateau(self) -> bool:
        """Whether it looks at a followed value."""
        return isinstance(self.target, type) and issubclass(self.target, ReduceLROnPlateau)

    @property
    def target(self) -> Any:
        """The scheduler's class."""
        name = self.node.get("_target_")
        try:
            return get_object(str(name))
        except Exception as error:
            raise SettingError("_target_", name, f"no such class ({error})") from error

    def built(self, optimizer: Optimizer, epochs: int, steps: int) -> LRScheduler:
        """The scheduler of an optimizer.

        Args:
            optimizer: Its own.
            epochs: Of the whole training.
            steps: Optimizer steps of the whole training.
        """
        facts: dict[str, Any] = {}
        taken = inspect.signature(self.target).parameters
        if "total_steps" in taken and self.node.get("total_steps") is None:
            total = epochs if self.interval == "epoch" else steps
            facts["total_steps"] = max(1, total // self.frequency)
        node = {**self.node, "_partial_": True}
        scheduler: LRScheduler = build(node, self.key, **facts)(optimizer)
        return scheduler

    def config(self, optimizer: Optimizer, epochs: int, steps: int) -> dict[str, Any]:
        """Lightning's config of it."""
        return {
            "scheduler": self.built(optimizer, epochs, steps),
            "interval": self.interval, "frequency": self.frequency,
            "monitor": self.monitor, "reduce_on_plateau": self.is_plateau,
        }  # fmt: skip


def schedule_of(
    node: Mapping[str, Any], max_epochs: int, key: str = "scheduler"
) -> Schedule | None:
    """The schedule of a config node, tried out once; None of an empty one.

    Args:
        node: Resolved.
        max_epochs: The Trainer's.
        key: Where it stands in the config, for messages.

    Raises:
        UserError: There is no such scheduler, or it refuses its settings.
    """
    if not node:
        return None
    own = {name: value for name, value in node.items() if name not in STEPPED}
    given = {name: node[name] for name in STEPPED if node.get(name) is not None}
    schedule = Schedule(own, **given, key=key)
    if schedule.interval not in INTERVALS:
        mend = f"must be one of {', '.join(INTERVALS)}"
        raise SettingError(f"{key}.interval", schedule.interval, mend)
    integer(f"{key}.frequency", schedule.frequency, at_least=1)
    if max_epochs == -1:
        raise SettingError("trainer.max_epochs", -1, f"{key} must know when training ends")
    try:
        _check_names(schedule)
        optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0, momentum=0.9)
        schedule.built(optimizer, max_epochs, max_epochs)
        _check_plateau(schedule)
    except SettingError as error:
        raise (error if error.key.startswith(f"{key}.") else error.under(key)) from None
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"{key}: {error}") from error
    return schedule


def _check_names(schedule: Schedule) -> None:
    """Refuse a setting that the scheduler doesn't take."""
    taken = inspect.signature(schedule.target).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in taken.values()):
        return  # it refuses by itself
    for name, value in schedule.node.items():
        if name not in taken and not name.startswith("_"):
            own = ", ".join(known for known in taken if known != "optimizer")
            raise SettingError(name, value, f"no such setting; there are {own}")


def _check_plateau(schedule: Schedule) -> None:
    """A plateau is one of a value that is followed once an epoch."""
    if not schedule.is_plateau:
        return
    if schedule.interval != "epoch":
        raise SettingError("interval", schedule.interval, "a plateau is looked for once an epoch")
    if not str(schedule.monitor).startswith(("val/", "train/")):
        raise SettingError("monitor", schedule.monitor, "must be a followed value: val/log_loss")
    mode = "min" if lower_is_better(str(schedule.monitor)) else "max"
    if schedule.node.get("mode", "min") != mode:
        raise SettingError("mode", schedule.node.get("mode"), f"{schedule.monitor} needs {mode}")
