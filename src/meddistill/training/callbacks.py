"""Lightning's callbacks from the config."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lightning.pytorch.callbacks import Callback, LearningRateMonitor

from meddistill.compose import build
from meddistill.errors import SettingError, UserError


def build_callbacks(nodes: Mapping[str, Any], loggers: bool = True) -> list[Callback]:
    """The callbacks of a config's group, in its order.

    Args:
        nodes: By name their config nodes, resolved.
        loggers: Whether there is any to write to.

    Raises:
        UserError: One can't be built, or has nothing to write to.
    """
    built = []
    for name, node in nodes.items():
        key = f"callbacks.{name}"
        if not isinstance(node, Mapping) or "_target_" not in node:
            raise SettingError(key, node, "must be a config node with a _target_")
        callback = build(node, key)
        if not isinstance(callback, Callback):
            raise SettingError(f"{key}._target_", node["_target_"], "is no Lightning callback")
        if isinstance(callback, LearningRateMonitor) and not loggers:
            raise UserError(
                f"{key} writes to loggers, and there are none: choose logger=csv, and under -m "
                "hydra/sweeper=basic, or leave it out"
            )
        built.append(callback)
    return built
