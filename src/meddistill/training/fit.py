"""One fit: early stopping, the best checkpoint, and a resume where a kill left off."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import lightning.pytorch as pl
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.fabric.utilities.spike import TrainingSpikeException
from lightning.pytorch.callbacks import Callback, ProgressBar, StochasticWeightAveraging
from lightning.pytorch.loggers import Logger
from torch import nn

from meddistill.data.batches import batch_sizes, patience_for
from meddistill.data.datamodule import CohortDataModule
from meddistill.errors import SettingError, UserError, listed
from meddistill.inference.weights import save_weights
from meddistill.measures import lower_is_better
from meddistill.runs import preemption
from meddistill.runs.runfolder import is_main_process
from meddistill.training.checkpoints import BEST, LAST, BestEpoch, SaveState
from meddistill.training.classifier import Classifier
from meddistill.training.fast import in_runs, needs_closure, reason_for_plain
from meddistill.training.finishing import Finishes, finish
from meddistill.training.progress import EpochProgress
from meddistill.training.trainer import make_trainer, quiet

log = logging.getLogger(__name__)
TRY_LOWER = "what was learned misleads; a lower learning rate may help"


@dataclass(frozen=True)
class Fitted:
    """What a fit came to.

    Attributes:
        score: The monitored value of the best epoch.
        epochs: Epochs trained in all.
        steps: Optimizer's steps in all.
        seconds: Wall-clock time of this process's part of the fit.
        is_main: Whether this process (rank 0) writes the results.
    """

    score: float
    epochs: int
    steps: int
    seconds: float
    is_main: bool


class DivergedError(UserError):
    """No epoch of a fit had a finite score."""


def fit(
    module: Classifier,
    data: CohortDataModule,
    folder: Path,
    trainer: Mapping[str, Any],
    *,
    monitor: str = "val/log_loss",
    patience: int | None = None,
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
        patience: Epochs without a better value after which training stops; None goes by the rows.
        save_seconds: Seconds between two saves of the training state.
        loggers: Lightning loggers.
        callbacks: Further Lightning callbacks.
    """
    checkpoints = folder / "checkpoints"
    _check_optimizer(module, trainer)
    _check_interval(trainer, data)
    module.logs_steps = bool(trainer.get("log_every_n_steps"))
    averages = any(isinstance(each, StochasticWeightAveraging) for each in callbacks)
    patience = None if averages else patience or patience_for(len(data.cohort.target))
    best = BestEpoch(monitor, lower_is_better(monitor), patience, module.frozen.epochs)
    names, started = set(module.network.state_dict()), time.perf_counter()
    lightning = _trainer(checkpoints, trainer, [best, *callbacks], save_seconds, loggers, monitor)
    data = _with_large_batches(module, data, lightning.world_size)
    reason = reason_for_plain(module, data, trainer, cast(Any, lightning).callbacks)
    log.debug("steps: %s", reason or "many at once")
    runs = nullcontext(data) if reason else in_runs(lightning, module, data, trainer, best)
    with runs as handed_over:
        _run(lightning, module, checkpoints, trainer, handed_over)
    if best.steps == 0:
        raise UserError("not one step was taken before training was stopped: nothing was trained")
    if averages and lightning.current_epoch < (lightning.max_epochs or 0):
        log.warning("swa: training stopped before its last epoch, so nothing was averaged")
        averages = False
    _score_the_end(lightning, module, trainer, data, best, averages)
    _check_best(best, names)
    module.network.float().load_state_dict(best.weights)
    if isinstance(module.network, Finishes):
        finish(module, data)
        best.forget()
        with quiet(trainer):
            lightning.validate(module, datamodule=data, verbose=False)
    if lightning.is_global_zero:
        _warn_of_less_than_shares(best, data)
        if 0 < lightning.current_epoch <= module.frozen.epochs and not trainer.get("fast_dev_run"):
            log.warning(
                "init.freeze_epochs: training stopped before the layers taken learnt at all"
            )
        if not trainer.get("fast_dev_run"):
            save_weights(module.network.state_dict(), checkpoints / BEST)
    return Fitted(
        score=best.score,
        epochs=lightning.current_epoch,
        steps=best.steps,
        seconds=time.perf_counter() - started,
        is_main=lightning.is_global_zero,
    )


def _warn_of_less_than_shares(best: BestEpoch, data: CohortDataModule) -> None:
    if best.log_loss > data.log_loss_of_shares:
        log.warning(
            "validation log loss %.3f is worse than that of the class shares alone (%.3f): %s",
            best.log_loss, data.log_loss_of_shares, TRY_LOWER,
        )  # fmt: skip


def _check_best(best: BestEpoch, names: set[str]) -> None:
    """Refuse to keep weights that are none, or not those of the network that was asked for."""
    if not best.weights:
        raise DivergedError(
            f"training diverged: {best.monitor} was never a finite number; lower the learning rate "
            "(optimizer.lr, or teacher.optimizer.lr for the teacher)"
        )
    if others := sorted(names ^ set(best.weights)):
        raise UserError(
            f"callbacks: one puts other parameters in the place of the network's "
            f"({listed(others)}), so that no model could be kept: leave it out"
        )


def train(
    module: pl.LightningModule,
    checkpoints: Path,
    trainer: Mapping[str, Any],
    *,
    save_seconds: float = 10,
) -> None:
    """Train a module that has rows of its own and steps by itself.

    Args:
        module: What is trained.
        checkpoints: Folder of the training state; a `last.ckpt` there is gone on from.
        trainer: Arguments of Lightning's Trainer by their own names.
        save_seconds: Seconds between two saves of the training state.
    """
    _run(_trainer(checkpoints, trainer, [], save_seconds), module, checkpoints, trainer)


