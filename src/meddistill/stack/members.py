"""The members of a job: every combination of its axes' values."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from meddistill.compose import WITHOUT_EFFECT, flatten, resolved
from meddistill.errors import SettingError, UserError, integer


@dataclass(frozen=True)
class Member:
    """One student of a job.

    Attributes:
        number: Its place among all combinations, from 0.
        axes: Its value on each axis.
        changes: What it sets otherwise than the job's config, flat: its axes, and what follows.
        settings: Its resolved config, that of the same student trained alone; parts that are equal
            in several members may be the same object.
        found: Settings of the loss that a search found for it, by name.
    """

    number: int
    axes: dict[str, Any]
    changes: dict[str, Any]
    settings: dict[str, Any]
    found: dict[str, float] = field(default_factory=dict)


def expand(config: DictConfig) -> list[Member]:
    """The members that a composed config's `stack` describes, the last axis changing fastest.

    Raises:
        UserError: An axis is no sweep, names no setting, or the part wanted is empty.
    """
    axes = parse_axes(list(config.stack.axes))
    combinations = list(itertools.product(*axes.values()))
    first, last = _part(config.stack.members, len(combinations))
    plain = OmegaConf.create({k: v for k, v in config.items_ex(False) if k != "hydra"})
    plain.stack = as_single({"stack": plain.stack})["stack"]
    OmegaConf.set_struct(plain, True)
    base = resolved(plain)
    raw = cast(dict[str, Any], OmegaConf.to_container(plain, resolve=False))
    dependent = [
        key
        for key, value in flatten(raw)
        if isinstance(value, str) and "${" in value and not key.startswith(WITHOUT_EFFECT)
    ]
    members = []
    for number in range(first, last):
        own = dict(zip(axes, combinations[number], strict=True))
        for key, value in own.items():
            _set(plain, key, value)
        changes = {**own, **{key: OmegaConf.select(plain, key) for key in dependent}}
        members.append(Member(number, own, changes, with_changes(base, changes)))
    return members


def parse_axes(axes: Sequence[str]) -> dict[str, list[Any]]:
    """Axes in Hydra's syntax (`seed=range(0,5)`), as lists of values by key.

    Raises:
        UserError: One of them can't be read.
    """
    parser, values = OverridesParser.create(), {}
    for axis in axes:
        try:
            override = parser.parse_override(str(axis))
            key = override.get_key_element().lstrip("+")
            values[key] = (
                list(override.sweep_iterator(transformer=lambda value: value))
                if override.is_sweep_override()
                else [override.value()]
            )
        except HydraException as error:
            raise SettingError("stack.axes", axis, f"is no axis ({error})") from error
    return values


def as_single(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a student that is trained alone."""
    return {**settings, "stack": {**settings["stack"], "axes": [], "members": None}}


def with_changes(settings: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of nested `settings` with flat `changes`; what is unchanged is shared."""
    changed = dict(settings)
    for key, value in changes.items():
        *parents, leaf = key.split(".")
        node = changed
        for parent in parents:
            node[parent] = dict(node[parent])
            node = node[parent]
        node[leaf] = value
    return changed


def _part(wanted: Any, count: int) -> tuple[int, int]:
    if wanted is None:
        return 0, count
    if len(wanted) != 2:
        raise SettingError("stack.members", wanted, "must be [first, end]")
    first, last = (integer("stack.members", number) for number in wanted)
    if not first < last <= count:
        raise SettingError("stack.members", wanted, f"is no part of the {count} members")
    return first, last


def _set(plain: DictConfig, key: str, value: Any) -> None:
    if OmegaConf.select(plain, key, default=_set) is _set:
        raise UserError(f"{key}: no such setting to make an axis of a stack")
    OmegaConf.update(plain, key, value)
