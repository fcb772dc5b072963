"""The members of a job: every combination of its axes' values."""

from __future__ import annotations

import itertools
import math
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from meddistill.config.identity import flatten, is_without_effect
from meddistill.config.resolvers import resolved
from meddistill.errors import SettingError, UserError, integer

REFERENCE = re.compile(r"\$\{(\w+(?:\.\w+)*)\}")
"""A value of the config named from its root; resolvers and relative names are something else."""


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
    axes = named_axes(config)
    first, last = _part(config.stack.members, math.prod(map(len, axes.values())))
    plain = _plain(config)
    plain.stack = as_single({"stack": plain.stack})["stack"]
    base, following = resolved(plain), Following(plain, list(axes))
    members = []
    combinations = itertools.islice(itertools.product(*axes.values()), first, last)
    for number, values in enumerate(combinations, first):
        own = dict(zip(axes, values, strict=True))
        changes = {**own, **following(own)}
        members.append(Member(number, own, changes, with_changes(base, changes)))
    return members


def named_axes(config: DictConfig) -> dict[str, list[Any]]:
    """The axes of a composed config, each of a setting that it has.

    Raises:
        UserError: An axis is no sweep, or names no setting; of a job of a sweep it says which
            choice lacks it.
    """
    axes, plain = parse_axes(list(config.stack.axes)), _plain(config)
    choices = OmegaConf.select(config, "hydra.runtime.choices", default={})
    for key in axes:
        if OmegaConf.select(plain, key, default=_part) is _part:
            group = key.partition(".")[0]
            lacks = f"{group}={choices.get(group)} has none: sweep it by a command without {key}"
            mend = f" ({lacks})" if group in choices else ""
            raise UserError(f"{key}: no such setting to make an axis of a stack{mend}")
    return axes


def _plain(config: DictConfig) -> DictConfig:
    """Without Hydra's own part; to ask it for a setting that it lacks is an error."""
    plain = OmegaConf.create({k: v for k, v in config.items_ex(False) if k != "hydra"})
    OmegaConf.set_struct(plain, True)
    return plain


class Following:
    """What follows the axes by interpolation, such as `teacher.labels: ${data.labels}`.

    OmegaConf takes a millisecond to resolve a value, so each is resolved once for every combination
    of the axes that it names.

    Args:
        config: Unresolved.
        axes: Their keys.
    """

    def __init__(self, config: DictConfig, axes: Sequence[str]) -> None:
        self._config = config
        raw = dict(flatten(cast(dict[str, Any], OmegaConf.to_container(config, resolve=False))))
        follows = {
            key: _named(value, raw, axes)
            for key, value in raw.items()
            if _interpolates(value) and not is_without_effect(key) and key not in axes
        }
        self._follows = {key: named for key, named in follows.items() if named}
        self._known: dict[tuple[Any, ...], Any] = {}

    def __call__(self, own: Mapping[str, Any]) -> dict[str, Any]:
        """What follows from the values `own` of all axes, flat."""
        return {key: self._value(key, own) for key in self._follows}

    def _value(self, key: str, own: Mapping[str, Any]) -> Any:
        known = (key, *(repr(own[axis]) for axis in self._follows[key]))
        if known not in self._known:
            for axis, value in own.items():
                OmegaConf.update(self._config, axis, value)
            self._known[known] = OmegaConf.select(self._config, key)
        return self._known[known]


def _named(text: str, raw: Mapping[str, Any], axes: Sequence[str]) -> list[str]:
    """The axes that an interpolation names; all of them where it names more than plain values."""
    names = REFERENCE.findall(text)
    plain = all(name in raw and not _interpolates(raw[name]) for name in names)
    if not plain or "${" in REFERENCE.sub("", text):
        return list(axes)
    return [axis for axis in axes if any(f"{name}.".startswith(f"{axis}.") for name in names)]


def _interpolates(value: Any) -> bool:
    return isinstance(value, str) and "${" in value


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
            values[key] = _values(override)
        except HydraException as error:
            raise SettingError("stack.axes", axis, f"is no axis ({error})") from error
    return values


def _values(override: Override) -> list[Any]:
    """An axis's values; a shuffled one has the same order in every process that reads it."""
    if not override.is_sweep_override():
        return [override.value()]
    before = random.getstate()
    random.seed(override.input_line)  # Hydra shuffles by Python's own random numbers
    try:
        return list(override.sweep_iterator(transformer=lambda value: value))
    finally:
        random.setstate(before)


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
