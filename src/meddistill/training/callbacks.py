"""Lightning's callbacks from the config; those that can't do their work here are refused."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import lightning.pytorch.callbacks as lightning_callbacks
from lightning.pytorch.callbacks import (
    Callback,
    Checkpoint,
    DeviceStatsMonitor,
    EarlyStopping,
    LearningRateMonitor,
    ModelCheckpoint,
    ProgressBar,
    ThroughputMonitor,
    Timer,
)

from meddistill.config.compose import build
from meddistill.errors import SettingError, UserError

REFUSED = {
    "ModelPruning": "puts other parameters in the place of the network's, so that what it pruned "
    "would be no model that can be kept: a smaller student.width or student.depth has fewer",
    "LearningRateFinder": "would choose anew what optimizer.lr sets: sweep that "
    "(-m optimizer.lr=1e-4,1e-3,1e-2)",
    "BatchSizeFinder": "would choose by the machine's memory what batch_size sets, and a resumed "
    "run could not go on with it: set that",
    "BackboneFinetuning": "needs a module whose layers are its `backbone`: a BaseFinetuning of "
    "one's own says which of `network`'s layers it freezes",
    "BasePredictionWriter": "is told nothing: every row's prediction is in predictions.parquet",
}
"""Lightning's callbacks that can't do their work in a run, with their subclasses."""
BASES = (Callback, Checkpoint, ProgressBar, lightning_callbacks.BaseFinetuning)
"""They do nothing until a subclass says what."""
WRITERS = (LearningRateMonitor, DeviceStatsMonitor, ThroughputMonitor)
"""They have nothing to do without a logger."""
FOLLOWED = ("val/log_loss", "val/auroc", "val/accuracy")
"""Values of the validation rows that `Classifier` makes known."""


def build_callbacks(nodes: Mapping[str, Any], loggers: bool = True) -> list[Callback]:
    """The callbacks of a config's group, in its order.

    Args:
        nodes: By name their config nodes, resolved.
        loggers: Whether there is any to write to.

    Raises:
        UserError: One can't be built, can't do its work here, or has nothing to write to.
    """
    built = []
    for name, node in nodes.items():
        key = f"callbacks.{name}"
        if not isinstance(node, Mapping) or "_target_" not in node:
            raise SettingError(key, node, "must be a config node with a _target_")
        _check_name(node["_target_"], key)
        callback = build(node, key)
        _check_kind(callback, node["_target_"], key)
        _check_work(callback, key, loggers)
        built.append(callback)
    return built


def _check_name(target: object, key: str) -> None:
    """Refuse by name, before it asks for arguments, what no arguments would make work."""
    package, _, name = str(target).rpartition(".")
    if package.startswith("lightning.pytorch.callbacks") and name in REFUSED:
        raise SettingError(f"{key}._target_", target, REFUSED[name])


def _check_kind(callback: object, target: object, key: str) -> None:
    if not isinstance(callback, Callback):
        raise SettingError(f"{key}._target_", target, "is no Lightning callback")
    if type(callback) in BASES:
        raise SettingError(f"{key}._target_", target, "does nothing by itself: name a subclass")
    for name, why in REFUSED.items():
        if isinstance(callback, getattr(lightning_callbacks, name)):
            raise SettingError(f"{key}._target_", target, f"is a {name}, which {why}")


def _check_work(callback: Callback, key: str, loggers: bool) -> None:
    """Refuse what would end the run, or leave nothing of it, once the teacher is trained."""
    if isinstance(callback, WRITERS) and not loggers:
        raise UserError(
            f"{key} writes to loggers, and there are none: choose logger=csv, and under -m "
            "hydra/sweeper=basic, or leave it out"
        )
    if isinstance(callback, DeviceStatsMonitor) and find_spec("psutil") is None:
        raise UserError(f"{key} needs a package that is not installed: pip install psutil")
    if isinstance(callback, Timer) and callback.time_remaining() == 0:
        raise SettingError(f"{key}.duration", 0, "nothing would be trained")
    if isinstance(callback, (EarlyStopping, ModelCheckpoint)):
        monitor = callback.monitor
        if monitor and monitor not in FOLLOWED and not monitor.startswith("train/"):
            mend = f"must be one of {', '.join(FOLLOWED)}, train/loss"
            raise SettingError(f"{key}.monitor", monitor, mend)
