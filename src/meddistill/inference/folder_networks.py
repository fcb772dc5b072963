"""The network that a model's folder describes; the folder may come from anywhere.

What it says is never given to Hydra, which would import and call whatever is named: a class is
built here if it is one of ours, or one that the user trusts by its name, of plain values alone.
"""

from __future__ import annotations

import importlib
import inspect
import math
import pkgutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn

from meddistill import models
from meddistill.config.identity import flatten

_trusted: ContextVar[frozenset[str]] = ContextVar("trusted", default=frozenset())
LONGEST_TEXT = 200
HARMLESS = 32
"""A number in a network's settings that makes nothing large, whatever it is of."""


@contextmanager
def trusting(settings: Mapping[str, Any]) -> Iterator[None]:
    """Trust the classes that a config names: the user chose them on the command line."""
    flat = dict(flatten(settings))
    named = {str(value) for key, value in flat.items() if key.endswith("_target_")}
    for key, value in flat.items():
        if key.endswith(".trust") and isinstance(value, (list, tuple)):
            named |= set(map(str, value))
    token = _trusted.set(_trusted.get() | named)
    try:
        yield
    finally:
        _trusted.reset(token)


def folder_network(
    node: Mapping[str, Any],
    in_shape: Sequence[int],
    num_classes: int,
    weights: Mapping[str, Tensor],
    trust: Iterable[str] = (),
) -> nn.Module:
    """The network that a model's folder describes, with its weights.

    Args:
        node: `_target_` and the class's own settings.
        in_shape: Shape of one row's inputs.
        num_classes: Number of classes.
        weights: Its state dict, as `read_weights` read it.
        trust: Names of further classes that may be imported and called, as the folder spells them.

    Raises:
        ValueError: A class that nobody trusts, a setting that is no plain value or no setting of
            the class, or weights that are not this network's.
    """
    allowed = _trusted.get() | frozenset(trust)
    _check_node(node, allowed)
    shape = {"in_shape": tuple(in_shape), "num_classes": num_classes}
    if _is_ours(str(node["_target_"])):
        _check_sizes(node, weights)
        with torch.device("meta"):  # takes no memory, whatever the sizes
            _check_weights(_built(node, shape), weights)
    network = _built(node, shape)
    _check_weights(network, weights)
    network.load_state_dict(dict(weights))
    return network


def _is_ours(name: str) -> bool:
    """Whether a name is `meddistill.models.<one of its files>.<class>`; imports nothing."""
    package, _, rest = name.partition("meddistill.models.")
    module, dot, kind = rest.partition(".")
    own = {each.name for each in pkgutil.iter_modules(models.__path__)}
    return not package and bool(dot) and module in own and kind.isidentifier()


def _check_node(node: Any, allowed: frozenset[str]) -> None:
    """Refuse, before any import, classes that nobody trusts and settings that are not plain."""
    name = node.get("_target_") if isinstance(node, Mapping) else None
    if not isinstance(name, str) or not (_is_ours(name) or name in allowed):
        raise ValueError(
            f"its network is {name!r}, which is none of meddistill's: a class of your own must be "
            "trusted by its name (trust=[...] in Python, teacher.trust=[...] for "
            "teacher=checkpoint); trust none that you don't know"
        )
    for key, value in node.items():
        if key == "_target_":
            continue
        if not isinstance(key, str) or key.startswith("_") or key in ("in_shape", "num_classes"):
            raise ValueError(f"{key!r} is no setting of a network")
        if isinstance(value, Mapping) and "_target_" in value:
            _check_node(value, allowed)
        elif not _is_plain(value):
            raise ValueError(f"{key}={value!r:.80} is no plain value")


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(_is_plain(item) for item in value)
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, str):
        return len(value) <= LONGEST_TEXT
    return value is None or isinstance(value, (bool, int))


def _check_sizes(node: Mapping[str, Any], weights: Mapping[str, Tensor]) -> None:
    """A network is no wider than its largest weight and no deeper than it has weights."""
    most = max(
        [HARMLESS, len(weights), *(size for value in weights.values() for size in value.shape)]
    )
    for key, value in flatten(node):
        for size in _numbers(value):
            if abs(size) > most:
                raise ValueError(f"{key}={size} is more than its checkpoint's weights have")


def _numbers(value: Any) -> Iterator[int]:
    """Whole numbers of a plain value."""
    if isinstance(value, list):
        for each in value:
            yield from _numbers(each)
    elif isinstance(value, int):
        yield value


def _built(node: Mapping[str, Any], facts: Mapping[str, Any]) -> nn.Module:
    """The network of a checked node; `facts` are given to the outermost class alone."""
    module, _, name = str(node["_target_"]).rpartition(".")
    try:
        kind = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"{node['_target_']} can't be imported: {error}") from error
    if not (inspect.isclass(kind) and issubclass(kind, nn.Module)):
        raise ValueError(f"{node['_target_']} is no torch.nn.Module")
    own = {
        key: _built(value, {}) if isinstance(value, Mapping) else value
        for key, value in node.items()
        if key != "_target_"
    }
    taken = inspect.signature(kind).parameters
    unknown = [key for key in own if key not in taken]
    if unknown and not any(each.kind == each.VAR_KEYWORD for each in taken.values()):
        raise ValueError(f"{', '.join(unknown)}: no setting of {node['_target_']}")
    return kind(**facts, **own)


def _check_weights(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Refuse weights of another network."""
    expected = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    found = {key: tuple(value.shape) for key, value in weights.items()}
    wrong = sorted(key for key in {*expected, *found} if expected.get(key) != found.get(key))
    if wrong:
        key = wrong[0]
        raise ValueError(
            f"its weights are another network's: {key} is {found.get(key, 'absent')} in the "
            f"checkpoint and {expected.get(key, 'absent')} in the network"
        )
