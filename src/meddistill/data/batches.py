"""Batches as index slices of tensors that lie in memory, on the device."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from meddistill.seeding import derive

SMALLEST_BATCH, LARGEST_BATCH, FEW_ROWS = 64, 1024, 10_000
MOST_IN_A_BATCH = 2**22
"""Numbers in a step's rows beyond which it is not made larger: 83 grey pictures of 224 x 224."""
MOST_PATIENCE, LEAST_PATIENCE = 20, 5
GATHERED = 2**25
"""Bytes of inputs that are gathered at once, where a batch does not take more."""
STEPS_A_RUN = 32
"""Batches that are gathered at once, and handed over at once where that is asked for."""


class Batch(NamedTuple):
    """Rows of one step on one device.

    Attributes:
        inputs: [batch, ...] as they lie in memory; a data module makes of them what networks read.
        target: [batch] class numbers.
        label_weight: [batch] 1 / labelled rows of the step on labelled rows, 0 elsewhere.
        row_weight: [batch] 1 / rows of the step.
        answers: [batch, classes] the teacher's stored log-probabilities, or None.
        teacher_inputs: [batch, ...] the rows as a live teacher reads them; None where there is no
            such teacher, or it reads `inputs`.
    """

    inputs: Tensor
    target: Tensor
    label_weight: Tensor
    row_weight: Tensor
    answers: Tensor | None
    teacher_inputs: Tensor | None


@dataclass(frozen=True)
class Rows:
    """Rows as tensors with a first dimension [rows].

    `inputs` may have fewer: then they repeat, as where many splits share one copy of the images.
    """

    inputs: Tensor
    target: Tensor
    labelled: Tensor
    answers: Tensor | None = None
    teacher_inputs: Tensor | None = None

    @staticmethod
    def joined(parts: Sequence[Rows]) -> Rows:
        """The rows of several parts, one after the other; inputs that all share are not copied."""
        if len(parts) == 1:
            return parts[0]
        columns: dict[str, Tensor | None] = {}
        for field in fields(Rows):
            values = [getattr(part, field.name) for part in parts]
            shared = field.name == "inputs" and _are_one(values)
            columns[field.name] = values[0] if values[0] is None or shared else torch.cat(values)
        return Rows(**columns)  # type: ignore[arg-type]

    def at(self, index: Tensor) -> Rows:
        """The rows numbered by `index`, of any shape."""
        flat = index.reshape(-1)  # five times faster than an index of two dimensions
        repeats = len(self.inputs) < len(self.target)

        def take(tensor: Tensor) -> Tensor:
            places = flat % len(tensor) if repeats and tensor is self.inputs else flat
            return tensor.index_select(0, places).view(*index.shape, *tensor.shape[1:])

        return self._each(take)

    def to(self, device: torch.device) -> Rows:
        """The rows on `device`."""
        return self._each(lambda tensor: tensor.to(device))

    def _each(self, change: Callable[[Tensor], Tensor]) -> Rows:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        changed = {name: v if v is None else change(v) for name, v in values.items()}
        return Rows(**changed)  # type: ignore[arg-type]


def _are_one(tensors: Sequence[Tensor]) -> bool:
    """Whether they are the same numbers in the same memory."""
    places = {(tensor.data_ptr(), tensor.shape, tensor.dtype) for tensor in tensors}
    return len(places) == 1