def _trainer(
    checkpoints: Path,
    trainer: Mapping[str, Any],
    callbacks: Sequence[Callback],
    save_seconds: float,
    loggers: Sequence[Logger] = (),
    monitor: str = "val/log_loss",
) -> pl.Trainer:
    """Lightning's Trainer with our callbacks beside those given."""
    own_bar = any(isinstance(each, ProgressBar) for each in callbacks)
    shows = not own_bar and _shows_progress(trainer)
    given = {**trainer, "enable_progress_bar": shows}
    if own_bar:  # Lightning refuses it where somebody said no
        given["enable_progress_bar"] = trainer.get("enable_progress_bar") is not False
    given["default_root_dir"] = trainer.get("default_root_dir") or checkpoints.parent
    every = [*callbacks]
    if not trainer.get("fast_dev_run"):
        every.append(SaveState(checkpoints, save_seconds))
    if shows:
        every.append(EpochProgress(monitor))
    with quiet():
        return make_trainer(given, logger=list(loggers), callbacks=every)


def _run(
    lightning: pl.Trainer,
    module: pl.LightningModule,
    checkpoints: Path,
    trainer: Mapping[str, Any],
    data: CohortDataModule | None = None,
) -> None:
    """Train to the end, from `last.ckpt` in `checkpoints` where there is one."""
    if lightning.world_size > 1 and lightning.is_global_zero:
        log.info("%d processes on %d node(s) train together", lightning.world_size,
                 lightning.num_nodes)  # fmt: skip
    if not module.automatic_optimization:  # it accumulates and clips by itself
        lightning.accumulate_grad_batches, lightning.gradient_clip_val = 1, None
    resume = checkpoints / LAST if (checkpoints / LAST).exists() else None
    if resume:
        log.info("resuming from %s", resume)
    try:
        with quiet(trainer), preemption.saves():
            lightning.fit(module, datamodule=data, ckpt_path=resume, weights_only=True)
    except SystemExit as stop:
        _raise_interrupt(stop)
        raise
    except MisconfigurationException as error:
        raise UserError(f"Lightning's Trainer refuses these settings: {error}") from error
    except TrainingSpikeException as error:
        raise UserError(f"callbacks: SpikeDetection ended training: {error}") from error


def _score_the_end(
    lightning: pl.Trainer,
    module: Classifier,
    trainer: Mapping[str, Any],
    data: CohortDataModule,
    best: BestEpoch,
    averages: bool,
) -> None:
    """Score the weights that training ended with where no validation did.

    Averaged weights win whatever came before; without any validation the last ones do.
    """
    if best.step == best.steps and not averages:
        return
    if averages:
        best.forget()
    elif lightning.limit_val_batches == 0:
        log.info("trainer.limit_val_batches=0: the last epoch's weights are kept, and scored once")
        lightning.limit_val_batches = 1.0
    with quiet(trainer):
        lightning.validate(module, datamodule=data, verbose=False)


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


def _check_interval(trainer: Mapping[str, Any], data: CohortDataModule) -> None:
    """Refuse to wait for more batches than an epoch has, and a share that is none."""
    interval, limit = trainer.get("val_check_interval"), trainer.get("limit_train_batches")
    batches = whole = len(data.train_dataloader())
    if limit is not None:
        batches = min(batches, limit) if isinstance(limit, int) else int(batches * limit)
    share = trainer.get("overfit_batches")
    if isinstance(share, float) and 0 < share * whole < 1:
        mend = f"an epoch has {whole} batches, so this is less than one"
        raise SettingError("trainer.overfit_batches", share, mend)
    by_epoch = trainer.get("check_val_every_n_epoch", 1) is not None
    if by_epoch and isinstance(interval, int) and interval > batches:
        mend = f"an epoch has {batches} batches; check_val_every_n_epoch=null counts over epochs"
        raise SettingError("trainer.val_check_interval", interval, mend)


def _with_large_batches(
    module: Classifier, data: CohortDataModule, devices: int
) -> CohortDataModule:
    """Batch norm needs two rows: a smaller last batch is joined with the one before it."""
    norms = any(isinstance(each, nn.modules.batchnorm._BatchNorm) for each in module.modules())
    fewest = 2 * devices
    if norms and min(batch_sizes(len(data.train_rows), data.batch_size, fewest)) < fewest:
        mend = "batch norm needs two rows a batch on each device"
        raise SettingError("batch_size", data.batch_size, mend)
    return data.with_batches(fewest_rows=2 if norms else 1)


def _check_optimizer(module: Classifier, trainer: Mapping[str, Any]) -> None:
    """Refuse optimizers that don't go with fp16's loss scale."""
    if str(trainer.get("precision")) != "16-mixed":
        return
    optimizer = module.make_optimizer()
    if needs_closure(optimizer):
        mend = f"does not go with {type(optimizer).__name__}: take bf16-mixed or 32-true"
        raise SettingError("trainer.precision", "16-mixed", mend)
    if trainer.get("gradient_clip_val") and optimizer.defaults.get("fused"):
        raise SettingError(  # it undoes the loss scale inside its step, after clipping
            "trainer.gradient_clip_val",
            trainer["gradient_clip_val"],
            "needs optimizer.fused=false under trainer.precision=16-mixed (bf16-mixed does not)",
        )
