"""The student with a frozen teacher."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from meddistill.config.compose import OptimizerFactory
from meddistill.data.batches import Batch
from meddistill.losses.base import DistillationLoss, LossTerms, Step, reduced, total
from meddistill.losses.building import take_settings
from meddistill.training.classifier import Classifier
from meddistill.training.taps import Taps


class FrozenTeacher(nn.Module):
    """A trained teacher that answers and never changes: eval mode, no gradients, for good.

    Args:
        network: teacher inputs [batch, ...] -> log-probabilities (or logits) [batch, classes].
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> FrozenTeacher:
        """Stay in eval mode, whatever is asked: batch norm and dropout would move otherwise."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, inputs: Tensor) -> Tensor:
        """[batch, ...] -> log-probabilities [batch, classes]."""
        answers: Tensor = self.network(inputs)
        return answers.float().log_softmax(dim=-1)


class Distiller(Classifier):
    """A student trained from the labels and a teacher's answers.

    The teacher's answers come with the batch where they were stored; a live teacher is asked
    otherwise. The live teacher is no submodule: it is in no checkpoint, optimizer, parameter
    count or DDP bucket of the student.

    Args:
        network: The student.
        loss: Terms per row from student, label and teacher.
        teacher: A live teacher, asked in every step; None where batches hold stored answers.
        loss_at: From an epoch to the loss with its settings, where these change; None where not.
        **classifier: As for `Classifier`.
    """

    def __init__(
        self,
        network: nn.Module,
        num_classes: int,
        optimizer: OptimizerFactory,
        loss: DistillationLoss,
        teacher: FrozenTeacher | None = None,
        loss_at: Callable[[int], DistillationLoss] | None = None,
        **classifier: Any,
    ) -> None:
        super().__init__(network, num_classes, optimizer, **classifier)
        self.loss, self.loss_at = loss, loss_at
        self._terms: list[dict[str, Tensor]] = []
        self._taps: tuple[Taps, Taps] | None = None
        self._unregistered = (teacher,)  # a tuple hides the module from nn.Module's registration

    @property
    def teacher(self) -> FrozenTeacher | None:
        """The live teacher."""
        return self._unregistered[0]

    @property
    def learns_by(self) -> DistillationLoss:
        """Its loss."""
        return self.loss

    def trained(self) -> list[nn.Parameter]:
        """The student's parameters, and those that the loss learns beside it."""
        return [*super().trained(), *self.loss.parameters()]

    def on_fit_start(self) -> None:
        """Take the live teacher to the student's device, and tap both where the loss reads it."""
        if self.teacher is not None:
            self.teacher.to(self.device)
        if self.loss.needs_features and self.teacher is not None:
            own, others = self.loss.layers
            self._taps = (
                Taps(self.network, own, "loss.student_layer"),
                Taps(self.teacher.network, others, "loss.teacher_layer"),
            )

    def on_fit_end(self) -> None:
        """Leave the networks as they were: the teacher where others look for it, on the CPU."""
        for taps in self._taps or ():
            taps.remove()
        if self.teacher is not None:
            self.teacher.cpu()

    def on_train_epoch_start(self) -> None:
        """Random numbers of the epoch, and the loss's settings in it."""
        super().on_train_epoch_start()
        self._terms = []
        if self.loss_at is not None:
            take_settings(self.loss, self.loss_at(self.current_epoch))

    def batch_loss(self, batch: Batch) -> Tensor:
        """The loss of one step; label terms over labelled rows, teacher terms over all."""
        batch = self.answered(batch)
        terms = self.terms(self(batch.inputs), batch)
        parts = reduced(terms, batch.label_weight, batch.row_weight)
        if len(parts) > 1:
            self._terms.append({name: part.detach() for name, part in parts.items()})
        return total(parts)

    def terms(self, logits: Tensor, batch: Batch) -> LossTerms:
        """Terms of the loss, and of the layers that were read while both answered."""
        step = Step(logits, batch.target, batch.label_weight, batch.answers)
        if self._taps is not None:
            student, teacher = self._taps
            step = replace(
                step, student_features=student.features(), teacher_features=teacher.features()
            )
        return self.loss.of_step(step)

    def epoch_losses(self) -> dict[str, Tensor]:
        """`train/loss`, and `train/<term>` for each term of several."""
        terms = {f"train/{name}": torch.stack([step[name] for step in self._terms])
                 for name in (self._terms[0] if self._terms else ())}  # fmt: skip
        return {**super().epoch_losses(), **terms}

    def answered(self, batch: Batch) -> Batch:
        """The batch with what a live teacher says, where the loss reads it."""
        if self.teacher is None or not self.loss.needs_teacher:
            return batch
        inputs = batch.inputs if batch.teacher_inputs is None else batch.teacher_inputs
        return batch._replace(answers=self.teacher(inputs))
