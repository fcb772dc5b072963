"""Lightning's Trainer from its own arguments; what has no meaning here is refused by name."""

from __future__ import annotations

import difflib
import inspect
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Checkpoint, Timer
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy

from meddistill.errors import SettingError, UserError, integer, number, typed
from meddistill.training.checkpoints import AtomicCheckpointIO

WHERE = ("accelerator", "devices", "num_nodes", "strategy", "precision")
REFUSED = {
    "logger": "can't be set here: choose logger=csv, tensorboard or none",
    "callbacks": "can't be set here: choose callbacks=[...]",
    "plugins": "can't be set here: checkpoints are written by a plugin of our own; the precision "
    "is trainer.precision, and a cluster is recognised by itself",
    "limit_test_batches": "has no meaning here: test rows are scored once, all of them",
    "limit_predict_batches": "has no meaning here: every row gets its prediction",
    "use_distributed_sampler": "has no meaning here: each device takes its share of every batch",
    "barebones": "leaves out checkpoints and logs, which a run needs; for less work choose "
    "logger=none",
    "model_registry": "has no meaning here: a run folder is the model; hand it on with its files",
}
"""Arguments of Lightning's Trainer that a run decides itself, or that would change nothing."""
NONE_SAYS = ("check_val_every_n_epoch",)
"""Arguments to which None is a value of its own: validation counts batches over epochs."""
PRECISIONS = ("32-true", "32", "64-true", "64", "bf16-mixed", "16-mixed")
STRATEGIES = ("auto", "ddp", "ddp_find_unused_parameters_true", "ddp_find_unused_parameters_false")
TALKERS = {"profiler": "pytorch.profilers", "enable_model_summary": "pytorch.callbacks"}
"""Which of Lightning's loggers says what an argument asks for."""


def make_trainer(settings: Mapping[str, Any], **own: Any) -> pl.Trainer:
    """Lightning's Trainer with `settings` by its own names.

    Args:
        settings: From the config; None is Lightning's default but for `NONE_SAYS`.
        **own: Arguments that no config holds, such as loggers and callbacks.

    Raises:
        UserError: A name or value that Lightning refuses, or one that is decided here.
    """
    check_arguments(settings)
    given = {k: value for k, value in settings.items() if value is not None or k in NONE_SAYS}
    saves = any(isinstance(callback, Checkpoint) for callback in own.get("callbacks", ()))
    defaults = {"enable_checkpointing": saves, "enable_model_summary": False}
    try:
        return pl.Trainer(**{**defaults, **given, **own}, plugins=_plugins())
    except (MisconfigurationException, ValueError, TypeError) as error:
        shown = ", ".join(f"trainer.{name}={typed(settings.get(name))}" for name in WHERE)
        raise UserError(f"Lightning's Trainer refuses these settings: {error} ({shown})") from error


def check_arguments(settings: Mapping[str, Any]) -> None:
    """Refuse unknown names, and values that no fit could honour.

    Raises:
        SettingError: It names the argument, and what to do instead.
    """
    taken = [name for name in inspect.signature(pl.Trainer.__init__).parameters if name != "self"]
    for name, value in settings.items():
        if name not in taken:
            close = ", ".join(difflib.get_close_matches(name, taken)) or "see Lightning's Trainer"
            raise SettingError(f"trainer.{name}", value, f"no such argument ({close})")
        if name in REFUSED and value is not None:
            raise SettingError(f"trainer.{name}", value, REFUSED[name])
    given = {name: value for name, value in settings.items() if value is not None}
    _check_amounts(given)
    _check_precision(given)
    _check_strategy(given.get("strategy", "auto"))


def _check_amounts(given: Mapping[str, Any]) -> None:
    if given.get("max_epochs", -1) != -1:
        integer("trainer.max_epochs", given["max_epochs"], at_least=1)
    for name in ("limit_train_batches", "max_steps"):
        if given.get(name, 1) == 0:
            raise SettingError(f"trainer.{name}", 0, "nothing would be trained")
    if "max_time" in given and _seconds(given["max_time"]) == 0:
        raise SettingError("trainer.max_time", given["max_time"], "nothing would be trained")
    if "accumulate_grad_batches" in given:
        integer("trainer.accumulate_grad_batches", given["accumulate_grad_batches"], at_least=1)
    if "gradient_clip_val" in given:
        number("trainer.gradient_clip_val", given["gradient_clip_val"], at_least=0)
    if "gradient_clip_algorithm" in given and not given.get("gradient_clip_val"):
        mend = "clips nothing without trainer.gradient_clip_val"
        raise SettingError(
            "trainer.gradient_clip_algorithm", given["gradient_clip_algorithm"], mend
        )
    for what in ("epochs", "steps"):
        least, most = given.get(f"min_{what}"), given.get(f"max_{what}", -1)
        if least is not None and least > most != -1:
            raise SettingError(f"trainer.min_{what}", least, f"is above trainer.max_{what}={most}")


def _seconds(max_time: Any) -> float | None:
    """What Lightning reads in `trainer.max_time`."""
    try:
        return Timer(max_time).time_remaining()
    except (MisconfigurationException, TypeError) as error:
        raise SettingError("trainer.max_time", max_time, "must be written DD:HH:MM:SS") from error


def _check_precision(given: Mapping[str, Any]) -> None:
    """Refuse what would round the rows' weights and the teacher's answers."""
    precision = str(given.get("precision", "32-true"))
    if precision not in PRECISIONS:
        mend = "would round weights of rows and the teacher's answers: take bf16-mixed"
        raise SettingError("trainer.precision", precision, f"{mend}, or {', '.join(PRECISIONS)}")
    on_cpu = given.get("accelerator") == "cpu" or not torch.cuda.is_available()
    if precision == "16-mixed" and on_cpu and given.get("accelerator") != "mps":
        raise SettingError(
            "trainer.precision", precision, "needs a GPU; on the CPU take bf16-mixed or 32-true"
        )


def _check_strategy(strategy: Any) -> None:
    """Refuse strategies that shard a student's weights or leave them in other processes."""
    if strategy in STRATEGIES or isinstance(strategy, (DDPStrategy, SingleDeviceStrategy)):
        return
    mend = f"the best weights would lie in other processes; take one of {', '.join(STRATEGIES)}"
    raise SettingError("trainer.strategy", strategy, mend)


def _plugins() -> list[Any]:
    """Our way of saving, and under SLURM no requeue by Lightning (see `preemption`)."""
    under_slurm = SLURMEnvironment.detect()
    return [AtomicCheckpointIO(), *([SLURMEnvironment(auto_requeue=False)] if under_slurm else [])]


@contextmanager
def quiet(settings: Mapping[str, Any] | None = None) -> Iterator[None]:
    """Lightning's advice about loaders, devices and logging intervals is not for our users.

    Args:
        settings: The Trainer's arguments; what these ask Lightning to say is said.
    """
    asked = [f"lightning.{name}" for key, name in TALKERS.items() if (settings or {}).get(key)]
    levels = {"lightning.pytorch": logging.WARNING, "lightning.fabric": logging.WARNING}
    levels |= dict.fromkeys(asked, logging.INFO)
    before = {name: logging.getLogger(name).level for name in levels}
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning")
        try:
            yield
        finally:
            for name, level in before.items():
                logging.getLogger(name).setLevel(level)
