"""Batches as index slices of tensors that lie in memory, on the device."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
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

    @staticmethod
    def joined(parts: Sequence[Rows]) -> Rows:
        """The rows of several parts, one after the other."""
        columns: dict[str, Tensor | None] = {}
        for field in fields(Rows):
            values = [getattr(part, field.name) for part in parts]
            columns[field.name] = None if values[0] is None else torch.cat(values)
        return Rows(**columns)  # type: ignore[arg-type]

    def at(self, index: Tensor) -> Rows:
        """The rows numbered by `index`, of any shape."""
        flat = index.reshape(-1)  # five times faster than an index of two dimensions
        return self._each(
            lambda tensor: tensor.index_select(0, flat).view(*index.shape, *tensor.shape[1:])
        )

    def to(self, device: torch.device) -> Rows:
        """The rows on `device`."""
        return self._each(lambda tensor: tensor.to(device))

    def _each(self, change: Callable[[Tensor], Tensor]) -> Rows:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        changed = {name: v if v is None else change(v) for name, v in values.items()}
        return Rows(**changed)  # type: ignore[arg-type]


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
        for index in torch.split(self._order(), self.batch_size * (self.run or 1)):
            batches = self._cut(index)
            if self.run is None:
                yield from batches
            else:
                yield batches

    def _order(self) -> Tensor:
        count, device = len(self.rows.target), self.rows.target.device
        if self.seed is None:
            return torch.arange(count, device=device)
        return shuffled(count, self.seed, self.epoch).to(device)

    def _cut(self, index: Tensor) -> list[Batch]:
        """The batches of the rows numbered by `index`, gathered at once and cut apart."""
        rows = self.rows.at(index)
        batch = torch.arange(len(index), device=index.device) // self.batch_size
        sizes = torch.bincount(batch)
        labelled = torch.zeros(len(sizes), device=index.device).index_add_(0, batch, rows.labelled)
        columns = Batch(
            inputs=rows.inputs,
            target=rows.target,
            label_weight=rows.labelled * (self.ranks / labelled.clamp(min=1))[batch],
            row_weight=(self.ranks / sizes)[batch],
            answers=rows.answers,
            teacher_inputs=rows.teacher_inputs,
        )
        mine = slice(self.rank, None, self.ranks)
        cuts: list[Sequence[Tensor | None]] = []
        for column in columns:
            if column is None:
                cuts.append([None] * len(sizes))
            else:
                cuts.append([part[mine] for part in torch.split(column, self.batch_size)])
        return [Batch(*parts) for parts in zip(*cuts, strict=True)]


def shuffled(count: int, seed: int, epoch: int) -> Tensor:
    """Row numbers in the order of one epoch, drawn on the CPU: the same on every device."""
    generator = torch.Generator().manual_seed(derive(seed, "order", epoch))
    return torch.randperm(count, generator=generator)
