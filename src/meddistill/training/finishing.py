"""What no gradient can do to a network, after its last step, by the loss it was trained with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from meddistill.data.batches import Batch
from meddistill.data.datamodule import CohortDataModule

if TYPE_CHECKING:
    from meddistill.training.classifier import Classifier


@runtime_checkable
class Finishes(Protocol):
    """A network that is not done with its best epoch's weights."""

    def finish(self, inputs: Tensor, objective: Callable[[Tensor], Tensor], labels: int) -> None:
        """Change its weights for good.

        Args:
            inputs: [rows, *in_shape] all training rows.
            objective: Their logits [..., rows, classes] -> the loss [...] it was trained with.
            labels: How many of them are labelled.
        """


@runtime_checkable
class Narrows(Protocol):
    """A network that reads fewer columns once it is finished."""

    def narrow(self) -> Sequence[int]:
        """Forget the columns that it no longer reads -> places of the others, in order."""


def narrowed(network: nn.Module, data: CohortDataModule) -> CohortDataModule:
    """The rows as a finished network reads them, which forgets the columns that it doesn't read.

    Args:
        network: Of a student; its answers stay what they are.
        data: The rows that it was trained on.
    """
    if not isinstance(network, Narrows):
        return data
    columns = data.records.columns
    return data.with_columns([columns[place] for place in network.narrow()])


def finish(module: Classifier, data: CohortDataModule) -> None:
    """Finish the network of `module`, on the CPU.

    Args:
        module: What was trained, its network with its best epoch's weights and one that `Finishes`.
        data: Its rows.
    """
    network = module.network.cpu()
    assert isinstance(network, Finishes)
    with torch.no_grad():
        batch = module.answered(_one_step(data))

    def objective(logits: Tensor) -> Tensor:
        shape = logits.shape[:-1]
        answers = None if batch.answers is None else batch.answers.expand(logits.shape)
        step = batch._replace(target=batch.target.expand(shape), answers=answers)
        terms = module.terms(logits, step)
        weighed = [term * batch.label_weight for term in terms.label.values()]
        weighed += [term * batch.row_weight for term in terms.teacher.values()]
        return torch.stack(weighed).sum((0, -1))

    network.finish(batch.inputs, objective, int((batch.label_weight > 0).sum()))


def _one_step(data: CohortDataModule) -> Batch:
    """All training rows as one step, each label with the weight that balanced batches give it."""
    batch = data.read_at(data.train_rows)
    weight = batch.label_weight
    if data.balanced:
        weight = weight / torch.from_numpy(data.class_counts).clamp(min=1)[batch.target]
    return batch._replace(label_weight=weight / weight.sum())