class Batches:
    """An iterable over one epoch's batches; a seed shuffles them anew each epoch.

    With several devices every rank walks through the same order and takes its share of each
    batch: no row is padded or seen twice, and the weights average over the whole step, times the
    number of ranks, since DDP divides gradients by it.

    Args:
        rows: All rows, on the device.
        batch_size: Rows of one step over all ranks.
        seed: Of the shuffle; None keeps the order.
        in_runs: Whether lists of up to `STEPS_A_RUN` batches are handed over.
        rank: This process.
        ranks: All processes.
        fewest: Rows below which a last batch is joined with the one before it.
        positions: [n] which rows are the part's, on the device; None is all.
        balanced: Whether the labelled rows of a batch are drawn, classes equally frequent.

    Attributes:
        draw: From an epoch to the part's inputs in it, where they are drawn anew; None where they
            are the rows'.
    """

    batch_sampler: ClassVar[None] = None  # Lightning asks for it wherever there is a `sampler`

    def __init__(
        self,
        rows: Rows,
        batch_size: int,
        seed: int | None = None,
        in_runs: bool = False,
        rank: int = 0,
        ranks: int = 1,
        fewest: int = 1,
        positions: Tensor | None = None,
        balanced: bool = False,
    ) -> None:
        self.rows, self.seed, self.in_runs, self.positions = rows, seed, in_runs, positions
        self.rank, self.ranks, self.epoch = rank, ranks, 0
        self.draw: Callable[[int], Tensor] | None = None
        self.count = len(rows.target) if positions is None else len(positions)
        self.sizes = batch_sizes(self.count, batch_size, fewest)
        of_batch = batch_size * rows.inputs[:1].nbytes
        self._run = (
            STEPS_A_RUN if in_runs else max(1, min(STEPS_A_RUN, GATHERED // max(1, of_batch)))
        )
        of_row = torch.tensor(self.sizes).repeat_interleave(torch.tensor(self.sizes))
        every = slice(None) if positions is None else positions
        known = known_classes(rows.target[every], rows.labelled[every]) if balanced else None
        self._classes = known
        self._row_weight = (ranks / of_row).to(rows.target.device)

    def redrawn(self, draw: Callable[[int], Tensor]) -> Batches:
        """The same with inputs [rows of the part, ...] that `draw` gives for an epoch."""
        made = copy.copy(self)
        if self.positions is not None:
            made.rows = self.rows.at(self.positions)
            made.positions = None
        made.draw = draw
        return made

    @property
    def sampler(self) -> Batches:
        """Lightning tells an epoch's number to `sampler.set_epoch`, on a resume too."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order comes next."""
        self.epoch = epoch

    def __len__(self) -> int:
        batches = len(self.sizes)
        return -(-batches // STEPS_A_RUN) if self.in_runs else batches

    def __iter__(self) -> Iterator[Batch | list[Batch]]:
        if self.draw is not None:
            inputs = self.draw(self.epoch).to(self.rows.target.device)
            self.rows = replace(self.rows, inputs=inputs)
        runs = [self.sizes[k : k + self._run] for k in range(0, len(self.sizes), self._run)]
        lengths = [sum(run) for run in runs]
        parts = torch.split(self._order(), lengths), torch.split(self._row_weight, lengths)
        for index, row_weight, sizes in zip(*parts, runs, strict=True):
            batches = self._cut(index, row_weight, sizes)
            if self.in_runs:
                yield batches
            else:
                yield from batches

    def _order(self) -> Tensor:
        count, device = self.count, self.rows.target.device
        if self.seed is None:
            return torch.arange(count, device=device) if self.positions is None else self.positions
        order = epoch_order(count, self.seed, self.epoch, self._classes).to(device)
        return order if self.positions is None else self.positions[order]

    def _cut(self, index: Tensor, row_weight: Tensor, sizes: list[int]) -> list[Batch]:
        """The batches of the rows numbered by `index`, gathered at once and cut apart."""
        rows = self.rows.at(index)
        columns = Batch(
            inputs=rows.inputs,
            target=rows.target,
            label_weight=self._label_weight(rows.labelled, sizes),
            row_weight=row_weight,
            answers=rows.answers,
            teacher_inputs=rows.teacher_inputs,
        )
        cuts = [self._mine(column, sizes) for column in columns]
        return [Batch(*parts) for parts in zip(*cuts, strict=True)]

    def _label_weight(self, labelled: Tensor, sizes: list[int]) -> Tensor:
        """[rows] 1 / labelled rows of the batch on labelled rows, times the ranks."""
        size = torch.tensor(sizes, device=labelled.device)
        batch = torch.repeat_interleave(size, output_size=len(labelled))
        count = torch.zeros(len(size), device=labelled.device).index_add_(0, batch, labelled)
        return labelled * (self.ranks / count.clamp(min=1))[batch]

    def _mine(self, column: Tensor | None, sizes: list[int]) -> Sequence[Tensor | None]:
        """This rank's share of each batch."""
        if column is None:
            return [None] * len(sizes)
        parts: Sequence[Tensor] = torch.split(column, sizes)
        return [part[self.rank :: self.ranks] for part in parts] if self.ranks > 1 else parts


def batch_size_for(rows: int, numbers: int = 1) -> int:
    """Rows of a step where nobody says: 64, doubled with every doubling of a table beyond 10,000.

    So an epoch takes 100 steps or so however many rows there are, up to 1,024 rows a step, and as
    far as memory goes.

    Args:
        rows: How many there are.
        numbers: In one of them.
    """
    size, most = SMALLEST_BATCH, min(LARGEST_BATCH, MOST_IN_A_BATCH // numbers)
    while rows > FEW_ROWS * size // SMALLEST_BATCH and 2 * size <= most:
        size *= 2
    return size


def patience_for(rows: int) -> int:
    """Epochs without a better one where nobody says: 20, halved with every doubling beyond 10,000.

    An epoch takes as many steps from there on, so 20 would wait for thousands; 5 at least.
    """
    return max(LEAST_PATIENCE, MOST_PATIENCE * SMALLEST_BATCH // batch_size_for(rows))


def batch_sizes(count: int, batch_size: int, fewest: int = 1) -> list[int]:
    """Rows of each batch of an epoch; a last one below `fewest` is joined with the one before."""
    sizes = [batch_size] * (count // batch_size)
    rest = count % batch_size
    if rest and sizes and rest < fewest:
        sizes[-1] += rest
    elif rest:
        sizes.append(rest)
    return sizes


def epoch_order(count: int, seed: int, epoch: int, classes: Tensor | None = None) -> Tensor:
    """Row numbers in the order of one epoch; `classes` of `known_classes` draws labelled ones."""
    order = shuffled(count, seed, epoch)
    return order if classes is None else _balanced(order, classes, seed, epoch)


def known_classes(target: Tensor, labelled: Tensor) -> Tensor:
    """[rows] class numbers, -1 where nobody labelled the row, on the CPU."""
    return torch.where(labelled > 0, target, -1).cpu()


def _balanced(order: Tensor, classes: Tensor, seed: int, epoch: int) -> Tensor:
    """The order with its labelled places filled anew: classes take turns, as whoever is next.

    Rows without a label stay where they are. Of a class no row comes again before all its others
    have come, so that a frequent one shows a part of its rows and a rare one repeats them.
    """
    generator = torch.Generator().manual_seed(derive(seed, "balanced", epoch))
    places = (classes[order] >= 0).nonzero().squeeze(1)
    there = torch.unique(classes[classes >= 0])
    rounds = torch.rand(-(-len(places) // len(there)), len(there), generator=generator)
    turns = there[rounds.argsort(dim=1)].flatten()[: len(places)]
    drawn = order.clone()
    for number in there.tolist():
        mine, own = places[turns == number], (classes == number).nonzero().squeeze(1)
        passes = [own[torch.randperm(len(own), generator=generator)]
                  for _ in range(-(-len(mine) // len(own)))]  # fmt: skip
        drawn[mine] = torch.cat([own[:0], *passes])[: len(mine)]
    return drawn


def shuffled(count: int, seed: int, epoch: int) -> Tensor:
    """Row numbers in the order of one epoch, drawn on the CPU: the same on every device."""
    generator = torch.Generator().manual_seed(derive(seed, "order", epoch))
    return torch.randperm(count, generator=generator)
