"""Hydra's basic sweeper, with the axes that stack trained side by side in one job."""

import math
from collections.abc import Sequence
from fnmatch import fnmatchcase
from itertools import pairwise
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import OmegaConf


class StackedSweeper(BasicSweeper):
    """Turns `seed=0,1 loss.alpha=0,1 student=a,b` into two jobs of four members each.

    A thousand members are composed as one config, so it works under every launcher. Range and
    choice syntax are Hydra's, in the same order; what does not stack is swept as by `basic`.

    Args:
        max_batch_size: Jobs handed to the launcher at once, as in `basic`; None is all.
        params: Sweeps of the config, as in `basic`.
        stackable: Keys whose values may differ within a job; `*` stands for anything.
        members_per_job: At most so many members a job; None is all.
    """

    def __init__(
        self,
        max_batch_size: int | None = None,
        params: dict[str, str] | None = None,
        stackable: Sequence[str] = (),
        members_per_job: int | None = None,
    ) -> None:
        super().__init__(max_batch_size, params)
        self.stackable = list(stackable)
        self.members_per_job = members_per_job

    def sweep(self, arguments: list[str]) -> Any:
        """Launch the jobs, and return what they returned."""
        from meddistill.config.known import (
            check_sweep,  # here, as Hydra imports sweepers at every start
        )

        assert self.config is not None
        arguments = [*self._parse_config(), *arguments]
        self.params = {}  # they are among the arguments now
        overrides = OverridesParser.create().parse_overrides(arguments)
        check_sweep(self.config, overrides)
        if "stack" in self.config and self.config.verb != "trial":
            arguments = self._stacked(arguments, overrides)
        return super().sweep(arguments)

    def validate_batch_is_legal(self, batch: Any) -> None:
        """Refuse overrides that make no config, and axes that a job's config lacks.

        This is before the first job; one job is its own test.
        """
        from meddistill.stack.members import named_axes  # here, as Hydra imports sweepers always

        assert self.config is not None
        assert self.hydra_context is not None
        for overrides in batch if len(batch) > 1 else ():
            loader = self.hydra_context.config_loader
            config = loader.load_sweep_config(self.config, list(overrides))
            if "stack" in config:
                named_axes(config)

    def _stacked(self, arguments: list[str], overrides: Sequence[Override]) -> list[str]:
        """The arguments with all stackable sweeps in `stack.axes`."""
        last = {override.get_key_element(): override for override in overrides}
        axes = [override for key, override in last.items() if self._stacks(key, override)]
        if not axes:
            return arguments
        names = {axis.get_key_element() for axis in axes}
        others = [str(o.input_line) for o in overrides if o.get_key_element() not in names]
        given = [str(axis) for axis in self.config.stack.axes]  # type: ignore[union-attr]
        every = [*given, *(str(axis.input_line) for axis in axes)]
        lengths = [_length(axis) for axis in OverridesParser.create().parse_overrides(every)]
        others = [line for line in others if not line.startswith("stack.axes=")]
        return [*others, f"stack.axes=[{','.join(map(_quoted, every))}]", *self._parts(lengths)]

    def _stacks(self, key: str, override: Override) -> bool:
        named = any(fnmatchcase(key, pattern) for pattern in self.stackable)
        return named and override.is_discrete_sweep()

    def _parts(self, lengths: Sequence[int]) -> list[str]:
        """The sweep that cuts the members into jobs of about equal size."""
        from meddistill.errors import integer  # here, as Hydra imports sweepers at every start

        total, most = math.prod(lengths), self.members_per_job
        if most is None or total <= integer("hydra.sweeper.members_per_job", most, at_least=1):
            return []
        jobs = -(-total // most)
        edges = [total * job // jobs for job in range(jobs + 1)]
        parts = [f"[{first},{end}]" for first, end in pairwise(edges)]
        return [f"stack.members={','.join(parts)}"]


def offer() -> None:
    """Make it `hydra/sweeper=basic` too, without anything to stack, as it checks the keys first."""
    node = OmegaConf.create({"_target_": f"{__name__}.StackedSweeper", "max_batch_size": None})
    node.params = None
    ConfigStore.instance().store(group="hydra/sweeper", name="basic", node=node, provider="ours")


def _length(override: Override) -> int:
    return len(list(override.sweep_iterator())) if override.is_sweep_override() else 1


def _quoted(axis: str) -> str:
    escaped = axis.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
