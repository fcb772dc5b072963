"""A loss from its config node, in which any setting may be a schedule over epochs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hydra.utils import get_class
from torch import Tensor, nn

from meddistill.compose import build
from meddistill.errors import UserError
from meddistill.losses.base import DistillationLoss
from meddistill.losses.schedules import Schedule

OF_EVERY_MODULE = frozenset(vars(nn.Module()))


def build_loss(node: Mapping[str, Any], key: str = "loss") -> DistillationLoss:
    """The loss of a config node, in epoch 0.

    Raises:
        UserError: A setting is unknown or out of its range, in epoch 0 or later.
    """
    loss, found = loss_at(node, 0, key), dict(schedules(node, key))
    for path in found:
        _check_movable(loss, path, key)
    turns = {turn for schedule in found.values() for turn in schedule.turns}
    later = [loss_at(node, epoch, key) for epoch in sorted(turns - {0})]
    loss.distils_later = any(other.distils for other in later)
    return loss


def loss_at(
    node: Mapping[str, Any],
    epoch: int,
    key: str = "loss",
    own: Mapping[str, Tensor] | None = None,
) -> DistillationLoss:
    """The loss of a config node with the settings of an epoch, and `own` in place of some."""
    own = own or {}
    kept = {name: value for name, value in node.items() if name not in own}
    loss: DistillationLoss = build(values_at(kept, epoch, key), key, **own)
    return loss


def values_at(node: Mapping[str, Any], epoch: int, key: str = "loss") -> dict[str, Any]:
    """The node with numbers of an epoch in place of schedules."""
    found: dict[str, Any] = {}
    for name, value in node.items():
        if not isinstance(value, Mapping):
            found[name] = value
        elif is_schedule(value, f"{key}.{name}"):
            found[name] = value_at(value, epoch, f"{key}.{name}")
        else:
            found[name] = values_at(value, epoch, f"{key}.{name}")
    return found


def value_at(value: Any, epoch: int, key: str = "loss") -> Any:
    """A setting in an epoch: itself, or its schedule's value."""
    if not (isinstance(value, Mapping) and is_schedule(value, key)):
        return value
    schedule: Schedule = build(value, key)
    return schedule.at(epoch)


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
