"""`debug=fast`: a batch of everything in a folder that is gone afterwards."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from meddistill.errors import SettingError, UserError

log = logging.getLogger(__name__)
SCRATCH = "MEDDISTILL_SCRATCH"
"""Names the folder to the processes that a command starts."""
ONE_BATCH = {"max_epochs": 1, "limit_train_batches": 1}
LOCAL = {"csv": {"_target_": "lightning.pytorch.loggers.CSVLogger", "name": "logs"}}
"""In place of other loggers, which may keep what they are told elsewhere."""
WORKED = "debug=fast: one batch went through every part, and all of them worked. Nothing is kept."


_running = False


def scratch() -> str:
    """The folder of this command that is removed at its end.

    Where no command runs, as when a config is only composed, it is named and not made.
    """
    if SCRATCH not in os.environ and _running:
        os.environ[SCRATCH] = tempfile.mkdtemp(prefix="meddistill-debug-")
    return os.environ.get(SCRATCH) or str(Path(tempfile.gettempdir(), "meddistill-debug"))


@contextmanager
def removed() -> Iterator[None]:
    """Remove the folder afterwards, if there is one and it was made within; say what worked."""
    global _running
    begun, _running = SCRATCH in os.environ, True
    try:
        yield
        if SCRATCH in os.environ and not begun:
            print(WORKED)
    finally:
        _running = False
        if not begun and (folder := os.environ.pop(SCRATCH, None)):
            shutil.rmtree(folder, ignore_errors=True)


def shrunk(config: DictConfig, folder: Path) -> DictConfig:
    """The config with one batch of everything; a stack and a trial take one epoch.

    Loggers write into the folder that is removed, whichever were asked for.

    Raises:
        UserError: Something would be kept.
    """
    if config.debug is None:
        return config
    if config.debug != "fast":
        raise SettingError("debug", config.debug, "must be fast or none")
    for key, path in {"hydra.run.dir": folder, "store": Path(str(config.store))}.items():
        if not path.resolve().is_relative_to(Path(scratch()).resolve()):
            raise UserError(f"debug=fast keeps nothing, so leave out {key}={path}")
    small = config.copy()
    with open_dict(small):
        _keep_logs_here(small)
        _shrink_teachers(small.teacher)
        if small.verb == "trial":
            _shrink_trial(small)
        elif small.verb == "distill":
            small.trainer.max_epochs = 1
            if not small.stack.axes:
                small.trainer.limit_train_batches = 1
    return small


def _keep_logs_here(config: DictConfig) -> None:
    """Let no logger write elsewhere, and name those that are not built."""
    if others := sorted(set(config.get("logger") or ()) - set(LOCAL)):
        log.info("debug=fast: csv in place of logger=%s, which is not tried", ",".join(others))
    if config.get("logger"):
        config.logger = LOCAL


def _shrink_teachers(node: DictConfig) -> None:
    """Of a teacher, and of those within it, the budget of each that has one."""
    for key in map(str, node):
        if OmegaConf.is_interpolation(node, key) or not isinstance(node[key], DictConfig):
            continue
        if key == "trainer":
            node[key] = {**node[key], **ONE_BATCH}
        else:
            _shrink_teachers(node[key])


def _shrink_trial(config: DictConfig) -> None:
    """Two splits, one seed, of each setting that an arm tries its first value."""
    config.trainer.max_epochs = 1
    config.trial.update({"repeats": 2, "folds": None, "seeds": 1})
    for arm in config.arms.values():
        tries: Mapping[str, Any] = arm.get("tune") or {}
        arm.tune = {key: None if v is None else list(v)[:1] for key, v in tries.items()}
