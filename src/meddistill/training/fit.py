"""One fit: early stopping, the best checkpoint, and a resume where a kill left off."""

from __future__ import annotations

import difflib
import inspect
import logging
import signal
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger

from meddistill import preemption
from meddistill.data.datamodule import CohortDataModule
from meddistill.errors import SettingError, UserError, integer
from meddistill.evaluation.direction import lower_is_better
from meddistill.runfolder import is_main_process
from meddistill.training.checkpoints import (
    BEST,
    LAST,
    AtomicCheckpointIO,
    BestEpoch,
    SaveState,
    save_weights,
)
from meddistill.training.classifier import Classifier, Stepping
from meddistill.training.progress import EpochProgress

log = logging.getLogger(__name__)
WHERE = ("accelerator", "devices", "num_nodes", "strategy", "precision")
STEPPING = ("gradient_clip_val", "gradient_clip_algorithm", "accumulate_grad_batches")
OURS = ("self", "logger", "callbacks", "plugins", "enable_checkpointing", "enable_model_summary")


@dataclass(frozen=True)
class Fitted:
    """What a fit came to.

    Attributes:
        score: The monitored value of the best epoch.
        epochs: Epochs trained in all.
        seconds: Wall-clock time of this process's part of the fit.
        is_main: Whether this process (rank 0) writes the results.
    """

    score: float
    epochs: int
    seconds: float
    is_main: bool


class DivergedError(UserError):
    """No epoch of a fit had a finite score."""


def make_trainer(settings: Mapping[str, Any], **own: Any) -> pl.Trainer:
    """Lightning's Trainer with `settings` by its own names.

    Raises:
        UserError: A name or value that Lightning refuses, or one that is decided here.
    """
    taken = inspect.signature(pl.Trainer.__init__).parameters
    for name, value in settings.items():
        if name not in taken or name in OURS:
            close = ", ".join(difflib.get_close_matches(name, taken)) or "see Lightning's Trainer"
            raise SettingError(f"trainer.{name}", value, f"can't be set here ({close})")
    if "max_epochs" in settings:
        integer("trainer.max_epochs", settings["max_epochs"], at_least=1)
    arguments = {k: v for k, v in settings.items() if v is not None and k not in STEPPING}
    try:
        return pl.Trainer(
            **arguments,
            **own,
            plugins=_plugins(),
            enable_checkpointing=False,
            enable_model_summary=False,
        )
    except (MisconfigurationException, ValueError, TypeError) as error:
        shown = ", ".join(f"trainer.{name}={settings.get(name)}" for name in WHERE)
        raise UserError(f"Lightning's Trainer refuses these settings: {error} ({shown})") from error


def _plugins() -> list[Any]:
    """Our way of saving, and under SLURM no requeue by Lightning (see `preemption`)."""
    under_slurm = SLURMEnvironment.detect()
    return [AtomicCheckpointIO(), *([SLURMEnvironment(auto_requeue=False)] if under_slurm else [])]


def fit(
    module: Classifier,
    data: CohortDataModule,
    folder: Path,
    trainer: Mapping[str, Any],
    *,
    monitor: str = "val/log_loss",
    patience: int = 20,
    save_seconds: float = 10,
    loggers: Sequence[Logger] = (),
    callbacks: Sequence[Callback] = (),
) -> Fitted:
    """Train `module` in `folder/checkpoints` and leave it with its best epoch's weights.

    Args:
        module: What is trained.
        data: Its rows.
        folder: Where checkpoints lie; a `last.ckpt` there is resumed.
        trainer: Arguments of Lightning's Trainer by their own names.
        monitor: The logged value to keep best (lowest for losses, highest otherwise).
        patience: Epochs without a better value after which training stops.
        save_seconds: Seconds between two saves of the training state.
        loggers: Lightning loggers.
        callbacks: Further Lightning callbacks.
    """
    checkpoints = folder / "checkpoints"
    module.stepping = Stepping.of(trainer)
    _check_clipping(module, trainer)
    best = BestEpoch(monitor, lower_is_better(monitor), patience)
    started = time.perf_counter()
    lightning = train(
        module, checkpoints, trainer, [best, *callbacks],
        data=data, save_seconds=save_seconds, loggers=loggers, monitor=monitor,
    )  # fmt: skip
    if not best.weights:
        raise DivergedError(
            f"training diverged: {monitor} was never a finite number; lower the learning rate "
            "(optimizer.lr, or teacher.optimizer.lr for the teacher), or let validation run if the "
            "trainer's settings leave it out"
        )
    module.network.load_state_dict(best.weights)
    if lightning.is_global_zero:
        save_weights(best.weights, checkpoints / BEST)
    return Fitted(
        score=best.score,
        epochs=lightning.current_epoch,
        seconds=time.perf_counter() - started,
        is_main=lightning.is_global_zero,
    )


