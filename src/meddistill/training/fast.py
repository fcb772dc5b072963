"""Many steps in what Lightning takes for one batch, where nothing can tell the difference.

Lightning's own work for a batch takes longer than a step of a small network. A fit that asks for
nothing within an epoch may as well pay it once for a run of steps: the weights are the same to the
last bit.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

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
OURS: tuple[type[Callback], ...] = (BestEpoch, SaveState, EpochProgress)


def reason_for_plain(
    module: Classifier, settings: Mapping[str, Any], callbacks: Sequence[Callback]
) -> str | None:
    """Why Lightning must see every step; None where nothing could tell the difference.

    Args:
        module: What is trained.
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
def in_runs(module: Classifier, data: CohortDataModule, stepping: Stepping) -> Iterator[None]:
    """Have `data` hand over runs of batches, and `module` take a step on each of them."""

    def training_step(run: Sequence[Batch], batch_idx: int) -> None:
        optimizer = cast(LightningOptimizer, module.optimizers())
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        batches = len(cast(Batches, module.trainer.train_dataloader).sizes)
        for number, batch in enumerate(run, start=batch_idx * STEPS_A_RUN + 1):
            loss = Classifier.training_step(module, batch, number - 1)
            torch.autograd.backward(stepping.scaled(loss, number, batches))
            if stepping.is_due(number, batches):
                stepping.clip(parameters)
                optimizer.step()
                optimizer.zero_grad()

    module.automatic_optimization, data.in_runs = False, True
    module.training_step = training_step  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        module.automatic_optimization, data.in_runs = True, False
        del module.training_step
