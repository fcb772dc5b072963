"""Rows that are read from files batch by batch are those that would lie in memory."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch.loggers import CSVLogger
from torch import nn

from meddistill.data.cohort import Cohort, number_rows
from meddistill.data.datamodule import CohortDataModule
from meddistill.data.preprocessing import Preprocessing
from meddistill.data.records import Records
from meddistill.data.split import split_cohort
from meddistill.inference.card import Card
from meddistill.inference.network import MeanOfProbabilities, NetworkModel
from meddistill.losses.kd import KD
from meddistill.training.distiller import Distiller
from meddistill.training.fit import fit

ROWS, PIXELS = 60, 4


class Files(Records):
    """A file of pixels a row; `in_memory` says whether they are read once or batch by batch."""

    kind = "files"

    def __init__(self, folder, numbers, in_memory, workers=0):
        self.folder, self.numbers, self.workers = Path(folder), np.asarray(numbers), workers
        self._in_memory = in_memory

    def __len__(self):
        return len(self.numbers)

    def take(self, positions):
        return Files(self.folder, self.numbers[positions], self._in_memory, self.workers)

    def hashes(self):
        return np.array([hash(self.read(n).tobytes()) & 0xFFFF_FFFF for n in self.numbers], "u8")

    def read(self, number):
        return np.load(self.folder / f"{number}.npy")

    @property
    def spec(self):
        return {}

    def raw(self):
        return self

    def describe(self):
        return f"{PIXELS} pixels"

    @property
    def in_memory(self):
        return self._in_memory


class Pixels(Preprocessing):
    """Bytes in memory, and `scale` times them for a network; says who read how many rows."""

    layout, in_shape, form = "vector", (PIXELS,), None

    def __init__(self, scale=1 / 255):
        self.scale, self.read_by = scale, []

    def read(self, raw):
        return raw

    def __call__(self, records):
        self.read_by.append((os.getpid(), len(records)))
        return np.stack([records.read(number) for number in records.numbers])

    def front(self, inputs):
        return inputs.float() * self.scale

    def probe(self):
        raise NotImplementedError

    def describe(self):
        return "files"

    learned = "nothing"

    def save(self, path):
        raise NotImplementedError


class Bytes:
    """The preprocessing of a config node."""

    reads = "files"

    def fit(self, records, fewest, group):
        return Pixels()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("files")
    random = np.random.default_rng(0)
    for number in range(ROWS):
        np.save(place / f"{number}.npy", random.integers(0, 256, PIXELS, dtype=np.uint8))
    return place


@pytest.fixture
def module(folder):
    """From `in_memory` and workers to rows of files with a teacher's answers beside them."""

    def made(in_memory, workers=0, live=False):
        records = Files(folder, range(ROWS), in_memory, workers)
        target = np.arange(ROWS) % 2
        cohort = Cohort("files", records, target, ("no", "yes"), number_rows(ROWS))
        node = {"_target_": f"{__name__}.Bytes"}
        data = CohortDataModule(cohort, split_cohort(cohort), 0.5, 7, preprocessing=node)
        if live:
            return data.with_live_teacher(Pixels(scale=2.0))
        answers = np.random.default_rng(1).normal(size=(ROWS, 2))
        return data.with_answers(answers)

    return made


def assert_same(streamed, kept):
    assert len(streamed) == len(kept) > 0
    for one, other in zip(streamed, kept, strict=True):
        for own, expected in zip(one, other, strict=True):
            assert own is expected is None or torch.equal(own, expected)


@pytest.mark.parametrize("workers", [0, 2])
def test_streamed_batches_are_those_of_memory_row_for_row_and_weight_for_weight(module, workers):
    streamed, kept = module(False, workers), module(True)
    assert streamed.is_streamed
    for name in ("train", "val", "test"):
        loaders = [getattr(data, f"{name}_dataloader")() for data in (streamed, kept)]
        assert len(loaders[0]) == len(loaders[1])
        assert_same(*map(list, loaders))
    train = [streamed.train_dataloader(), kept.train_dataloader()]
    first = list(train[0])
    for loader in train:
        loader.sampler.set_epoch(3)  # as Lightning does where a fit goes on
    assert_same(*map(list, train))
    assert not next(iter(train[0])).inputs.equal(first[0].inputs)


def test_a_live_teacher_reads_streamed_rows_in_its_own_way(module):
    streamed, kept = module(False, live=True), module(True, live=True)
    assert_same(list(streamed.train_dataloader()), list(kept.train_dataloader()))
    batch = streamed.read_at(np.arange(3))
    assert batch.teacher_inputs.equal(kept.read_at(np.arange(3)).teacher_inputs)
    torch.testing.assert_close(batch.teacher_inputs, batch.inputs * 2 * 255)


def test_no_more_rows_than_a_batch_are_read_at_once(module):
    data = module(False)
    list(data.train_dataloader())
    read = data.preprocessing.read_by
    assert max(count for _, count in read) == data.batch_size
    assert sum(count for _, count in read) == len(data.split.train)


def test_rows_in_memory_are_read_once_and_by_all_parts_together(module):
    data = module(True)
    for name in ("train", "val", "test"):
        list(getattr(data, f"{name}_dataloader")())
    assert [count for _, count in data.preprocessing.read_by] == [ROWS]


def test_rows_are_read_at_positions_and_all_of_them_as_from_memory(module):
    streamed, kept = module(False), module(True)
    positions = np.array([7, 3, 50])
    assert_same([streamed.read_at(positions)], [kept.read_at(positions)])
    network = nn.Linear(PIXELS, 2)
    assert streamed.answers_of(network).equal(kept.answers_of(network))
    assert streamed.log_loss_of_shares == kept.log_loss_of_shares


def test_streaming_draws_none_of_trainings_random_numbers(module):
    torch.manual_seed(0)
    untouched = torch.rand(1)
    torch.manual_seed(0)
    list(module(False).train_dataloader())
    assert torch.rand(1).equal(untouched)


def test_a_model_answers_rows_of_files_part_by_part(module, monkeypatch):
    data = module(False)
    network = MeanOfProbabilities([nn.Linear(PIXELS, 2)])
    card = Card.of({}, [], data)
    model = NetworkModel(card, network, Pixels())
    whole = model.answer(model.prepare(data.cohort.records))
    monkeypatch.setattr(Pixels, "evaluation_rows", 8)
    model.preprocessing.read_by.clear()
    np.testing.assert_allclose(model.log_probabilities(data.cohort.records), whole, atol=1e-12)
    assert [count for _, count in model.preprocessing.read_by] == [8] * 7 + [4]


class StoppedError(Exception):
    """A kill, as far as one process can play it."""


class KillingLogger(CSVLogger):
    """Ends the fit in an epoch."""

    def log_metrics(self, metrics, step=None):
        if metrics["epoch"] == 2:
            raise StoppedError


def test_a_student_of_streamed_rows_is_that_of_memory_bit_for_bit_also_when_it_goes_on(
    module, tmp_path, adam, trainer_settings
):
    settings = {**trainer_settings, "max_epochs": 4}

    def trained(data, folder, **options):
        torch.manual_seed(0)
        network = nn.Linear(PIXELS, 2)
        fit(Distiller(network, 2, adam, KD()), data, folder, settings, save_seconds=0, **options)
        return network.weight

    kept, streamed = (trained(module(m), tmp_path / str(m)) for m in (True, False))
    assert streamed.equal(kept)
    with pytest.raises(StoppedError):
        trained(module(False), tmp_path / "killed", loggers=[KillingLogger(tmp_path)])
    assert trained(module(False), tmp_path / "killed").equal(kept)
