"""The one LightningDataModule, of teacher and student alike."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self, cast

import lightning.pytorch as pl
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from meddistill.data.batches import Batch, Batches, Rows, batch_size_for
from meddistill.data.cohort import Cohort
from meddistill.data.hiding import HiddenCells, Patterns, check_hidden
from meddistill.data.modalities import fit_preprocessing
from meddistill.data.preprocessing import PREPROCESSING, Preprocessing
from meddistill.data.records import Positions, Records
from meddistill.data.split import Split
from meddistill.data.streaming import RowReader, Source, StreamedBatches
from meddistill.errors import SettingError, UserError, integer, number

LAYOUTS = {
    "vector": "lists of numbers", "image": "images", "series": "series",
    "bands": "bands of columns",
}  # fmt: skip
"""What rows of a layout are, in words."""


class CohortDataModule(pl.LightningDataModule):
    """A cohort split, preprocessed by statistics of its training rows, and cut into batches.

    What it holds stays as it is: `with_answers` and the like return another one, which shares the
    inputs that are in memory.

    Args:
        cohort: All rows.
        split: Which row is where.
        labels: Share of training and validation rows whose labels are known here.
        batch_size: Rows of one training step; None goes by the number of the cohort's rows.
        seed: Of the shuffle.
        preprocessing: Config node of the preprocessing; empty is the usual one of such rows.
        view: A random augmentation of training rows [batch, ...] as they lie in memory, pixels as
            floats from 0 to 1; None is none. A live teacher reads what the student reads.
        key: Where `preprocessing` stands in the config, for messages.
        hide: Share of a training row's known cells that its network does not see, drawn anew each
            epoch; validation and test rows, and what a teacher reads, are as they are.

    Attributes:
        records: [rows] the cohort's, of which only the columns that the network reads are read.
        in_shape: Shape of one row as a network reads it.
        num_classes: Number of classes.
        preprocessing: What was fitted on the training rows.
        labelled: [rows of the cohort] which have labels.
        train_rows: Positions among `rows` of the training part, those of `unlabelled` last.
        answers: [rows, classes] what a teacher answers for `rows`, or None.
        unlabelled: Rows that were added to the training part, for a teacher to answer.
        in_runs: Whether training batches are handed over many at once, as lists.
        fewest_rows: Rows that a training batch has on each device at least, as batch norm needs.
        balanced: Whether the labelled rows of a training batch are drawn in balance.
    """

    def __init__(
        self,
        cohort: Cohort,
        split: Split,
        labels: float = 1.0,
        batch_size: int | None = None,
        seed: int = 0,
        preprocessing: Mapping[str, Any] | None = None,
        view: nn.Module | None = None,
        key: str = "preprocessing",
        hide: float = 0.0,
    ) -> None:
        super().__init__()
        number("labels", labels, above=0, at_most=1)
        usual = batch_size_for(len(cohort.target), cohort.records.row_size)
        size = usual if batch_size is None else batch_size
        integer("batch_size", size, at_least=1)
        integer("seed", seed)
        self.cohort, self.split = cohort, split
        self.batch_size, self.seed, self.view = size, seed, view
        self.num_classes = len(cohort.classes)
        self.labelled = split.labelled(cohort.target, labels)
        self.in_runs, self.fewest_rows, self.balanced, self.hide = False, 1, False, hide
        self.records: Records = cohort.records
        self._start(preprocessing or {}, key)

    def _start(self, node: Mapping[str, Any], key: str) -> None:
        """The cohort's rows alone, by a preprocessing fitted to them; there is no teacher yet."""
        self._target = torch.tensor(self.cohort.target)
        self._known = torch.from_numpy(self.labelled).float()
        self.train_rows: Positions = self.split.train
        self.unlabelled: tuple[Records, ...] = ()
        self.answers: Tensor | None = None
        self._fit(node, key)

    def _fit(self, node: Mapping[str, Any], key: str) -> None:
        """Fit a preprocessing to the training rows; no live teacher reads them yet."""
        cohort, split = self.cohort, self.split
        group = None if cohort.group is None else cohort.group[split.train]
        train = self.records.take(split.train)
        self.preprocessing = fit_preprocessing(node, train, cohort.fewest, group, key)
        self._method = node, key
        if self.hide:
            check_hidden(self.hide, train)
            Patterns(train.known).say(self.hide)
            self.preprocessing.hide = self.hide
        self.in_shape = self.preprocessing.in_shape
        self._inputs = self._inputs_by(self.preprocessing, self.records, self.unlabelled)
        self.live: Preprocessing | None = None
        self._teacher_inputs: Inputs | None = None

    def with_preprocessing(self, node: Mapping[str, Any], key: str) -> CohortDataModule:
        """The same rows by another preprocessing, without a teacher; an empty node changes nothing.

        Args:
            node: Config node of the preprocessing.
            key: Where it stands in the config, for messages.
        """
        return self._refitted(node, key) if node else self

    def with_usual_preprocessing(self) -> CohortDataModule:
        """The same rows by the usual preprocessing of their kind, without a teacher."""
        return self._refitted({}, "preprocessing")

    def _refitted(self, node: Mapping[str, Any], key: str) -> CohortDataModule:
        made = copy.copy(self)
        made._start(node, key)
        return made

    def with_columns(self, columns: Sequence[str] | None) -> Self:
        """The same rows and answers for a network that reads these columns alone; None is all.

        A live teacher is put beside them later.
        """
        whole = self.cohort.records
        records = whole if columns is None else whole.only(columns)
        if records is self.records:
            return self
        made = self._with(records=records)
        made._fit(*made._method)
        return made

    def check_layout(self, reads: str | None, key: str, name: str, group: str) -> None:
        """Refuse a component that reads rows of another layout.

        Args:
            reads: The layout that it reads; None reads any.
            key: The component's key in the config, for the message.
            name: Its name there.
            group: The group by which a preprocessing for it is chosen.

        Raises:
            SettingError: The rows are laid out otherwise.
        """
        layout = self.preprocessing.layout
        if reads not in (None, layout):
            raise SettingError(
                key, name, f"reads {LAYOUTS[str(reads)]}, and the rows here are {LAYOUTS[layout]}: "
                f"take another {key}, or a preprocessing that makes such of them ({group}=...)",
            )  # fmt: skip

    @property
    def added(self) -> dict[str, int]:
        """How many `unlabelled` rows of the cohort and `synthetic` rows a teacher alone answers."""
        own = self.cohort.unlabelled
        read = [len(each) for each in self.unlabelled if own is not None and each is own.records]
        every = sum(map(len, self.unlabelled))
        return {"unlabelled": sum(read), "synthetic": every - sum(read)}

    def with_unlabelled(self, more: Records) -> Self:
        """The same with rows that nobody labelled in the training part, after all others.

        A teacher that was put beside the rows is not there: it has not answered these.
        """
        first, count = len(self._target), len(more)
        unlabelled = (*self.unlabelled, more)
        return self._with(
            train_rows=np.concatenate([self.train_rows, np.arange(first, first + count)]),
            unlabelled=unlabelled,
            _inputs=self._inputs_by(self.preprocessing, self.records, unlabelled),
            _target=torch.cat([self._target, torch.zeros(count, dtype=torch.int64)]),
            _known=torch.cat([self._known, torch.zeros(count)]),
            answers=None, live=None, _teacher_inputs=None,
        )  # fmt: skip

    def with_answers(self, answers: NDArray[np.floating[Any]]) -> Self:
        """The same with a teacher's stored answers beside the rows.

        Args:
            answers: [rows, classes] its log-probabilities for every row of the cohort, then for
                those of `unlabelled`.
        """
        if len(answers) != len(self._target):
            raise ValueError(f"{len(answers)} answers for {len(self._target)} rows")
        kept = torch.from_numpy(np.array(answers, dtype=np.float32))
        return self._with(answers=kept, live=None, _teacher_inputs=None)

    def with_live_teacher(self, preprocessing: Preprocessing) -> Self:
        """The same with rows as a live teacher reads them, by its own preprocessing.

        Raises:
            UserError: There is a view, and the teacher reads other rows than the student.
        """
        own = self.preprocessing
        if preprocessing.form is not None and preprocessing.form == own.form:
            return self._with(answers=None, live=preprocessing, _teacher_inputs=None)
        if self.view is not None:
            raise UserError(
                "view: a view is one of the rows that both student and teacher read, and the "
                "teacher's preprocessing reads them otherwise than the student's: give both one "
                "(preprocessing, teacher.preprocessing), or take view=none"
            )
        read = preprocessing.read(self.cohort.records)
        inputs = self._inputs_by(preprocessing, read, self.unlabelled)
        return self._with(answers=None, live=preprocessing, _teacher_inputs=inputs)

    def with_seed(self, seed: int) -> Self:
        """The same in another order."""
        return self._with(seed=integer("seed", seed))

    def with_view(self, view: nn.Module | None) -> Self:
        """The same with training rows seen by another view, or as they are."""
        return self._with(view=view)

    def with_method(self, node: Mapping[str, Any], key: str, hide: float) -> CohortDataModule:
        """The same rows by another preprocessing and with another share hidden in training.

        They are without a teacher, unless nothing changes.
        """
        if (node, hide) == (self._method[0], self.hide):
            return self
        return self._with(hide=hide)._refitted(node, key)

    @property
    def hidden(self) -> HiddenCells | None:
        """What hides cells of the training rows; None where nothing does."""
        if not self.hide:
            return None
        more = [self.preprocessing.read(each) for each in self.unlabelled]
        parts = [self.records.take(self.split.train), *more]
        return HiddenCells(self.preprocessing, parts, self.hide)

    def with_balance(self, balanced: bool) -> Self:
        """The same with labelled training rows drawn so that classes are equally frequent."""
        return self._with(balanced=balanced)

    def with_batches(self, *, in_runs: bool | None = None, fewest_rows: int | None = None) -> Self:
        """The same with batches handed over in runs, or of so many rows at least."""
        changes = {"in_runs": in_runs, "fewest_rows": fewest_rows}
        return self._with(**{key: value for key, value in changes.items() if value is not None})

    def _with(self, **changes: Any) -> Self:
        changed = copy.copy(self)
        for name, value in changes.items():
            setattr(changed, name, value)
        return changed

    def train_dataloader(self) -> Batches | StreamedBatches:
        """Shuffled batches of all training rows; unlabelled ones have label weight 0."""
        seed = None if getattr(self.trainer, "overfit_batches", 0) else self.seed
        batches = self._batches(
            self.train_rows, self.batch_size, seed, self.in_runs, self.fewest_rows, self.balanced
        )
        hidden = self.hidden
        if hidden is None:
            return batches
        assert isinstance(batches, Batches)  # a table lies in memory
        return batches.redrawn(partial(hidden.inputs, self.seed))

    def val_dataloader(self) -> Batches | StreamedBatches:
        """The labelled validation rows, in order."""
        return self._batches(self.labelled_validation, self._evaluation_size("val"))

    def validation(self) -> Iterator[Batch]:
        """The labelled validation rows as networks read them, for who validates by himself."""
        for batch in self.val_dataloader():
            yield self.as_read(cast(Batch, batch))

    def test_dataloader(self) -> Batches | StreamedBatches:
        """The test rows, in order."""
        return self._batches(self.split.test, self._evaluation_size("test"))

    def _evaluation_size(self, part: str) -> int:
        """Rows at once: as many as can be, unless the Trainer counts batches of the part."""
        limit = getattr(self.trainer, f"limit_{part}_batches", 1.0)
        counted = (isinstance(limit, int) and limit > 0) or 0 < limit < 1
        return self.batch_size if counted else self.preprocessing.evaluation_rows

    def transfer_batch_to_device(
        self, batch: Batch | list[Batch], device: torch.device, dataloader_idx: int
    ) -> Batch | list[Batch]:
        """The batch as it is: its tensors were cut on the device."""
        return batch

    def on_after_batch_transfer(
        self, batch: Batch | list[Batch], dataloader_idx: int
    ) -> Batch | list[Batch]:
        """Rows as they lie in memory -> as networks read them, training ones by the view."""
        if isinstance(batch, list):
            return [self.as_read(each) for each in batch]
        view = self.view if self.trainer is not None and self.trainer.training else None
        read = self.as_read(batch, view)
        if self.trainer is not None and not self.in_runs:  # half precision, where it is all of it
            read = self.trainer.precision_plugin.convert_input(read)
        return read

    def as_read(self, batch: Batch, view: nn.Module | None = None) -> Batch:
        """A batch as networks read it: the teacher sees the very view that the student sees."""
        memory = batch.inputs if view is None else view(_as_floats(batch.inputs))
        inputs, teacher_inputs = self.preprocessing.front(memory), batch.teacher_inputs
        if self.live is not None:
            teacher_inputs = self.live.front(memory if teacher_inputs is None else teacher_inputs)
        return batch._replace(inputs=inputs, teacher_inputs=teacher_inputs)

    @property
    def labelled_train(self) -> Positions:
        """Positions of the labelled training rows."""
        return self._labelled_of(self.split.train)

    @property
    def labelled_validation(self) -> Positions:
        """Positions of the labelled validation rows."""
        return self._labelled_of(self.split.validation)

    def _labelled_of(self, positions: Positions) -> Positions:
        known: Positions = positions[self.labelled[positions]]
        return known

    @property
    def class_counts(self) -> NDArray[np.int64]:
        """[classes] how many labelled training rows there are of each."""
        return np.bincount(self.cohort.target[self.labelled_train], minlength=self.num_classes)

    @property
    def log_loss_of_shares(self) -> float:
        """Validation log loss of who knows nothing but the shares of the training labels."""
        counts = self.class_counts
        seen = self.cohort.target[self.labelled_validation]
        shares = np.clip(counts / counts.sum(), np.finfo(np.float32).eps, 1.0)
        return float(-np.log(shares[seen]).mean())

    @property
    def is_streamed(self) -> bool:
        """Whether rows are read from their files batch by batch."""
        return not all(each.in_memory for each in (self.cohort.records, *self.unlabelled))

    def _inputs_by(
        self, preprocessing: Preprocessing, records: Records, more: Sequence[Records]
    ) -> Inputs:
        """Inputs of the cohort's rows, then of further ones."""
        own = self.cohort.unlabelled
        shared = own is not None and len(more) == 1 and more[0] is own.records
        return Inputs(preprocessing, records, more, self.cohort.inputs if shared else None)

    @property
    def rows(self) -> Rows:
        """All rows of the cohort, then those of `unlabelled`, as they lie in memory, on the CPU.

        Of rows that are streamed, `inputs` are their numbers.
        """
        if self.is_streamed:
            return Rows(torch.arange(len(self._target)), self._target, self._known, self.answers)
        others = None if self._teacher_inputs is None else self._teacher_inputs()
        return Rows(self._inputs(), self._target, self._known, self.answers, others)

    def read_at(self, positions: Positions) -> Batch:
        """The rows at `positions` as networks read them, each with the same weight."""
        rows = self.rows.at(torch.from_numpy(positions))
        inputs, others = rows.inputs, rows.teacher_inputs
        if self.is_streamed:
            inputs, others = self._reader.read(positions)
        even = torch.full((len(positions),), 1 / max(1, len(positions)))
        return self.as_read(
            Batch(inputs, rows.target, rows.labelled * even, even, rows.answers, others)
        )

    def inputs_at(self, positions: Positions) -> NDArray[np.float32]:
        """[len(positions), *in_shape] rows as a network reads them."""
        inputs: NDArray[np.float32] = self.read_at(positions).inputs.numpy()
        return inputs

    def every_input(self) -> Iterator[Tensor]:
        """[part, *in_shape] all rows of the cohort as a network reads them, part by part."""
        positions, size = np.arange(len(self.cohort.target)), self.preprocessing.evaluation_rows
        for start in range(0, len(positions), size):
            yield self.read_at(positions[start : start + size]).inputs

    @torch.no_grad()
    def answers_of(self, network: nn.Module) -> Tensor:
        """[rows of the cohort, classes] what a network on the CPU answers."""
        return torch.cat([network(inputs) for inputs in self.every_input()])

    @property
    def input_bytes(self) -> int:
        """Bytes of the inputs of all rows, by far the largest of what it alone holds."""
        if self.preprocessing.form is not None:
            return 0  # all splits share one copy
        return 4 * len(self._target) * math.prod(self.in_shape)

    def let_go(self) -> None:
        """Give the inputs' memory back; they are made anew, and the same, when asked for."""
        self._inputs.let_go()

    def save_preprocessing(self, folder: Path) -> None:
        """Write the fitted preprocessing into a model's folder."""
        self.preprocessing.save(folder / PREPROCESSING)

    @property
    def _reader(self) -> RowReader:
        others = None if self._teacher_inputs is None else self._teacher_inputs.source
        return RowReader(self._inputs.source, others)

    def _batches(
        self,
        positions: Positions,
        size: int,
        seed: int | None = None,
        in_runs: bool = False,
        fewest: int = 1,
        balanced: bool = False,
    ) -> Batches | StreamedBatches:
        rank, ranks, device = 0, 1, torch.device("cpu")
        if self.trainer is not None:
            rank, ranks = self.trainer.global_rank, self.trainer.world_size
            device = self.trainer.strategy.root_device
        if ranks > min(size, len(positions)):
            raise SettingError("trainer.devices", ranks, f"more than a batch's rows ({size})")
        fewest = fewest * ranks if fewest > 1 else 1
        rows, places = self.rows, torch.from_numpy(positions)
        if device.type != "cpu":  # there it is a copy, of what is the part's alone
            rows, places = rows.at(places).to(device), torch.arange(len(places), device=device)
        batches = Batches(rows, size, seed, in_runs, rank, ranks, fewest, places, balanced)
        if not self.is_streamed:
            return batches
        return StreamedBatches(batches, self._reader, self.cohort.records.workers, device)


