"""A loss from its config node, in which any setting may be a schedule over epochs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from hydra.utils import get_class
from torch import nn

from meddistill.config.compose import build, no_target
from meddistill.errors import UserError
from meddistill.losses.base import DistillationLoss
from meddistill.losses.schedules import Schedule

OF_EVERY_MODULE = frozenset(vars(nn.Module()))


def build_loss(node: Mapping[str, Any], key: str = "loss") -> DistillationLoss:
    """The loss of a config node, in epoch 0.

    Raises:
        UserError: A setting is unknown or out of its range, in epoch 0 or later.
    """
    if "_target_" not in node:
        raise no_target(key)
    loss, found = loss_at(node, 0, key), dict(schedules(node, key))
    for path in found:
        _check_movable(loss, path, key)
    turns = {turn for schedule in found.values() for turn in schedule.turns}
    later = [loss_at(node, epoch, key) for epoch in sorted(turns - {0})]
    loss.distils_later = any(other.distils for other in later)
    loss.labels_later = any(other.learns_labels for other in later)
    return loss


def loss_at(node: Mapping[str, Any], epoch: int, key: str = "loss") -> DistillationLoss:
    """The loss of a config node with the settings of an epoch, checked.

    Hydra takes milliseconds, which a thousand students' losses make seconds; it knows how to say
    what is wrong with a node.
    """
    try:
        loss: DistillationLoss = by_epoch(node, key)(epoch)
    except Exception:
        loss = build(values_at(node, epoch, key), key)
    return loss


def by_epoch(value: Any, key: str = "loss") -> Callable[[int], Any]:
    """From an epoch to what a part of a config stands for then.

    Classes are found and schedules built once, so that an epoch costs what its constructors do.
    What an epoch may hold has been checked by `build_loss`.
    """
    if isinstance(value, Mapping):
        return _of_node(value, key)
    if isinstance(value, (list, tuple)):
        parts = [by_epoch(part, f"{key}[{number}]") for number, part in enumerate(value)]
        return lambda epoch: [part(epoch) for part in parts]
    return lambda epoch: value


def _of_node(node: Mapping[str, Any], key: str) -> Callable[[int], Any]:
    if is_schedule(node, key):
        schedule: Schedule = build(node, key)
        return schedule.at
    if any(name.startswith("_") and name != "_target_" for name in node):
        return lambda epoch: build(values_at(node, epoch, key), key)  # Hydra's own keys
    parts = {k: by_epoch(v, f"{key}.{k}") for k, v in node.items() if k != "_target_"}
    made: Callable[..., Any] = get_class(node["_target_"]) if "_target_" in node else dict
    return lambda epoch: made(**{name: part(epoch) for name, part in parts.items()})


def values_at(node: Mapping[str, Any], epoch: int, key: str = "loss") -> dict[str, Any]:
    """The node with numbers of an epoch in place of schedules."""
    found: dict[str, Any] = {}
    for name, value in node.items():
        if not isinstance(value, Mapping):
            found[name] = value
        elif is_schedule(value, f"{key}.{name}"):
            schedule: Schedule = build(value, f"{key}.{name}")
            found[name] = schedule.at(epoch)
        else:
            found[name] = values_at(value, epoch, f"{key}.{name}")
    return found


def schedules(
    node: Mapping[str, Any], key: str = "loss", path: str = ""
) -> Iterator[tuple[str, Schedule]]:
    """Every schedule of a loss's config node, with its path in there (`losses.kd.alpha`)."""
    for name, value in node.items():
        if isinstance(value, Mapping):
            here = f"{path}.{name}" if path else name
            if is_schedule(value, f"{key}.{here}"):
                yield here, build(value, f"{key}.{here}")
            else:
                yield from schedules(value, key, here)


def is_scheduled(node: Mapping[str, Any]) -> bool:
    """Whether any setting changes from epoch to epoch."""
    return any(True for _ in schedules(node))


def is_schedule(value: Mapping[str, Any], key: str) -> bool:
    """Whether a part of a node is a schedule."""
    if "_target_" not in value:
        return False
    try:
        return issubclass(get_class(str(value["_target_"])), Schedule)
    except Exception as error:
        raise UserError(f"{key}._target_={value['_target_']}: no such class ({error})") from error


def take_settings(loss: DistillationLoss, other: DistillationLoss) -> None:
    """Give `loss` the settings of `other`, which was built from the same node for another epoch.

    Settings are the buffers and the plain attributes that the constructor makes; what a loss has
    learned, and what it made to learn it, stays.
    """
    mine = dict(loss.named_modules())
    for name, module in other.named_modules():
        own = mine[name]
        for setting, value in module._buffers.items():
            old = own._buffers[setting]
            device = old.device if old is not None else None
            own._buffers[setting] = value if value is None else value.to(device)
        plain = {k: v for k, v in module.__dict__.items() if k not in OF_EVERY_MODULE}
        own.__dict__.update(plain)


def _check_movable(loss: DistillationLoss, path: str, key: str) -> None:
    """Refuse a schedule on what a loss reads once, before the first epoch."""
    owner, _, name = path.rpartition(".")
    if name in getattr(dict(loss.named_modules()).get(owner), "fixed", ()):
        raise UserError(
            f"{key}.{path}: is read once, before training, and can't follow a schedule; give it a "
            "number"
        )
