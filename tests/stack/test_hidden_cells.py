"""Members of a stack that hide cells see the very cells that each would see alone."""

from __future__ import annotations

import torch

from meddistill.stack.rows import MemberRows
from stack_and_alone import MEMBERS, assert_members_as_alone, recipe, taught


def tables(cohort):
    return [taught(cohort, split_seed, hide=0.4) for split_seed in (0, 1)]


def test_a_members_batches_are_its_own_to_the_last_bit(cohort):
    data = tables(cohort)
    rows = MemberRows(data, [0, 1, 1, 1], [5, 5, 7, 7])
    for epoch in (0, 3):
        steps = [rows.batch(index) for index in rows.epoch(epoch)]
        for member, (table, seed) in enumerate(((0, 5), (1, 5), (1, 7), (1, 7))):
            loader = data[table].with_seed(seed).train_dataloader()
            loader.set_epoch(epoch)
            for alone, stacked in zip(loader, steps, strict=True):
                assert torch.equal(alone.inputs, stacked.inputs[member])
                assert torch.equal(alone.target, stacked.target[member])
                assert torch.equal(alone.answers, stacked.answers[member])
    rows = rows.of(torch.tensor([2]))  # the others have left the stack
    left = rows.batch(rows.epoch(3)[0])
    loader.set_epoch(3)
    assert torch.equal(left.inputs[0], next(iter(loader)).inputs)


def test_members_that_hide_cells_equal_students_trained_alone(cohort, tmp_path):
    made = recipe(patience=2, max_epochs=5)
    assert_members_as_alone(made, MEMBERS[2:4], tables(cohort), tmp_path)
