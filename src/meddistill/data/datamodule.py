"""The one LightningDataModule, of teacher and student alike."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import lightning.pytorch as pl
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from meddistill.data.batches import Batch, Batches, Rows, batch_size_for
from meddistill.data.cohort import Cohort
from meddistill.data.fitting import fit_preprocessing
from meddistill.data.preprocessing import PREPROCESSING
from meddistill.data.split import Positions, Split
from meddistill.errors import SettingError, integer, number

LARGEST_EVALUATION_BATCH = 8192


class CohortDataModule(pl.LightningDataModule):
    """A cohort split, preprocessed by statistics of its training rows, and cut into batches.

    Args:
        cohort: All rows.
        split: Which row is where.
        labels: Share of training and validation rows whose labels are known here.
        batch_size: Rows of one training step; None goes by the number of the cohort's rows.
        seed: Of the shuffle.

    Attributes:
        in_shape: Shape of one row's inputs.
        num_classes: Number of classes.
        preprocessing: What was fitted on the training rows.
        labelled: [rows of the cohort] which have labels.
        train_rows: Positions among `rows` of the training part, the synthetic rows last.
        answers: [rows, classes] what a teacher answers for `rows`, or None.
        synthetic: [synthetic rows] prepared rows that were added to the training part, or None.
        in_runs: Whether training batches are handed over many at once, as lists.
        fewest_rows: Rows that a training batch has on each device at least, as batch norm needs.
    """

    def __init__(
        self,
        cohort: Cohort,
        split: Split,
        labels: float = 1.0,
        batch_size: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        number("labels", labels, above=0, at_most=1)
        size = batch_size_for(len(cohort.target)) if batch_size is None else batch_size
        integer("batch_size", size, at_least=1)
        integer("seed", seed)
        self.cohort, self.split = cohort, split
        self.batch_size, self.seed = size, seed
        self.num_classes = len(cohort.classes)
        group = None if cohort.group is None else cohort.group[split.train]
        self.preprocessing = fit_preprocessing(
            cohort.schema, cohort.cells.at(split.train), cohort.fewest, group
        )
        self.in_shape = (len(self.preprocessing.names),)
        self.labelled = split.labelled(cohort.target, labels)
        fitted = self.preprocessing
        self._inputs = Inputs(lambda: fitted.inputs(cohort.cells))
        self._target = torch.tensor(cohort.target)
        self._known = torch.from_numpy(self.labelled).float()
        self.answers: Tensor | None = None
        self._teacher_inputs: Tensor | None = None
        self.train_rows: Positions = split.train
        self.synthetic: pd.DataFrame | None = None
        self.in_runs, self.fewest_rows = False, 1

    def add(self, synthetic: pd.DataFrame) -> None:
        """Add unlabelled rows to the training part, after all others; once.

        A teacher that was put beside the rows is forgotten: it has not answered these.

        Args:
            synthetic: [synthetic rows] raw or prepared, for a teacher to answer.
        """
        first, count = len(self.cohort.target), len(synthetic)
        self.train_rows = np.concatenate([self.split.train, np.arange(first, first + count)])
        self.synthetic = synthetic
        make, fitted = self._inputs.make, self.preprocessing
        self._inputs = Inputs(lambda: np.concatenate([make(), fitted(synthetic)]))
        self._target = torch.cat([self._target, torch.zeros(count, dtype=torch.int64)])
        self._known = torch.cat([self._known, torch.zeros(count)])
        self.answers = self._teacher_inputs = None

    def teach(
        self, answers: NDArray[np.float32] | None, live_inputs: NDArray[np.float32] | None = None
    ) -> None:
        """Put a teacher beside the rows.

        Args:
            answers: [rows, classes] its stored log-probabilities for every row of the cohort, then
                for the synthetic ones.
            live_inputs: [rows, ...] the same rows as a live teacher reads them.
        """
        rows = len(self._target)
        self.answers, self._teacher_inputs = _tensor(answers, rows), _tensor(live_inputs, rows)

    def train_dataloader(self) -> Batches:
        """Shuffled batches of all training rows; unlabelled ones have label weight 0."""
        seed = None if getattr(self.trainer, "overfit_batches", 0) else self.seed
        return self._batches(self.train_rows, self.batch_size, seed, self.in_runs, self.fewest_rows)

    def val_dataloader(self) -> Batches:
        """The labelled validation rows, in order."""
        return self._batches(self.labelled_validation, self._evaluation_size("val"))

    def test_dataloader(self) -> Batches:
        """The test rows, in order."""
        return self._batches(self.split.test, self._evaluation_size("test"))

    def _evaluation_size(self, part: str) -> int:
        """Rows at once: as many as can be, unless the Trainer counts batches of the part."""
        limit = getattr(self.trainer, f"limit_{part}_batches", 1.0)
        counted = (isinstance(limit, int) and limit > 0) or 0 < limit < 1
        return self.batch_size if counted else LARGEST_EVALUATION_BATCH

    def transfer_batch_to_device(
        self, batch: Batch | list[Batch], device: torch.device, dataloader_idx: int
    ) -> Batch | list[Batch]:
        """The batch as it is: its tensors were cut on the device."""
        return batch

    @property
    def labelled_validation(self) -> Positions:
        """Positions of the labelled validation rows."""
        positions = self.split.validation
        known: Positions = positions[self.labelled[positions]]
        return known

    @property
    def log_loss_of_shares(self) -> float:
        """Validation log loss of who knows nothing but the shares of the training labels."""
        train = self.split.train[self.labelled[self.split.train]]
        counts = np.bincount(self.cohort.target[train], minlength=self.num_classes)
        seen = self.cohort.target[self.labelled_validation]
        shares = np.clip(counts / counts.sum(), np.finfo(np.float32).eps, 1.0)
        return float(-np.log(shares[seen]).mean())

    @property
    def rows(self) -> Rows:
        """All rows of the cohort, then the synthetic ones, on the CPU."""
        return Rows(self._inputs(), self._target, self._known, self.answers, self._teacher_inputs)

    @property
    def features(self) -> pd.DataFrame:
        """The prepared features of `rows`, in their order."""
        own = self.cohort.features
        return own if self.synthetic is None else pd.concat([own, self.synthetic])

    @property
    def inputs(self) -> Tensor:
        """[rows, *in_shape] Preprocessed inputs of all rows of the cohort, on the CPU."""
        return self._inputs()[: len(self.cohort.target)]

    @property
    def input_bytes(self) -> int:
        """Bytes of the inputs of all rows, by far the largest of what it holds."""
        return 4 * len(self._target) * math.prod(self.in_shape)

    def let_go(self) -> None:
        """Give the inputs' memory back; they are made anew, and the same, when asked for."""
        self._inputs.let_go()

    def save_preprocessing(self, folder: Path) -> None:
        """Write the fitted preprocessing into a model's folder."""
        self.preprocessing.save(folder / PREPROCESSING)

    def _batches(
        self,
        positions: Positions,
        size: int = LARGEST_EVALUATION_BATCH,
        seed: int | None = None,
        in_runs: bool = False,
        fewest: int = 1,
    ) -> Batches:
        rank, ranks, device = 0, 1, torch.device("cpu")
        if self.trainer is not None:
            rank, ranks = self.trainer.global_rank, self.trainer.world_size
            device = self.trainer.strategy.root_device
        if ranks > min(size, len(positions)):
            raise SettingError("trainer.devices", ranks, f"more than a batch's rows ({size})")
        rows = self.rows.at(torch.from_numpy(positions)).to(device)
        return Batches(rows, size, seed, in_runs, rank, ranks, fewest * ranks if fewest > 1 else 1)


class Inputs:
    """The inputs of rows, made when they are first asked for and kept until they are let go.

    Args:
        make: What makes them.
    """

    def __init__(self, make: Callable[[], NDArray[np.float32]]) -> None:
        self.make = make
        self._made: Tensor | None = None

    def __call__(self) -> Tensor:
        """[rows, *in_shape] float32."""
        if self._made is None:
            self._made = torch.from_numpy(self.make())
        return self._made

    def let_go(self) -> None:
        """Forget them, as long as nobody asks."""
        self._made = None


def _tensor(values: NDArray[np.float32] | None, rows: int) -> Tensor | None:
    if values is None:
        return None
    if len(values) != rows:
        raise ValueError(f"{len(values)} answers for {rows} rows")
    return torch.from_numpy(np.array(values, dtype=np.float32))
