"""Batches whose labelled rows are drawn in balance."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from meddistill.data.batches import Batches, Rows
from meddistill.data.datamodule import CohortDataModule

TARGET = torch.tensor([0] * 60 + [1] * 6 + [2] * 24)


def rows(labelled=None):
    """Rows whose input is their number."""
    number = torch.arange(len(TARGET))
    known = torch.ones(len(TARGET)) if labelled is None else labelled.float()
    return Rows(number[:, None].float(), TARGET, known)


def epoch(number, size=15, seed=3, **more):
    batches = Batches(more.pop("of", rows()), size, seed, balanced=True, **more)
    batches.set_epoch(number)
    return list(batches)


def numbers(batches):
    return torch.cat([batch.inputs[:, 0] for batch in batches]).long()


def test_classes_are_equally_frequent_in_every_batch():
    for batch in epoch(0):
        assert (torch.bincount(batch.target, minlength=3) - 5).abs().max() <= 1
    assert torch.bincount(TARGET[numbers(epoch(1))]).tolist() == [30, 30, 30]


def test_a_rare_class_repeats_and_no_row_waits_for_another_to_come_twice():
    seen = torch.bincount(numbers(epoch(0)), minlength=len(TARGET))
    assert set(seen[TARGET == 1].tolist()) == {5}
    assert set(seen[TARGET == 0].tolist()) == {0, 1}


def test_an_epoch_draws_by_seed_and_number_alone():
    assert torch.equal(numbers(epoch(4)), numbers(epoch(4)))
    assert not torch.equal(numbers(epoch(4)), numbers(epoch(5)))
    assert not torch.equal(numbers(epoch(4)), numbers(epoch(4, seed=4)))


def test_unlabelled_rows_keep_their_places():
    known = torch.rand(len(TARGET), generator=torch.Generator().manual_seed(0)) < 0.4
    plain = Batches(rows(known), 15, 3)
    drawn = numbers(epoch(0, of=rows(known)))
    as_ever = numbers(plain)
    assert torch.equal(drawn[~known[as_ever]], as_ever[~known[as_ever]])
    assert known[drawn][known[as_ever]].all()
    for batch, own in zip(epoch(0, of=rows(known)), plain, strict=True):
        assert torch.equal(batch.label_weight > 0, own.label_weight > 0)


def test_ranks_share_each_batch():
    whole = numbers(epoch(2))
    shares = [epoch(2, rank=rank, ranks=2) for rank in (0, 1)]
    both = torch.cat(
        [torch.cat([a.inputs[:, 0], b.inputs[:, 0]]) for a, b in zip(*shares, strict=True)]
    )
    assert both.sort().values.tolist() == whole.sort().values.tolist()


def test_rows_drawn_again_are_training_rows_alone(cohort, split):
    data = CohortDataModule(cohort, split, labels=0.5).with_balance(True)
    known = split.train[data.labelled[split.train]]
    places = torch.tensor(split.train)
    for number in range(3):
        batches = data.train_dataloader()
        batches.set_epoch(number)
        drawn = set(batches._order().tolist())
        assert drawn <= set(split.train.tolist())
        assert drawn.isdisjoint(split.test)
        assert drawn.isdisjoint(split.validation)
        assert len(batches._order()) == len(places)
    assert set(known.tolist()) & drawn


def test_validation_and_test_rows_come_once_whatever_is_drawn(cohort, split):
    data = CohortDataModule(cohort, split).with_balance(True)
    for part, loader in (("validation", data.val_dataloader()), ("test", data.test_dataloader())):
        seen = torch.cat([batch.inputs for batch in loader])
        assert torch.equal(seen, data.rows.at(torch.from_numpy(split.part(part))).inputs)


@pytest.mark.parametrize("part", ["validation", "test"])
def test_counts_of_classes_are_of_labelled_training_rows_alone(part, cohort, split):
    plain = CohortDataModule(cohort, split, labels=0.5)
    target = cohort.target.copy()
    target[split.part(part)] = 1  # whatever is true of them
    other = CohortDataModule(replace(cohort, target=target), split, labels=0.5)
    own = cohort.target[split.train[plain.labelled[split.train]]]
    assert plain.class_counts.tolist() == np.bincount(own).tolist()
    assert other.class_counts.tolist() == plain.class_counts.tolist()
