"""A network trained from labels: the teacher's LightningModule, and the student's foundation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import lightning.pytorch as pl
import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.strategies import SingleDeviceStrategy
from torch import Tensor, nn

from meddistill.data.batches import Batch
from meddistill.evaluation.metrics import training_metrics
from meddistill.losses import reduce_terms
from meddistill.losses.ce import CE
from meddistill.seeding import derive, seed_torch
from meddistill.training.kernels import by_kernel

OptimizerFactory = Callable[[Iterable[Any]], torch.optim.Optimizer]
"""From parameters, or groups of them, to their optimizer."""


@dataclass(frozen=True)
class Stepping:
    """How gradients become steps; Lightning leaves both to a module that steps by itself.

    Attributes:
        accumulate: Batches whose mean gradient makes one step.
        clip_value: Largest gradient (norm or value), or None.
        clip_algorithm: `norm` or `value`.
    """

    accumulate: int = 1
    clip_value: float | None = None
    clip_algorithm: str = "norm"

    @staticmethod
    def of(trainer: Mapping[str, Any]) -> Stepping:
        """By the Trainer's own names of its arguments."""
        return Stepping(
            accumulate=trainer.get("accumulate_grad_batches") or 1,
            clip_value=trainer.get("gradient_clip_val"),
            clip_algorithm=trainer.get("gradient_clip_algorithm") or "norm",
        )

    def clip(self, module: pl.LightningModule, optimizer: LightningOptimizer) -> None:
        """Limit the gradients of the optimizer's parameters."""
        if self.clip_value is None:
            return
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        if getattr(module.trainer.precision_plugin, "scaler", None) is not None:
            module.clip_gradients(optimizer.optimizer, self.clip_value, self.clip_algorithm)
        elif self.clip_algorithm == "value":
            nn.utils.clip_grad_value_(parameters, self.clip_value)
        else:  # Lightning refuses fused optimizers under any mixed precision, bf16's too
            nn.utils.clip_grad_norm_(parameters, self.clip_value)


class Classifier(pl.LightningModule):
    """Cross-entropy with the labels of the labelled rows.

    Follows `train/loss` (mean over an epoch's steps), `val/log_loss`, `val/auroc` and
    `val/accuracy` once an epoch.

    What Lightning calls a batch is a run of consecutive steps here: Lightning's own work for a
    batch takes longer than a step of a small network, so it is paid once for many.

    Args:
        network: inputs [batch, *in_shape] -> logits [batch, num_classes].
        num_classes: Number of classes.
        optimizer: From parameters to the optimizer.
        seed: Of the random numbers drawn while training (dropout).
        threshold: Probability from which a row is called positive (two classes).
    """

    def __init__(
        self,
        network: nn.Module,
        num_classes: int,
        optimizer: OptimizerFactory,
        seed: int = 0,
        threshold: float = 0.5,
    ) -> None:
        super().__init__()
        self.save_hyperparameters("num_classes", "seed", "threshold")
        self.automatic_optimization = False
        self.network = network
        self.optimizer_factory = optimizer
        self.seed = seed
        self.stepping = Stepping()  # `fit` sets it from the Trainer's arguments
        self.cross_entropy = CE()
        metrics = training_metrics(num_classes, threshold)
        self.val_metrics = metrics.clone(prefix="val/")
        self.test_metrics = metrics.clone(prefix="test/")
        self._losses: list[Tensor] = []
        self._followed: dict[str, float] = {}

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The optimizer over what is trained."""
        parameters = self.trained()
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
        logits: Tensor = self.network(inputs)
        return logits

    def batch_loss(self, batch: Batch) -> Tensor:
        """Cross-entropy averaged over the labelled rows of one step."""
        terms = self.cross_entropy(self(batch.inputs), batch.target)
        return reduce_terms(terms, batch.label_weight, batch.row_weight)

    def on_train_epoch_start(self) -> None:
        """Random numbers by (seed, epoch), so that a resumed run draws what it would have drawn."""
        seed_torch(derive(self.seed, "training", self.current_epoch, self.global_rank), self.device)
        self._losses = []

    def training_step(self, run: Sequence[Batch], batch_idx: int) -> None:
        """The optimizer's steps on a run of batches."""
        optimizer = cast(LightningOptimizer, self.optimizers())
        backward = Tensor.backward if self._is_plain() else self.manual_backward
        for number, batch in enumerate(run, start=1):
            loss = self.batch_loss(batch)
            backward(loss / self.stepping.accumulate)
            if number % self.stepping.accumulate == 0 or number == len(run):
                self.stepping.clip(self, optimizer)
                optimizer.step()
                optimizer.zero_grad()
            self._losses.append(loss.detach())

    def on_train_epoch_end(self) -> None:
        """Make the mean losses known, and log the epoch; a rank's is its share of the step's."""
        strategy = self.trainer.strategy
        means = {
            name: cast(Tensor, strategy.reduce(values.mean(), reduce_op="mean"))
            for name, values in self.epoch_losses().items()
        }
        self._publish(means)
        for logger in self.trainer.loggers:
            logger.log_metrics(
                {"epoch": self.current_epoch, **self._followed}, step=self.current_epoch
            )
        self._followed = {}

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
        if not self.trainer.sanity_checking:
            self._followed |= {name: float(value) for name, value in numbers.items()}

    def _is_plain(self) -> bool:
        """Whether there is neither a loss scale nor another rank for Lightning to see to."""
        scaler = getattr(self.trainer.precision_plugin, "scaler", None)
        return scaler is None and isinstance(self.trainer.strategy, SingleDeviceStrategy)

    def _probabilities(self, batch: Batch) -> Tensor:
        return probabilities(self(batch.inputs)).movedim(0, -1)


def probabilities(logits: Tensor) -> Tensor:
    """[..., rows, classes] -> [classes, ..., rows]: the classes first, where torch is fast.

    A stack and a single student share it, as the last bit may decide which epoch was the best.
    """
    return logits.float().movedim(-1, 0).softmax(dim=0)
