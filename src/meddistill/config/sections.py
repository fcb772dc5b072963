"""The keys of each verb's config, read from yaml alone: composing takes a tenth of a second."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

import yaml

from meddistill.config.confdir import choices, conf_dir

OPTIONAL: Mapping[str, Any] = MappingProxyType({})
"""What stands for a group that is left out by default."""


@cache
def sections(root: str) -> dict[str, Any]:
    """Root keys of a verb's config with what lies in them; a group of choices is an empty one."""
    return _own(root) | _groups(root)


@cache
def needed(root: str) -> dict[str, Any]:
    """Keys that every config of a verb has, those within groups among them."""
    groups: dict[str, Any] = {
        key: {} for key, kind in _groups(root).items() if kind is not OPTIONAL
    }
    return groups | _own(root) | {"data": split_keys()}


def split_keys() -> dict[str, Any]:
    """The keys of any data source that say how it is split."""
    text = (conf_dir() / "data" / "_split.yaml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text))


def _own(root: str) -> dict[str, Any]:
    """What stands in a root config and its parts besides the choices."""
    node, parts = _read(root)
    found: dict[str, Any] = {}
    for part in parts:
        if isinstance(part, str):
            found |= _own(part)
    return found | {key: value for key, value in node.items() if key != "hydra"}


def _groups(root: str) -> dict[str, Any]:
    """Root keys that groups of choices fill."""
    found: dict[str, Any] = {}
    for part in _read(root)[1]:
        if isinstance(part, str):
            found |= _groups(part)
        else:
            kind = OPTIONAL if None in part.values() else {}
            found |= dict.fromkeys(_packages(*part), kind)
    return found


def _read(root: str) -> tuple[dict[str, Any], list[Any]]:
    """A root config's own keys, and its defaults but for itself."""
    node = yaml.safe_load((conf_dir() / f"{root}.yaml").read_text(encoding="utf-8"))
    return node, [part for part in node.pop("defaults") if part != "_self_"]


def _packages(group: str) -> Iterator[str]:
    """The root key that a group of choices fills; none where its choices lie at the root."""
    if group.startswith("override "):
        return
    first = (conf_dir() / group / f"{choices(group)[0]}.yaml").read_text(encoding="utf-8")
    head, _, package = first.partition("\n")[0].partition("# @package ")
    name = group if head or not package else package.partition(".")[0]
    if name != "_global_":
        yield name
