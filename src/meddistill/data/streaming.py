"""Rows that are read from their files batch by batch, beside those that lie in memory.

The order of rows and their weights need row numbers alone: a streamed batch is an ordinary one
whose inputs are row numbers, until the reader has put in what the files say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from meddistill.data.batches import Batch, Batches
from meddistill.data.preprocessing import Preprocessing
from meddistill.data.records import Positions, Records

Source = tuple[Preprocessing, Sequence[Records]]
"""A preprocessing, and the rows that it reads: those of all parts, one after the other."""
Read = tuple[Tensor, Tensor | None]
"""Inputs of some rows, and what a live teacher reads where it reads them otherwise."""


class RowReader(Dataset[Read]):
    """Reads rows by number.

    Args:
        own: The student's preprocessing and the rows as it reads them.
        others: The same of a live teacher, or None.
    """

    def __init__(self, own: Source, others: Source | None) -> None:
        self.own, self.others = own, others

    def read(self, positions: Positions) -> Read:
        """Rows as they would lie in memory."""
        others = None if self.others is None else _read(self.others, positions)
        return _read(self.own, positions), others

    def __getitems__(self, positions: Sequence[int]) -> Read:
        return self.read(np.asarray(positions, dtype=np.int64))


def _read(source: Source, positions: Positions) -> Tensor:
    preprocessing, parts = source
    starts = np.cumsum([0, *map(len, parts)])
    part_of = np.searchsorted(starts, positions, side="right") - 1
    read, places = [], []
    for number in np.unique(part_of):
        mine = np.flatnonzero(part_of == number)
        read.append(preprocessing(parts[number].take(positions[mine] - starts[number])))
        places.append(mine)
    return torch.from_numpy(np.concatenate(read)[np.argsort(np.concatenate(places))])


class StreamedBatches:
    """Batches whose inputs are read by worker processes, in the order of `batches`.

    Args:
        batches: Of row numbers, on `device`.
        reader: What reads the rows; workers get a copy of it, which must hold no rows.
        workers: Processes that read ahead; 0 reads where training runs.
        device: Where inputs are taken to.
    """

    batch_sampler: ClassVar[None] = None  # Lightning asks for it wherever there is a `sampler`

    def __init__(
        self, batches: Batches, reader: RowReader, workers: int, device: torch.device
    ) -> None:
        self.batches, self.reader, self.workers, self.device = batches, reader, workers, device

    @property
    def sampler(self) -> Batches:
        """Lightning tells an epoch's number to `sampler.set_epoch`, on a resume too."""
        return self.batches

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Batch]:
        batches: list[Any] = list(self.batches)
        on_gpu = self.device.type == "cuda"
        loader: DataLoader[Any] = DataLoader(
            self.reader,
            batch_sampler=[batch.inputs.tolist() for batch in batches],
            num_workers=self.workers,
            collate_fn=_as_it_is,  # one `Read`, not a list: `__getitems__` reads a batch at once
            pin_memory=on_gpu,
            generator=torch.Generator(),  # workers' seeds: not of the numbers that training draws
        )
        for batch, read in zip(batches, loader, strict=True):
            inputs, others = (
                each if each is None else each.to(self.device, non_blocking=on_gpu) for each in read
            )
            yield batch._replace(inputs=inputs, teacher_inputs=others)


def _as_it_is(read: Any) -> Any:
    return read
