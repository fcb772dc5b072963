"""Batches as index slices of tensors that lie in memory, on the device."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import islice
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from meddistill.seeding import derive


class Batch(NamedTuple):
    """Rows of one step on one device.

    Attributes:
        inputs: [batch, *in_shape] float32.
        target: [batch] class numbers.
        label_weight: [batch] 1 / labelled rows of the step on labelled rows, 0 elsewhere.
        row_weight: [batch] 1 / rows of the step.
        answers: [batch, classes] the teacher's stored log-probabilities, or None.
        teacher_inputs: [batch, *teacher_in_shape] the rows as a live teacher reads them, or None.
    """

    inputs: Tensor
    target: Tensor
    label_weight: Tensor
    row_weight: Tensor
    answers: Tensor | None
    teacher_inputs: Tensor | None


@dataclass(frozen=True)
class Rows:
    """All rows of one part, as tensors with a first dimension [rows]."""

    inputs: Tensor
    target: Tensor
    labelled: Tensor
    answers: Tensor | None = None
    teacher_inputs: Tensor | None = None

    def at(self, index: Tensor, device: torch.device) -> Rows:
        """The rows numbered by `index`, on `device`."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        cut = {name: v if v is None else v[index].to(device) for name, v in values.items()}
        return Rows(**cut)  # type: ignore[arg-type]


class Batches:
    """An iterable over one epoch's batches, in runs; a seed shuffles them anew each epoch.

    With several devices every rank walks through the same order and takes its share of each
    batch: no row is padded or seen twice, and the weights average over the whole step, times the
    number of ranks, since DDP divides gradients by it.

    Args:
        rows: The part's rows, on the device.
        batch_size: Rows of one step over all ranks.
        seed: Of the shuffle; None keeps the order.
        run: Batches handed over at once, as a list; None hands over single ones.
        rank: This process.
        ranks: All processes.
    """

    batch_sampler: ClassVar[None] = None  # Lightning asks for it wherever there is a `sampler`

    def __init__(
        self,
        rows: Rows,
        batch_size: int,
        seed: int | None = None,
        run: int | None = None,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        self.rows, self.batch_size, self.seed, self.run = rows, batch_size, seed, run
        self.rank, self.ranks, self.epoch = rank, ranks, 0

    @property
    def sampler(self) -> Batches:
        """Lightning tells an epoch's number to `sampler.set_epoch`, on a resume too."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order comes next."""
        self.epoch = epoch

    def __len__(self) -> int:
        batches = -(-len(self.rows.target) // self.batch_size)
        return batches if self.run is None else -(-batches // self.run)

    def __iter__(self) -> Iterator[Batch | list[Batch]]:
        batches = (self._batch(index) for index in torch.split(self._order(), self.batch_size))
        if self.run is None:
            yield from batches
            return
        while run := list(islice(batches, self.run)):
            yield run

    def _order(self) -> Tensor:
        count, device = len(self.rows.target), self.rows.target.device
        if self.seed is None:
            return torch.arange(count, device=device)
        # Drawn on the CPU, so that the order is the same on every device.
        generator = torch.Generator().manual_seed(derive(self.seed, "order", self.epoch))
        return torch.randperm(count, generator=generator).to(device)

    def _batch(self, index: Tensor) -> Batch:
        labelled = self.rows.labelled[index]
        label_weight = labelled * (self.ranks / labelled.sum().clamp(min=1))
        row_weight = torch.full_like(label_weight, self.ranks / len(index))
        if self.ranks > 1:
            mine = slice(self.rank, None, self.ranks)
            index, label_weight, row_weight = index[mine], label_weight[mine], row_weight[mine]
        rows = self.rows
        return Batch(
            inputs=rows.inputs[index],
            target=rows.target[index],
            label_weight=label_weight,
            row_weight=row_weight,
            answers=None if rows.answers is None else rows.answers[index],
            teacher_inputs=None if rows.teacher_inputs is None else rows.teacher_inputs[index],
        )
