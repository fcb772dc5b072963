"""The rows of each member's own split, gathered for all members at once."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from meddistill.data.batches import STEPS_A_RUN, Batch, Rows, epoch_order, known_classes
from meddistill.data.datamodule import CohortDataModule

LARGEST_GATHER = 2**23
"""Numbers gathered at once in validation; 32 MiB of float32."""


class MemberRows:
    """Training and validation rows of M members.

    Args:
        tables: The different splits with their preprocessing and teacher's answers; all have as
            many rows, inputs, training rows and labelled validation rows.
        table: [M] which of the tables each member reads.
        seeds: [M] of each member's batch order.
        balanced: Whether labelled rows are drawn so that classes are equally frequent.
    """

    def __init__(
        self,
        tables: Sequence[CohortDataModule],
        table: Sequence[int],
        seeds: Sequence[int],
        balanced: bool = False,
    ) -> None:
        parts = [data.rows for data in tables]
        self.rows = Rows.joined(parts)
        starts = torch.tensor([0, *(len(part.target) for part in parts)]).cumsum(0)[:-1]
        self._starts, self._count = starts, len(tables[0].cohort.target)
        self._train = _positions([data.train_rows for data in tables], starts)
        self._validation = _positions([data.labelled_validation for data in tables], starts)
        self.table, self.seeds = torch.tensor(table), list(seeds)
        self.batch_size = tables[0].batch_size
        labelled, target = self.rows.labelled[self._train], self.rows.target[self._train]
        self._classes = known_classes(target, labelled) if balanced else None
        self._all_labelled = bool(labelled.all())
        self._fronts = [data.preprocessing for data in tables]
        self._hidden = [hidden for data in tables if (hidden := data.hidden) is not None]
        self._drawn, self._slot = self.rows.inputs[:0], self.table  # of an epoch
        self._place = torch.zeros(len(self.rows.target), dtype=torch.int64)
        for rows in self._train:
            self._place[rows] = torch.arange(len(rows))
        numbers = math.prod(tables[0].in_shape) * len(self.seeds)
        self._part = max(1, LARGEST_GATHER // max(1, numbers))

    def to(self, device: torch.device) -> None:
        """Take the rows to `device`; positions stay on the CPU, where orders are drawn."""
        self.rows, self._place = self.rows.to(device), self._place.to(device)

    def of(self, members: Tensor) -> MemberRows:
        """The rows of the members numbered by `members` alone."""
        part = copy.copy(self)
        part.table = self.table[members]
        part.seeds = [self.seeds[member] for member in members.tolist()]
        return part

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return -(-self._train.shape[1] // self.batch_size)

    def epoch(self, number: int) -> list[Tensor]:
        """Row numbers [M, batch] of each step of an epoch, in each member's own order."""
        if self._hidden:
            self._draw(number)
        count, classes = self._train.shape[1], self._classes
        # Which rows are drawn in balance goes by their table, an order by the seed alone.
        of = [-1] * len(self.seeds) if classes is None else self.table.tolist()
        keys = list(zip(self.seeds, of, strict=True))
        distinct = {key: place for place, key in enumerate(dict.fromkeys(keys))}
        orders = torch.stack([
            epoch_order(count, seed, number, None if classes is None else classes[table])
            for seed, table in distinct
        ])  # fmt: skip
        order = orders[torch.tensor([distinct[key] for key in keys])]
        rows = self._train[self.table].gather(1, order)
        return list(torch.split(rows.to(self.rows.target.device), self.batch_size, dim=1))

    def _draw(self, epoch: int) -> None:
        """Inputs of the training rows in an epoch, where cells are hidden, by table and seed."""
        own = list(zip(self.table.tolist(), self.seeds, strict=True))
        slots = {each: slot for slot, each in enumerate(dict.fromkeys(own))}
        drawn = [self._hidden[table].inputs(seed, epoch) for table, seed in slots]
        device = self.rows.target.device
        self._drawn = torch.cat(drawn).to(device)
        self._slot = torch.tensor([slots[each] for each in own], device=device)

    def _training_inputs(self, index: Tensor) -> Tensor:
        """[M, batch, ...] as they lie in memory, of the training rows numbered by `index`."""
        places = self._slot.unsqueeze(1) * self._train.shape[1] + self._place[index]
        found = self._drawn.index_select(0, places.reshape(-1))
        return found.view(*index.shape, *found.shape[1:])

    def validation(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs [M, part, ...] and targets [M, part] of labelled validation rows.

        In parts that fit in memory; where all members read one table they share its memory.
        """
        tables = self.table[:1] if bool((self.table == self.table[0]).all()) else self.table
        positions = self._validation[tables].to(self.rows.target.device)
        for index in torch.split(positions, self._part, dim=1):
            rows = self.rows.at(index)
            members = len(self.table)
            inputs = self._as_read(rows.inputs, tables)
            yield inputs.expand(members, *inputs.shape[1:]), rows.target.expand(members, -1)

    def everything(self) -> list[Tensor]:
        """Row numbers [M, part] of every row of a member's cohort, in parts that fit in memory."""
        rows = self._starts[self.table].unsqueeze(1) + torch.arange(self._count)
        return list(torch.split(rows.to(self.rows.target.device), self._part, dim=1))

    def inputs_at(self, index: Tensor) -> Tensor:
        """[M, part, *in_shape] inputs of the rows numbered by `index` [M, part]."""
        return self._as_read(self.rows.at(index).inputs, self.table)

    def _as_read(self, inputs: Tensor, tables: Tensor) -> Tensor:
        """Rows [M, part, ...] as they lie in memory, of the tables [M] -> as networks read them."""
        numbers = tables.tolist()
        if len(set(numbers)) == 1:
            read: Tensor = self._fronts[numbers[0]].front(inputs)
            return read
        if not any(self._fronts[number].has_front for number in numbers):
            return inputs
        parts = zip(numbers, inputs, strict=True)
        return torch.stack([self._fronts[number].front(part) for number, part in parts])

    def batch(self, index: Tensor) -> Batch:
        """The rows numbered by `index` [M, batch], as tensors [M, batch, ...]."""
        rows = self.rows.at(index)
        row_weight = torch.full(index.shape, 1 / index.shape[1], device=rows.target.device)
        label_weight = row_weight
        if not self._all_labelled:
            labelled = rows.labelled.sum(dim=1, keepdim=True).clamp(min=1)
            label_weight = rows.labelled * (1 / labelled)
        inputs = self._training_inputs(index) if self._hidden else rows.inputs
        return Batch(
            inputs=self._as_read(inputs, self.table),
            target=rows.target,
            label_weight=label_weight,
            row_weight=row_weight,
            answers=rows.answers,
            teacher_inputs=None,
        )


class StackedEpochs:
    """An iterable over an epoch's steps, in runs, for Lightning.

    Args:
        rows: Asked anew each epoch, since members leave the stack.
    """

    batch_sampler: ClassVar[None] = None  # Lightning asks for it wherever there is a `sampler`

    def __init__(self, rows: Callable[[], MemberRows]) -> None:
        self.rows, self.epoch = rows, 0

    @property
    def sampler(self) -> StackedEpochs:
        """Lightning tells an epoch's number to `sampler.set_epoch`, on a resume too."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order comes next."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-self.rows().steps // STEPS_A_RUN)

    def __iter__(self) -> Iterator[list[Tensor]]:
        steps = self.rows().epoch(self.epoch)
        for start in range(0, len(steps), STEPS_A_RUN):
            yield steps[start : start + STEPS_A_RUN]


def _positions(parts: Sequence[object], starts: Tensor) -> Tensor:
    """[tables, n] row numbers among the joined tables."""
    positions = [torch.as_tensor(part) + start for part, start in zip(parts, starts, strict=True)]
    return torch.stack(positions)
