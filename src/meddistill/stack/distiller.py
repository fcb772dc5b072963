"""The LightningModule that trains M students of one architecture in lockstep."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, cast

import lightning.pytorch as pl
import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor

from meddistill.config.compose import OptimizerFactory
from meddistill.data.batches import STEPS_A_RUN
from meddistill.losses import DistillationLoss, Step, reduce_terms
from meddistill.losses.treated import at_true_prior
from meddistill.seeding import derive
from meddistill.stack.best import BestMembers
from meddistill.stack.network import StackedNetwork
from meddistill.stack.optimizer import MemberGroups
from meddistill.stack.rows import MemberRows, StackedEpochs
from meddistill.stack.schedulers import MemberSchedulers
from meddistill.training.classifier import probabilities
from meddistill.training.freeze import Freeze
from meddistill.training.schedulers import Schedule
from meddistill.training.stepping import Stepping


class Halt(Protocol):
    """From (epochs done, best log loss [M]) to the members [M] that may go on, with a state."""

    def __call__(self, done: int, score: Tensor) -> Tensor:
        """Members that may go on."""

    def state_dict(self) -> dict[str, Any]:
        """What a resumed fit goes on from."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Its inverse."""


FULL_ENOUGH = 0.9
"""A stack whose running members are fewer than this share of it goes on without the others."""


