"""The teacher is trusted less where it is wrong or unsure, on labelled rows alone."""

from __future__ import annotations

import math

import pytest
import torch

from meddistill.losses import Step
from meddistill.losses.kd import KD
from meddistill.losses.kd_trusted import KDTrusted

SAID = torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]])
TARGET = torch.tensor([0, 0, 0])


def step(labelled):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 2, generator=generator, requires_grad=True)
    return Step(logits, TARGET, torch.tensor(labelled), SAID.log())


def weights(loss, labelled=(1.0, 1.0, 1.0)):
    """What each row's teacher term was multiplied by."""
    given = step(labelled)
    plain = KD(2.0, 0.5).of_step(given).teacher["kd"]
    return (loss.of_step(given).teacher["kd"] / plain).tolist()


def test_a_teacher_that_is_wrong_about_a_row_counts_by_what_it_gave_the_label():
    assert weights(KDTrusted(2.0, 0.5, wrong=1.0)) == pytest.approx([0.9, 0.2, 0.5], abs=1e-6)
    assert weights(KDTrusted(2.0, 0.5, wrong=2.0)) == pytest.approx([0.81, 0.04, 0.25], abs=1e-6)


def test_a_teacher_that_is_unsure_counts_by_its_sureness():
    entropy = [-sum(p * math.log2(p) for p in (q, 1 - q)) for q in (0.9, 0.8, 0.5)]
    found = weights(KDTrusted(2.0, 0.5, wrong=0.0, unsure=1.0))
    assert found == pytest.approx([1 - h for h in entropy], abs=1e-6)


def test_a_row_without_a_label_is_taught_in_full():
    assert weights(KDTrusted(2.0, 0.5, wrong=1.0), (0.0, 1.0, 0.0)) == pytest.approx(
        [1.0, 0.2, 1.0], abs=1e-6
    )


def test_with_both_powers_at_zero_it_is_kd_to_the_last_bit():
    given = step((1.0, 1.0, 1.0))
    own, plain = KDTrusted(2.0, 0.5, wrong=0.0).of_step(given), KD(2.0, 0.5).of_step(given)
    assert torch.equal(own.teacher["kd"], plain.teacher["kd"])
    assert torch.equal(own.label["ce"], plain.label["ce"])


def test_members_of_a_stack_have_powers_of_their_own():
    one = step((1.0, 1.0, 1.0))
    parts = (one.logits, one.target, one.label_weight, one.teacher)
    many = Step(*(torch.stack([part, part]) for part in parts))
    powers = torch.tensor([0.0, 1.0])
    found = KDTrusted(2.0, 0.5, wrong=powers).of_step(many).teacher["kd"]
    for member, wrong in enumerate(powers.tolist()):
        alone = KDTrusted(2.0, 0.5, wrong=wrong).of_step(one).teacher["kd"]
        assert torch.allclose(found[member], alone)
