"""Checkpoints that are whole or absent, and the one a killed run goes on from."""

from __future__ import annotations

import io
import math
import time
from pathlib import Path
from typing import Any, cast

import lightning.pytorch as pl
import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from meddistill.files.atomic import write_atomically
from meddistill.runs import preemption
from meddistill.training.classifier import Classifier

BEST, LAST = "best.ckpt", "last.ckpt"


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the checkpoint and renames.

    Lightning's own way goes through the system's temporary folder, which may be another file
    system, where a move is a copy that a kill can cut.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        """Save `checkpoint`, whole or not at all."""
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        write_atomically(Path(path), buffer.getvalue())


class BestEpoch(Callback):
    """Keeps the weights of the best epoch, and stops when none is better for long.

    The weights kept are those that were scored, which under weight averaging are not those that
    train. They are copied in memory and lie in the training state, so that `last.ckpt` alone is
    enough to go on, and never disagrees with a second file. The sanity check's epoch is no epoch:
    it is never the best.

    Args:
        monitor: The followed value that decides.
        lower_is_better: Which way the value is better.
        patience: Epochs without a better value after which training stops; None never stops.
        frozen: First epochs in which some layers are frozen: patience counts from their end.

    Attributes:
        score: The best value; NaN while there is none.
        epoch: Its epoch, counted from 0.
        weights: The network's state dict then.
        log_loss: Their validation log loss.
        step: Steps taken when weights were scored last.
        steps: Steps of the whole training.
    """

    def __init__(
        self, monitor: str, lower_is_better: bool, patience: int | None, frozen: int = 0
    ) -> None:
        self.monitor, self.patience, self.frozen = monitor, patience, frozen
        self.sign = 1 if lower_is_better else -1
        self.steps = 0
        self.forget()

    def forget(self) -> None:
        """There is no best yet."""
        self.score, self.log_loss = math.nan, math.nan
        self.epoch, self.step = -1, -1
        self.weights: dict[str, Tensor] = {}
        self._scored: dict[str, Tensor] = {}

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Copy what was scored: callbacks that come later may put other weights back."""
        network = cast(nn.Module, pl_module.network)
        self._scored = {key: value.clone() for key, value in network.state_dict().items()}

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Compare; every rank decides alike, since the value is the same on all."""
        if trainer.sanity_checking:
            return
        score, self.step = float(trainer.callback_metrics[self.monitor]), trainer.global_step
        if not self.sign * score >= self.sign * self.score and math.isfinite(score):
            self.score, self.epoch, self.weights = score, trainer.current_epoch, self._scored
            self.log_loss = float(trainer.callback_metrics.get("val/log_loss", math.nan))
        since = max(self.epoch, self.frozen - 1)
        if self.patience is not None and trainer.current_epoch - since >= self.patience:
            trainer.should_stop = True

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Count the steps, also where a resumed fit had none left to take."""
        self.steps = trainer.global_step

    def state_dict(self) -> dict[str, Any]:
        """The best epoch so far, for `last.ckpt`."""
        names = ("score", "epoch", "weights", "log_loss", "step")
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with the best epoch of an interrupted run."""
        for name, value in state_dict.items():
            setattr(self, name, value)


class SaveState(Callback):
    """Saves the training state now and then, and when the process is told to stop.

    Epochs replay exactly (order and random numbers come from seed and epoch number), so how often
    the state is saved changes how much a kill costs and nothing else.

    Args:
        folder: Where `last.ckpt` is kept.
        seconds: Between two saves.
    """

    def __init__(self, folder: Path, seconds: float) -> None:
        self.folder, self.seconds = folder, seconds
        self._saved = time.monotonic()
        self._followed: dict[str, float] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Lightning would end a fit on SIGTERM with nothing saved.

        Its plateau schedulers look at the epoch's value after the state is saved, so that a
        resumed one has to look now.
        """
        preemption.take_back()
        for config in trainer.lr_scheduler_configs:
            due = trainer.current_epoch % config.frequency == 0
            if config.reduce_on_plateau and due and config.monitor in self._followed:
                plateau = cast(ReduceLROnPlateau, config.scheduler)
                plateau.step(self._followed[config.monitor])
        self._followed = {}

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Where the epoch's end is too far away, the state of before will do."""
        if preemption.overdue():
            preemption.leave()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save if it is time, unless training is over: a resume would go on for an epoch more."""
        late = time.monotonic() - self._saved >= self.seconds
        told, due = (trainer.strategy.reduce_boolean_decision(decision, all=False)
                     for decision in (preemption.told(), late))  # fmt: skip
        if (told or due) and not is_over(trainer):  # clocks and signals differ between ranks
            self._save_rows(trainer, pl_module)
            self._followed = {k: float(v) for k, v in trainer.callback_metrics.items()}
            trainer.save_checkpoint(self.folder / LAST)
            self._followed, self._saved = {}, time.monotonic()
            if told:
                preemption.leave()

    def _save_rows(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Have each epoch stand once in the loggers' files: a resumed fit logs those that come."""
        if isinstance(pl_module, Classifier):
            pl_module.conclude_epoch()
        for logger in trainer.loggers:
            logger.save()

    def state_dict(self) -> dict[str, Any]:
        """What was followed in the epoch that ends; nothing in a checkpoint of anyone else's."""
        return {"followed": self._followed}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a state."""
        self._followed = state_dict["followed"]


def is_over(trainer: pl.Trainer) -> bool:
    """Whether the epoch that ends now is the last one."""
    epochs, steps = trainer.current_epoch + 1, trainer.global_step
    reached = steps >= trainer.max_steps != -1 or epochs >= (trainer.max_epochs or 0) > 0
    may_stop = epochs >= (trainer.min_epochs or 0) and steps >= (trainer.min_steps or 0)
    return reached or (trainer.should_stop and may_stop)
