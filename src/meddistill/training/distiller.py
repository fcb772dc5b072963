"""The student with a frozen teacher."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from meddistill.data.batches import Batch
from meddistill.losses import DistillationLoss, Step, reduce_terms
from meddistill.training.classifier import Classifier, OptimizerFactory


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
        view: A random augmentation of the inputs, seen by student and live teacher alike, or None.
        **classifier: As for `Classifier`.
    """

    def __init__(
        self,
        network: nn.Module,
        num_classes: int,
        optimizer: OptimizerFactory,
        loss: DistillationLoss,
        teacher: FrozenTeacher | None = None,
        view: nn.Module | None = None,
        **classifier: Any,
    ) -> None:
        super().__init__(network, num_classes, optimizer, **classifier)
        if view is not None and teacher is None and loss.needs_teacher:
            raise ValueError(
                "stored answers are of the rows as they are, not of a random view of them: a view "
                "needs a live teacher (answers=live)"
            )
        self.loss, self.view = loss, view
        self._unregistered = (teacher,)  # a tuple hides the module from nn.Module's registration

    @property
    def teacher(self) -> FrozenTeacher | None:
        """The live teacher."""
        return self._unregistered[0]

    def on_fit_start(self) -> None:
        """Take the live teacher to the student's device."""
        if self.teacher is not None:
            self.teacher.to(self.device)

    def batch_loss(self, batch: Batch) -> Tensor:
        """The loss of one step; label terms over labelled rows, teacher terms over all."""
        if self.view is not None:
            batch = batch._replace(inputs=self.view(batch.inputs))
        step = Step(self(batch.inputs), batch.target, batch.label_weight, self._answers(batch))
        return reduce_terms(self.loss.of_step(step), batch.label_weight, batch.row_weight)

    def _answers(self, batch: Batch) -> Tensor | None:
        if self.teacher is None or not self.loss.needs_teacher:
            return batch.answers
        if self.view is not None and batch.teacher_inputs is not None:
            raise ValueError(
                "the teacher reads the rows by its own preprocessing, of which there is no view: "
                "under a view teacher and student must read the same inputs"
            )
        inputs = batch.inputs if batch.teacher_inputs is None else batch.teacher_inputs
        answers: Tensor = self.teacher(inputs)
        return answers
