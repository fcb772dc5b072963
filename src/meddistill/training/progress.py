"""A progress bar over a fit's epochs, for a terminal."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import ProgressBar
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn


class EpochProgress(ProgressBar):
    """One line that fills with the epochs and is gone when the fit is over.

    Lightning's own bars fill once an epoch, which for a small network is a flicker.

    Args:
        monitor: The followed value to show.
    """

    def __init__(self, monitor: str) -> None:
        super().__init__()
        self.monitor = monitor
        self._bar: Progress | None = None

    def disable(self) -> None:
        """Show nothing: Lightning asks for it on ranks above 0."""
        self._bar = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw the line."""
        if not trainer.is_global_zero:
            return
        parts = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
        self._bar = Progress(*parts, transient=True)
        self._bar.add_task("training", total=trainer.max_epochs)
        self._bar.start()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any,
        batch_idx: int,
    ) -> None:  # fmt: skip
        """Fill it by the share of the epoch that is done."""
        if self._bar is not None:
            done = trainer.current_epoch + (batch_idx + 1) / float(trainer.num_training_batches)
            value = trainer.callback_metrics.get(self.monitor)
            score = "" if value is None else f"  {self.monitor} {float(value):.4f}"
            text = f"  epoch {trainer.current_epoch + 1}/{trainer.max_epochs}{score}"
            self._bar.update(self._bar.task_ids[0], completed=done, description=text)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Take the line away, also after an error."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
