"""A network trained from labels: the teacher's LightningModule, and the student's foundation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast

import lightning.pytorch as pl
import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn

from meddistill.config.compose import OptimizerFactory
from meddistill.data.batches import Batch
from meddistill.evaluation.metrics import training_metrics
from meddistill.losses import DistillationLoss, LossTerms, reduce_terms
from meddistill.losses.ce import CE
from meddistill.losses.treated import at_true_prior
from meddistill.seeding import derive, seed_torch
from meddistill.training.compiled import uncompiled
from meddistill.training.freeze import Freeze
from meddistill.training.kernels import by_kernel
from meddistill.training.schedulers import Schedule
from meddistill.training.stepping import Stepping, last_group


class Classifier(pl.LightningModule):
    """Cross-entropy with the labels of the labelled rows.

    Follows `train/loss` (mean over an epoch's steps), `val/log_loss`, `val/auroc` and
    `val/accuracy` once an epoch.

    An ordinary LightningModule: a batch is a step, and `training_step` returns its loss. `fit` may
    take many steps at once where nothing can tell the difference (see `fast`).

    Args:
        network: inputs [batch, *in_shape] -> logits [batch, num_classes]; it may be compiled.
        num_classes: Number of classes.
        optimizer: From parameters to the optimizer.
        seed: Of the random numbers drawn while training (dropout).
        threshold: Probability from which a row is called positive (two classes).
        scheduler: How the learning rate moves; None where it doesn't.
        freeze: Parameters that stay as they are in the first epochs.
    """

    def __init__(
        self,
        network: nn.Module,
        num_classes: int,
        optimizer: OptimizerFactory,
        seed: int = 0,
        threshold: float = 0.5,
        scheduler: Schedule | None = None,
        freeze: Freeze | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters("num_classes", "seed", "threshold")
        self.network = uncompiled(network)
        self._answering = (network,)  # as it was compiled; a tuple hides it from checkpoints
        self.optimizer_factory = optimizer
        self.seed, self.scheduler, self.frozen = seed, scheduler, freeze or Freeze()
        self.logs_steps = False  # `fit` sets it from the Trainer's arguments
        self.cross_entropy = CE()
        metrics = training_metrics(num_classes, threshold)
        self.val_metrics = metrics.clone(prefix="val/")
        self.test_metrics = metrics.clone(prefix="test/")
        self._losses: list[Tensor] = []
        self._rate = 0.0
        self._followed: dict[str, float] = {}
        self._at = 0, -1  # epoch and step of the last row

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """The optimizer over what is trained, and how its learning rate moves."""
        optimizer = self.make_optimizer()
        if self.scheduler is None:
            return optimizer
        steps = int(self.trainer.estimated_stepping_batches)  # max_steps may end it before
        batches = int(self.trainer.num_training_batches)
        of_epoch = max(1, math.ceil(batches / self.trainer.accumulate_grad_batches))
        epochs = min(self.trainer.max_epochs or 0, math.ceil(steps / of_epoch))
        config = self.scheduler.config(optimizer, epochs, steps)
        return cast(OptimizerLRScheduler, {"optimizer": optimizer, "lr_scheduler": config})

    @property
    def learns_by(self) -> DistillationLoss:
        """Its loss."""
        return self.cross_entropy

    def make_optimizer(self) -> torch.optim.Optimizer:
        """The optimizer over what is trained; parts of parameters by the kernels that step them."""
        parameters = self.trained()
        optimizer = self.optimizer_factory(parameters)
        if not optimizer.defaults.get("fused"):
            return optimizer
        groups = [
            {**settings, "params": [parameters[number] for number in numbers]}
            for numbers, settings in by_kernel(parameters)
        ]
        return self.optimizer_factory(groups)

    def trained(self) -> list[nn.Parameter]:
        """Parameters that the optimizer steps."""
        return list(self.network.parameters())

    def forward(self, inputs: Tensor) -> Tensor:
        """[batch, *in_shape] -> logits [batch, num_classes]."""
        logits: Tensor = self._answering[0](inputs)
        return logits

    def batch_loss(self, batch: Batch) -> Tensor:
        """Cross-entropy averaged over the labelled rows of one step."""
        terms = self.terms(self(batch.inputs), batch)
        return reduce_terms(terms, batch.label_weight, batch.row_weight)

    def answered(self, batch: Batch) -> Batch:
        """The batch with a teacher's answers beside its rows, where the loss reads any."""
        return batch

    def terms(self, logits: Tensor, batch: Batch) -> LossTerms:
        """Terms [..., batch] of the loss, of logits [..., batch, classes] for an answered batch."""
        terms: LossTerms = self.cross_entropy(logits, batch.target)
        return terms

    def on_train_epoch_start(self) -> None:
        """Random numbers by (seed, epoch), so that a resumed run draws what it would have drawn."""
        seed_torch(derive(self.seed, "training", self.current_epoch, self.global_rank), self.device)
        self._losses, self._rate = [], self._learning_rate()

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss of one step."""
        loss = self.batch_loss(batch)
        self._losses.append(loss.detach())
        if self.logs_steps:
            self.log("train/loss_step", loss.detach(), batch_size=len(batch.target))
        return loss

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        """Let the last group of accumulated batches weigh as the mean of its batches, too."""
        trainer = self.trainer
        accumulate, number = trainer.accumulate_grad_batches, trainer.fit_loop.batch_idx + 1
        share = last_group(accumulate, number, int(trainer.num_training_batches))
        super().backward(loss * share, *args, **kwargs)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """What is frozen has no gradient to clip, or to step by."""
        self.frozen.drop_gradients(self.network, self.current_epoch)

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip, also for a fused optimizer under bf16-mixed, which Lightning refuses.

        It refuses for the sake of fp16's loss scale, which bf16 doesn't have.
        """
        if getattr(self.trainer.precision_plugin, "scaler", None) is not None:
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)
            return
        stepping = Stepping(1, gradient_clip_val, gradient_clip_algorithm or "norm")
        stepping.clip([p for group in optimizer.param_groups for p in group["params"]])

    def on_train_epoch_end(self) -> None:
        """Make the mean losses known, and log the epoch, unless it is done."""
        if self._losses:
            self.conclude_epoch()

    def conclude_epoch(self) -> None:
        """The same: whoever saves the training state has it done before, which Lightning has after.

        A rank's losses are its share of the step's.
        """
        strategy = self.trainer.strategy
        means = {
            name: cast(Tensor, strategy.reduce(values.mean(), reduce_op="mean"))
            for name, values in self.epoch_losses().items()
        }
        self._losses = []
        self._publish(means)
        self._log_followed()

    def epoch_losses(self) -> dict[str, Tensor]:
        """By name the losses [steps] of the epoch's steps."""
        return {"train/loss": torch.stack(self._losses)}

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Add labelled validation rows to the metrics."""
        self.val_metrics.update(self._probabilities(batch), batch.target)

    def on_validation_epoch_end(self) -> None:
        """Make `val/*` known; torchmetrics gathers over ranks."""
        self._publish(self.val_metrics.compute())
        self.val_metrics.reset()
        within = self._is_fitting() and not self.trainer.is_last_batch
        if within or self._is_after_training():
            self._log_followed()  # the epoch's end has its own row

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Add test rows to the metrics."""
        self.test_metrics.update(self._probabilities(batch), batch.target)

    def on_test_epoch_end(self) -> None:
        """Make `test/*` known."""
        self._publish(self.test_metrics.compute())
        self.test_metrics.reset()

    def _publish(self, values: Mapping[str, Tensor]) -> None:
        """To callbacks and the epoch's log; `self.log` would cost a millisecond a value."""
        numbers = {name: value.detach().cpu() for name, value in values.items()}
        self.trainer.callback_metrics.update(numbers)
        if self._is_fitting() or self._is_after_training():
            self._followed |= {name: float(value) for name, value in numbers.items()}

    def _log_followed(self) -> None:
        """A row of the loggers: what was made known since the last one, after which step."""
        if self._is_fitting():  # what comes after training is of its last step
            self._at = self.current_epoch, self.global_step - 1
        epoch, step = self._at
        for logger in self.trainer.loggers:
            logger.log_metrics({"epoch": epoch, "lr": self._rate, **self._followed}, step=step)
        self._followed = {}

    def _learning_rate(self) -> float:
        """That of the steps to come: schedulers move it before an epoch is logged."""
        optimizer = cast(LightningOptimizer, self.optimizers())
        return float(optimizer.param_groups[0]["lr"])

    def _is_fitting(self) -> bool:
        return self.trainer.state.fn == TrainerFn.FITTING and not self.trainer.sanity_checking

    def _is_after_training(self) -> bool:
        return self.trainer.state.fn == TrainerFn.VALIDATING

    def _probabilities(self, batch: Batch) -> Tensor:
        logits = at_true_prior(self.learns_by, self(batch.inputs))
        return probabilities(logits).movedim(0, -1)


def probabilities(logits: Tensor) -> Tensor:
    """[..., rows, classes] -> [classes, ..., rows]: the classes first, where torch is fast.

    A stack and a single student share it, as the last bit may decide which epoch was the best.
    """
    return logits.float().movedim(-1, 0).softmax(dim=0)
