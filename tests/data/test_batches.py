"""Each row once an epoch, beside its own target and answer, on any number of devices."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from made_series import made_records
from meddistill.data.batches import (
    STEPS_A_RUN,
    Batches,
    Rows,
    batch_size_for,
    batch_sizes,
    patience_for,
)
from meddistill.data.images.records import ImageRecords
from meddistill.data.tables.breast_cancer import breast_cancer
from meddistill.losses.base import LossTerms, reduce_terms

ROWS, CLASSES = 23, 3


def rows_of(labelled=None, count=ROWS):
    """Rows whose input, target, answer and teacher's input all tell the row's number."""
    number = torch.arange(count)
    return Rows(
        inputs=torch.stack([number, -number], dim=1).float(),
        target=number % CLASSES,
        labelled=torch.ones(count) if labelled is None else torch.as_tensor(labelled).float(),
        answers=number[:, None] * 100.0 + torch.arange(CLASSES),
        teacher_inputs=number[:, None, None] + torch.zeros(count, 2, 2),
    )


def numbers(batches):
    """Row numbers in the order of an epoch."""
    return torch.cat([batch.inputs[:, 0] for batch in batches]).long().tolist()


def order(seed, epoch, rows=200):
    batches = Batches(rows_of(count=rows), 16, seed)
    batches.set_epoch(epoch)
    return numbers(batches)


def same(first, second):
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


# Order


@pytest.mark.parametrize("seed", [None, 0, 7])
@pytest.mark.parametrize("size", [1, 5, 23, 64])
def test_each_epoch_every_row_occurs_exactly_once(seed, size):
    batches = Batches(rows_of(), size, seed)
    for epoch in range(4):
        batches.set_epoch(epoch)
        assert sorted(numbers(batches)) == list(range(ROWS))
        assert [len(batch.target) for batch in batches] == (
            [size] * (ROWS // size) + [ROWS % size] * (ROWS % size > 0)
        )
        assert len(list(batches)) == len(batches)


def test_without_a_seed_the_order_is_kept_in_every_epoch():
    assert order(None, 0) == order(None, 3) == list(range(200))


def test_an_epochs_order_depends_on_seed_and_epoch_and_not_on_the_epochs_before():
    batches = Batches(rows_of(count=200), 16, seed=4)
    walked = []
    for epoch in range(6):
        batches.set_epoch(epoch)
        walked.append(numbers(batches))
    assert walked == [order(4, epoch) for epoch in range(6)]
    assert len(set(map(tuple, walked))) == 6


def test_an_epoch_repeated_has_the_same_order_whatever_torch_drew_meanwhile():
    first = order(4, 2)
    torch.manual_seed(1)
    torch.rand(10)
    assert order(4, 2) == first


def test_shuffling_draws_nothing_from_torchs_own_stream():
    torch.manual_seed(0)
    untouched = torch.rand(1)
    torch.manual_seed(0)
    order(4, 2)
    assert torch.rand(1) == untouched


def test_seeds_differ_and_zero_is_one_of_them():
    orders = [order(seed, 0) for seed in (0, 1, 2)]
    assert len(set(map(tuple, orders))) == 3
    assert order(0, 0) != order(None, 0)
    assert order(0, 1) != order(1, 0)


def test_lightning_finds_set_epoch_where_it_looks_for_it():
    batches = Batches(rows_of(), 4, seed=0)
    batches.sampler.set_epoch(3)
    assert batches.epoch == 3


# Alignment


@pytest.mark.parametrize(("rank", "ranks"), [(0, 1), (0, 2), (1, 2)])
@pytest.mark.parametrize("in_runs", [False, True])
def test_shuffling_never_parts_a_row_from_its_target_answer_and_label(rank, ranks, in_runs):
    labelled = torch.arange(ROWS) % 5 != 0
    batches = Batches(rows_of(labelled), 6, seed=0, in_runs=in_runs, rank=rank, ranks=ranks)
    for epoch in range(3):
        batches.set_epoch(epoch)
        for handed in batches:
            for batch in handed if in_runs else [handed]:
                number = batch.inputs[:, 0].long()
                assert torch.equal(batch.inputs[:, 1].long(), -number)
                assert torch.equal(batch.target, number % CLASSES)
                assert torch.equal(batch.label_weight > 0, labelled[number])
                assert torch.equal(batch.answers, number[:, None] * 100.0 + torch.arange(CLASSES))
                assert (batch.teacher_inputs == number[:, None, None]).all()


# Runs


@pytest.mark.parametrize("size", [1, 3, 100])
def test_runs_hand_over_the_same_batches(size):
    single = list(Batches(rows_of(count=100), size, seed=1))
    batches = Batches(rows_of(count=100), size, seed=1, in_runs=True)
    runs = list(batches)
    assert len(runs) == len(batches)
    assert [len(r) for r in runs[:-1]] == [STEPS_A_RUN] * (len(runs) - 1)
    flat = [batch for r in runs for batch in r]
    assert len(flat) == len(single) == -(-100 // size)
    assert all(same(a, b) for a, b in zip(flat, single, strict=True))


def test_a_last_batch_that_is_too_small_is_joined_with_the_one_before():
    assert batch_sizes(9, 4) == [4, 4, 1]
    assert batch_sizes(9, 4, fewest=2) == [4, 5]
    assert batch_sizes(10, 4, fewest=2) == [4, 4, 2]
    assert batch_sizes(8, 4, fewest=2) == [4, 4]
    assert batch_sizes(1, 4, fewest=2) == [1]  # there is none before
    (first, joined) = Batches(rows_of(count=9), 4, seed=0, fewest=2)
    assert (len(first.target), len(joined.target)) == (4, 5)
    assert joined.row_weight.tolist() == pytest.approx([1 / 5] * 5)


# Weights


def test_row_weights_average_over_the_rows_of_the_batch():
    for batch in Batches(rows_of(), 6, seed=0):
        assert batch.row_weight.tolist() == pytest.approx(
            [1 / len(batch.target)] * len(batch.target)
        )


def test_label_weights_are_zero_on_unlabelled_rows_and_average_over_labelled_ones():
    labelled = torch.arange(ROWS) % 4 == 1
    for batch in Batches(rows_of(labelled), 9, seed=0):
        mask = labelled[batch.inputs[:, 0].long()]
        assert mask.any()
        assert (batch.label_weight[~mask] == 0).all()
        values = torch.arange(len(mask)).float() ** 2
        assert (batch.label_weight * values).sum() == pytest.approx(values[mask].mean().item())


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_batch_without_any_labelled_row_has_zero_label_weights(ranks):
    labelled = torch.arange(ROWS) >= 10
    for rank in range(ranks):
        first, *others = Batches(rows_of(labelled), 10, rank=rank, ranks=ranks)
        assert first.label_weight.tolist() == [0] * (10 // ranks)
        assert first.row_weight.isfinite().all()
        assert all(batch.label_weight.isfinite().all() for batch in others)
        assert all((batch.label_weight > 0).all() for batch in others)


def loss(batch):
    """A label term and a teacher term that differ from row to row, weighted as in training."""
    logits = torch.sin(batch.inputs @ torch.tensor([[1.0, 2, 3], [0.5, -1, 0]]))
    label = cross_entropy(logits, batch.target, reduction="none")
    teacher = (logits - batch.answers / 1000).square().sum(-1)
    return reduce_terms(
        LossTerms({"label": label}, {"teacher": teacher}), batch.label_weight, batch.row_weight
    )


LABELLED = {
    "all": torch.ones(ROWS),
    "some": torch.arange(ROWS) % 4 == 1,
    "one": torch.arange(ROWS) == 11,
    "none": torch.zeros(ROWS),
}


@pytest.mark.parametrize("ranks", [2, 3])
@pytest.mark.parametrize("size", [4, 7, 11, 23])
def test_several_ranks_see_every_row_of_a_step_once(size, ranks):
    steps = [numbers([batch]) for batch in Batches(rows_of(), size, seed=3)]
    shares = [
        [numbers([batch]) for batch in Batches(rows_of(), size, seed=3, rank=rank, ranks=ranks)]
        for rank in range(ranks)
    ]
    for step, *parts in zip(steps, *shares, strict=True):
        assert sorted(row for part in parts for row in part) == sorted(step)
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("labelled", LABELLED.values(), ids=LABELLED)
@pytest.mark.parametrize("ranks", [2, 3])
@pytest.mark.parametrize("size", [4, 7, 23])
def test_the_mean_loss_over_ranks_is_that_of_a_single_process(size, ranks, labelled):
    single = [loss(batch) for batch in Batches(rows_of(labelled), size, seed=3)]
    shares = [
        [loss(b) for b in Batches(rows_of(labelled), size, seed=3, rank=rank, ranks=ranks)]
        for rank in range(ranks)
    ]
    together = torch.tensor(shares).sum(dim=0) / ranks
    torch.testing.assert_close(together, torch.stack(single))


def test_the_loss_of_a_step_is_the_plain_mean_over_its_rows():
    (batch,) = Batches(rows_of(), ROWS)
    logits = torch.sin(batch.inputs @ torch.tensor([[1.0, 2, 3], [0.5, -1, 0]]))
    teacher = (logits - batch.answers / 1000).square().sum(-1).mean()
    torch.testing.assert_close(loss(batch), cross_entropy(logits, batch.target) + teacher)


def test_the_default_batch_grows_with_the_table_and_is_64_on_small_ones():
    sizes = {569: 64, 10_000: 64, 10_001: 128, 20_000: 128, 101_766: 1024, 10**7: 1024}
    assert {rows: batch_size_for(rows) for rows in sizes} == sizes


def test_the_default_batch_of_large_pictures_stays_small_however_many_there_are():
    assert [batch_size_for(10**6, side**2) for side in (28, 64, 128, 224, 1024)] == [
        1024, 1024, 256, 64, 64,
    ]  # fmt: skip
    assert ImageRecords.of(np.zeros((2, 3, 12, 10), dtype=np.uint8)).row_size == 3 * 12 * 10
    assert made_records(steps=8).row_size == 8 * (1 + 3 + 2)  # time, variables, static columns
    assert breast_cancer().records.row_size == 1


@pytest.mark.parametrize(
    ("rows", "epochs"),
    [(500, 20), (10_000, 20), (20_000, 10), (20_001, 5), (101_766, 5), (10**7, 5)],
)
def test_patience_is_in_epochs_that_take_as_many_steps_on_any_large_table(rows, epochs):
    assert patience_for(rows) == epochs


# One copy


def test_parts_that_share_their_inputs_are_joined_to_rows_with_one_copy_of_them():
    one = rows_of()
    other = replace(one, target=one.target.flip(0), answers=-one.answers)
    joined = Rows.joined([one, other])
    assert joined.inputs.data_ptr() == one.inputs.data_ptr()
    assert len(joined.inputs) == ROWS
    assert len(joined.target) == len(joined.answers) == 2 * ROWS
    index = torch.tensor([[3, ROWS + 3], [0, 2 * ROWS - 1]])
    found = joined.at(index)
    assert found.inputs[..., 0].tolist() == [[3, 3], [0, ROWS - 1]]
    assert found.target.equal(torch.cat([one.target, other.target])[index])
    assert found.answers[0, 1].equal(-one.answers[3])
    assert found.teacher_inputs[..., 0, 0].tolist() == [[3, 3], [0, ROWS - 1]]


def test_parts_with_inputs_of_their_own_are_joined_one_after_the_other():
    one, other = rows_of(), rows_of()
    joined = Rows.joined([one, replace(other, inputs=-other.inputs)])
    assert joined.inputs.equal(torch.cat([one.inputs, -other.inputs]))
    assert joined.at(torch.tensor([ROWS + 2])).inputs[0].tolist() == [-2, 2]
    assert Rows.joined([one]) is one


def test_batches_of_rows_with_one_copy_are_those_of_each_part():
    one = rows_of()
    joined = Rows.joined([one, replace(one, target=one.target.flip(0))])
    second = Batches(joined, 5, seed=2, positions=torch.arange(ROWS, 2 * ROWS))
    alone = Batches(replace(one, target=one.target.flip(0)), 5, seed=2)
    for batch, expected in zip(second, alone, strict=True):
        assert batch.inputs.equal(expected.inputs)
        assert batch.target.equal(expected.target)