def _as_floats(inputs: Tensor) -> Tensor:
    """Pixels from 0 to 255 as floats from 0 to 1; what is a float stays as it is."""
    return inputs.float() / 255 if inputs.dtype == torch.uint8 else inputs


class Inputs:
    """Rows as they lie in memory, made when they are first asked for, kept until they are let go.

    Args:
        preprocessing: What makes them.
        records: The cohort's.
        more: Further ones, one after the other.
        shared: Where those of such rows are kept for all splits, by the form of a preprocessing of
            which nothing that was fitted decides them; None is nowhere.
    """

    def __init__(
        self,
        preprocessing: Preprocessing,
        records: Records,
        more: Sequence[Records],
        shared: dict[str, Tensor] | None = None,
    ) -> None:
        self.preprocessing, self.records, self.more = preprocessing, records, more
        self._shared = shared
        self._made: Tensor | None = None

    @property
    def source(self) -> Source:
        """The preprocessing, and all rows as it reads them."""
        read = self.preprocessing.read
        return self.preprocessing, [self.records, *(read(each) for each in self.more)]

    def __call__(self) -> Tensor:
        """[rows, ...]."""
        if self._made is None:
            form, shared = self.preprocessing.form, self._shared
            if form is None or shared is None:
                self._made = self._make()
            else:
                self._made = shared[form] = shared[form] if form in shared else self._make()
        return self._made

    def _make(self) -> Tensor:
        preprocessing, parts = self.source
        made = [preprocessing(records) for records in parts]
        return torch.from_numpy(np.concatenate(made) if self.more else made[0])

    def let_go(self) -> None:
        """Forget them, as long as nobody asks."""
        self._made = None