def train(
    module: pl.LightningModule,
    checkpoints: Path,
    trainer: Mapping[str, Any],
    callbacks: Sequence[Callback],
    *,
    data: pl.LightningDataModule | None = None,
    save_seconds: float = 10,
    loggers: Sequence[Logger] = (),
    monitor: str = "val/log_loss",
) -> pl.Trainer:
    """Run Lightning's Trainer to the end, from `last.ckpt` in `checkpoints` where there is one.

    Args:
        module: What is trained.
        checkpoints: Folder of the training state.
        trainer: Arguments of Lightning's Trainer by their own names.
        callbacks: Lightning callbacks.
        data: The rows, unless the module has its own.
        save_seconds: Seconds between two saves of the training state.
        loggers: Lightning loggers.
        monitor: What the progress bar shows.
    """
    trainer = {**trainer, "enable_progress_bar": _shows_progress(trainer)}
    with quiet():
        bar = [EpochProgress(monitor)] if trainer["enable_progress_bar"] else []
        every = [*callbacks, SaveState(checkpoints, save_seconds), *bar]
        lightning = make_trainer(trainer, logger=list(loggers), callbacks=every)
        if lightning.world_size > 1 and lightning.is_global_zero:
            log.info("%d processes on %d node(s) train together", lightning.world_size,
                     lightning.num_nodes)  # fmt: skip
        for half_written in checkpoints.glob(f".{LAST}.*"):  # by a save that was killed
            half_written.unlink()
        resume = checkpoints / LAST if (checkpoints / LAST).exists() else None
        if resume:
            log.info("resuming from %s", resume)
        try:
            with preemption.saves():
                lightning.fit(module, datamodule=data, ckpt_path=resume, weights_only=True)
        except SystemExit as stop:
            _raise_interrupt(stop)
            raise
    return lightning


def _shows_progress(trainer: Mapping[str, Any]) -> bool:
    """Where a person looks on and nobody said no."""
    from rich.console import Console

    chosen = trainer.get("enable_progress_bar")
    return (Console().is_terminal and is_main_process()) if chosen is None else bool(chosen)


def _raise_interrupt(stop: SystemExit) -> None:
    """Keep Ctrl-C what it is: Lightning exits with 1 and ignores it from then on."""
    if isinstance(stop.__context__, KeyboardInterrupt):
        signal.signal(signal.SIGINT, signal.default_int_handler)
        raise KeyboardInterrupt from None


def _check_clipping(module: Classifier, trainer: Mapping[str, Any]) -> None:
    """A fused optimizer undoes fp16's loss scale inside its step, after gradients were clipped."""
    scaled = str(trainer.get("precision")) in ("16", "16-mixed")
    if module.stepping.clip_value is None or not scaled:
        return
    if module.configure_optimizers().defaults.get("fused"):
        raise SettingError(
            "trainer.gradient_clip_val",
            module.stepping.clip_value,
            "needs optimizer.fused=false under trainer.precision=16-mixed (bf16-mixed does not)",
        )


@contextmanager
def quiet() -> Iterator[None]:
    """Lightning's advice about loaders, devices and logging intervals is not for our users."""
    talkers = [logging.getLogger(f"lightning.{name}") for name in ("pytorch", "fabric")]
    levels = [talker.level for talker in talkers]
    for talker in talkers:
        talker.setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning")
        try:
            yield
        finally:
            for talker, level in zip(talkers, levels, strict=True):
                talker.setLevel(level)