class StackedDistiller(pl.LightningModule):
    """M students, each with its own seed, rows, teacher's answers, loss and optimizer settings.

    The loss is the sum over members of each member's own, so gradients never mix: a member learns
    what it would learn alone. A member stops when its validation log loss has not improved for
    `patience` epochs; stopped members leave the stack when enough of them have.

    Args:
        network: The students.
        rows: The members' rows.
        loss_of: From member numbers and an epoch to their loss, settings tensors [those members].
        optimizer: From parameter groups to the optimizer.
        settings: [M] the optimizer's numbers of each member, all equal ones side by side.
        patience: Epochs without a better value after which a member stops.
        trainer: Arguments of Lightning's Trainer; those that Lightning leaves to a module that
            steps and validates by itself are read here.
        halt: Asked after every epoch which members may go on.
        scheduled: Whether settings of the loss change from epoch to epoch.
        scheduler: How the learning rates move; None where they don't.
        freeze: Parameters that stay as they are in the first epochs.
    """

    def __init__(
        self,
        network: StackedNetwork,
        rows: MemberRows,
        loss_of: Callable[[Sequence[int], int], DistillationLoss],
        optimizer: OptimizerFactory,
        settings: Sequence[Mapping[str, Any]],
        patience: int,
        trainer: Mapping[str, Any],
        halt: Halt | None = None,
        scheduled: bool = False,
        scheduler: Schedule | None = None,
        freeze: Freeze | None = None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.network, self.rows, self.loss_of = network, rows, loss_of
        self.optimizer_factory, self.settings = optimizer, list(settings)
        self.stepping, self.halt, self.scheduled = Stepping.of(trainer), halt, scheduled
        self.validates_every = trainer.get("check_val_every_n_epoch") or 1
        self.loss = loss_of(range(len(settings)), 0)
        self.members = torch.arange(len(settings))  # of those in the stack, their first numbers
        self._groups: MemberGroups | None = None
        self.scheduler, self.frozen = scheduler, freeze or Freeze()
        least = trainer.get("min_epochs") or 0
        self.best = BestMembers(network.tensors(), patience, least, self.frozen.epochs)
        self._schedulers: MemberSchedulers | None = None
        self._resumed: dict[int, dict[str, Any]] | None = None

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """One optimizer, with a group for each run of members with equal settings."""
        settings = [self.settings[member] for member in self.members.tolist()]
        parameters = list(self.network.parameters())
        apart = self.scheduler is not None and self.scheduler.is_plateau
        self._groups = MemberGroups(parameters, settings, self.optimizer_factory, apart)
        if self.scheduler is not None:
            epochs = self.trainer.max_epochs or 0
            steps = epochs * -(-self.rows.steps // self.stepping.accumulate)
            self._schedulers = MemberSchedulers(self._groups, self.scheduler, epochs, steps)
        return self._groups.optimizer

    def train_dataloader(self) -> StackedEpochs:
        """Each step's rows, a member's in its own order."""
        return StackedEpochs(lambda: self.rows)

    def transfer_batch_to_device(
        self, batch: Any, device: torch.device, dataloader_idx: int
    ) -> Any:
        """The row numbers as they are: the rows lie on the device."""
        return batch

    def on_fit_start(self) -> None:
        """Take rows and best weights to the device."""
        self.rows.to(self.device)
        self.best.to(self.device)

    def on_train_epoch_start(self) -> None:
        """Random numbers by (seed, epoch), as the student alone has them."""
        epoch, seeds = self.current_epoch, self.rows.seeds
        streams = {seed: derive(seed, "training", epoch, 0) for seed in set(seeds)}
        self.network.reseed([streams[seed] for seed in seeds])
        if self.scheduled:
            self.loss = self.loss_of(self.members.tolist(), epoch).to(self.device)

    def training_step(self, run: Sequence[Tensor], batch_idx: int) -> None:
        """The optimizer's steps on a run of batches."""
        optimizer, groups = cast(LightningOptimizer, self.optimizers()), self._groups
        assert groups is not None  # configure_optimizers made them
        for number, index in enumerate(run, start=batch_idx * STEPS_A_RUN + 1):
            batch = self.rows.batch(index)
            logits = self.network(batch.inputs)
            step = Step(logits, batch.target, batch.label_weight, batch.answers)
            loss = reduce_terms(self.loss.of_step(step), batch.label_weight, batch.row_weight)
            torch.autograd.backward(self.stepping.scaled(loss, number, self.rows.steps))
            if self.stepping.is_due(number, self.rows.steps):
                self.frozen.drop_gradients(self.network.network, self.current_epoch)
                if self.stepping.clip_value:
                    groups.clip(self.stepping.clip_value, self.stepping.clip_algorithm)
                groups.share_gradients()
                optimizer.step()
                groups.clear_gradients()
                if self._schedulers is not None:
                    self._schedulers.after_step(number)
        if batch_idx + 1 == self.trainer.num_training_batches:
            self._end_epoch()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Which members are in the stack, and the best of all."""
        checkpoint["stack"] = {"members": self.members, **self.best.state_dict()}
        if self._schedulers is not None:
            checkpoint["schedulers"] = self._schedulers.state_dict()
        if self.halt is not None:
            checkpoint["halt"] = self.halt.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Cut the stack to the members that were in it; weights and optimizer are loaded after."""
        state = checkpoint["stack"]
        self._keep(state["members"])
        self.best.load_state_dict(state)
        self._resumed = checkpoint.get("schedulers")
        if self.halt is not None:
            self.halt.load_state_dict(checkpoint["halt"])

    def on_train_start(self) -> None:
        """The optimizer is loaded by now, with groups of its own."""
        if self._schedulers is not None and self._resumed is not None:
            self._schedulers.load_state_dict(self._resumed)

    def _end_epoch(self) -> None:
        """Keep better members, stop finished ones, and go on without them.

        Lightning's own loop over validation rows takes as long as two steps of a stack.
        """
        done, best = self.current_epoch + 1, self.best
        if self._schedulers is not None:
            self._schedulers.after_epoch(done)
        if done % self.validates_every == 0 or done == self.trainer.max_epochs:
            score = self._log_loss().cpu()
            best.update(self.members, score, self.network, done)
            if self._schedulers is not None:
                self._schedulers.after_validation(done, score.tolist())
        best.end(done)
        if self.halt is not None:
            best.stop(~self.halt(done, best.score))
        going = best.running[self.members]
        self.trainer.callback_metrics["val/log_loss"] = best.score.nanmean()  # progress bar
        if not going.any():
            self.trainer.should_stop = True
        elif going.float().mean() < FULL_ENOUGH:
            self._keep(going.nonzero().squeeze(1))

    @torch.no_grad()
    def _log_loss(self) -> Tensor:
        """[those in the stack] on labelled validation rows, as `LogLoss` works it out."""
        self.network.eval()
        losses = []
        for inputs, target in self.rows.validation():
            answers = probabilities(at_true_prior(self.loss, self.network(inputs)))
            chosen = answers.gather(0, target.unsqueeze(0)).squeeze(0)
            losses.append(-chosen.clamp(min=torch.finfo(chosen.dtype).eps).log())
        self.network.train()
        every = torch.cat(losses, dim=1)
        return every.sum(dim=1) / every.shape[1]

    def _keep(self, members: Tensor) -> None:
        """Go on with those of the present members alone."""
        self.members = self.members[members]
        self.network.keep(members.to(self.device))
        self.rows = self.rows.of(members)
        self.loss = self.loss_of(self.members.tolist(), self.current_epoch).to(self.device)
        if self._groups is not None:
            self._groups.keep(members, list(self.network.parameters()))
        if self._schedulers is not None:
            self._schedulers.bind()
