"""Many steps in what Lightning takes for one batch, where nothing can tell the difference.

Lightning's own work for a batch takes longer than a step of a small network. A fit that asks for
nothing within an epoch may as well pay it once for a run of steps: the weights are the same to the
last bit.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.core.optimizer import LightningOptimizer

from meddistill.data.batches import STEPS_A_RUN, Batch, Batches
from meddistill.data.datamodule import CohortDataModule
from meddistill.training.checkpoints import BestEpoch, SaveState
from meddistill.training.classifier import Classifier
from meddistill.training.distiller import Distiller
from meddistill.training.progress import EpochProgress
from meddistill.training.stepping import Stepping

SAME = {
    "accelerator", "devices", "num_nodes", "deterministic", "benchmark", "max_epochs",
    "min_epochs", "num_sanity_val_steps", "check_val_every_n_epoch", "gradient_clip_val",
    "gradient_clip_algorithm", "accumulate_grad_batches", "enable_progress_bar",
    "enable_model_summary", "default_root_dir", "enable_autolog_hparams",
}  # fmt: skip
"""Trainer's arguments that mean the same for runs of steps."""
NEEDED = {"strategy": "auto", "precision": ("32-true", "32", 32)}
LARGEST_ROW = 2048
"""Numbers of a row beyond which a step takes long enough for Lightning to see it."""
OURS: tuple[type[Callback], ...] = (BestEpoch, SaveState, EpochProgress)


def reason_for_plain(
    module: Classifier,
    data: CohortDataModule,
    settings: Mapping[str, Any],
    callbacks: Sequence[Callback],
) -> str | None:
    """Why Lightning must see every step; None where nothing could tell the difference.

    Args:
        module: What is trained.
        data: Its rows.
        settings: The Trainer's arguments.
        callbacks: All that the Trainer has, ours among them.
    """
    for name, value in settings.items():
        if value is not None and name not in SAME and value not in NEEDED.get(name, ()):
            return f"trainer.{name}={value}"
    if (settings.get("devices"), settings.get("num_nodes") or 1) not in ((1, 1), ("1", 1)):
        return "several devices"
    for callback in callbacks:
        if type(callback) not in OURS:
            return f"callback {type(callback).__name__}"
    if data.is_streamed or data.view is not None or math.prod(data.in_shape) > LARGEST_ROW:
        return "rows that are read, seen or answered in longer than Lightning takes for a batch"
    if type(module) not in (Classifier, Distiller):
        return f"{type(module).__name__} has hooks of its own"
    return _reason_of_optimizer(module)


def _reason_of_optimizer(module: Classifier) -> str | None:
    if module.scheduler is not None:
        return "scheduler"
    optimizer = module.make_optimizer()
    if needs_closure(optimizer):
        return f"{type(optimizer).__name__} evaluates a step more than once"
    return None


def needs_closure(optimizer: torch.optim.Optimizer) -> bool:
    """Whether an optimizer can't step without evaluating the loss itself."""
    closure = inspect.signature(type(optimizer).step).parameters.get("closure")
    return closure is not None and closure.default is inspect.Parameter.empty


@contextmanager
def in_runs(
    lightning: pl.Trainer,
    module: Classifier,
    data: CohortDataModule,
    settings: Mapping[str, Any],
    best: BestEpoch,
) -> Iterator[CohortDataModule]:
    """Rows handed over in runs of batches, and `module` taking a step on each, and validating."""
    handed_over = data.with_batches(in_runs=True)
    module.automatic_optimization, lightning.limit_val_batches = False, 0
    runs = _Runs(lightning, module, handed_over, settings, best)
    module.training_step = runs.take  # type: ignore[method-assign, assignment]
    try:
        yield handed_over
    finally:
        module.automatic_optimization, lightning.limit_val_batches = True, 1.0
        del module.training_step


class _Runs:
    """Steps on runs of batches, and validation after an epoch's last run.

    Lightning's own loop over validation rows takes as long as some ten steps of a small network.

    Args:
        lightning: The Trainer.
        module: What is trained.
        data: Its rows.
        settings: The Trainer's arguments.
        best: Told of every validation.
    """

    def __init__(
        self,
        lightning: pl.Trainer,
        module: Classifier,
        data: CohortDataModule,
        settings: Mapping[str, Any],
        best: BestEpoch,
    ) -> None:
        self.lightning, self.module, self.data, self.best = lightning, module, data, best
        self.stepping = Stepping.of(settings)
        self.validates_every = settings.get("check_val_every_n_epoch") or 1
        self.validation: list[Batch] = []

    def take(self, run: Sequence[Batch], batch_idx: int) -> None:
        """The optimizer's steps on a run of batches."""
        optimizer = cast(LightningOptimizer, self.module.optimizers()).optimizer
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        batches = len(cast(Batches, self.lightning.train_dataloader).sizes)
        counted = self.lightning.fit_loop.epoch_loop.manual_optimization.optim_step_progress
        for number, batch in enumerate(run, start=batch_idx * STEPS_A_RUN + 1):
            loss = Classifier.training_step(self.module, batch, number - 1)
            torch.autograd.backward(self.stepping.scaled(loss, number, batches))
            if self.stepping.is_due(number, batches):
                self.module.on_before_optimizer_step(optimizer)
                self.stepping.clip(parameters)
                counted.increment_ready()
                optimizer.step()
                counted.increment_completed()
                for parameter in parameters:
                    parameter.grad = None
        if number == batches and (self.module.current_epoch + 1) % self.validates_every == 0:
            self._validate()

    @torch.no_grad()
    def _validate(self) -> None:
        """What Lightning does at the end of an epoch."""
        self.validation = self.validation or list(self.data.validation())
        modes = [(each, each.training) for each in self.module.network.modules()]
        self.module.network.eval()
        for number, batch in enumerate(self.validation):
            self.module.validation_step(batch, number)
        self.best.on_validation_epoch_end(self.lightning, self.module)
        self.module.on_validation_epoch_end()
        for each, training in modes:
            each.training = training
        self.best.on_validation_end(self.lightning, self.module)
