"""Losses that say nothing about two classes are refused, and the shipped ones are not void."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from cases import make, node
from hydra.utils import get_class
from torch.nn import functional as F

from meddistill.config.confdir import choices, conf_dir
from meddistill.errors import UserError
from meddistill.losses import DistillationLoss, LossTerms, Step, reduce_terms
from meddistill.losses.base import Searched
from meddistill.losses.building import build_loss
from meddistill.losses.choice import check_loss, working_losses
from meddistill.losses.kd import KD

SHIPPED = sorted(
    file.stem for file in (conf_dir() / "loss").glob("*.yaml") if not file.stem.startswith("_")
)


class Others(DistillationLoss):
    """The divergence over the classes other than the true one: with two classes there is one."""

    min_classes = 3

    def forward(self, student_logits, target, teacher_log_probabilities):
        true = F.one_hot(target, student_logits.shape[-1]).bool()
        student = student_logits.masked_fill(true, -1e9).log_softmax(-1)
        teacher = teacher_log_probabilities.masked_fill(true, -1e9).log_softmax(-1)
        return LossTerms(
            teacher={
                "others": F.kl_div(student, teacher, log_target=True, reduction="none").sum(-1)
            }
        )


def largest_gradient(loss, classes):
    generator = torch.Generator().manual_seed(0)
    student = torch.randn(8, classes, generator=generator, requires_grad=True)
    teacher = torch.randn(8, classes, generator=generator).log_softmax(-1)
    weight = torch.full((8,), 1 / 8)
    maps = [answers.unsqueeze(1).tile(1, 3, 1) for answers in (student, teacher)]
    maps[0] = maps[0] * torch.rand(8, 3, 1, generator=generator)  # three positions of a layer
    read = [{"": features} for features in maps]
    step = Step(student, torch.arange(8) % classes, weight, teacher, *read)
    loss.connect(step, seed=0)
    terms = loss.of_step(step)
    (gradient,) = torch.autograd.grad(reduce_terms(terms, weight, weight), student)
    return gradient.abs().max().item()


def test_a_loss_void_for_two_classes_is_refused_for_two_and_names_those_that_work():
    assert largest_gradient(Others(), 2) < 1e-6, "the stand-in must be void for two classes"
    with pytest.raises(UserError) as caught:
        check_loss(Others(), 2)
    message = str(caught.value)
    assert message.startswith("loss=others needs at least 3 classes and the data have 2")
    named = message.split("losses that work: ")[1].split(", ")
    assert {"ce", "kd"} <= set(named) <= set(choices("loss"))


def test_a_loss_void_for_two_classes_is_taken_for_three():
    assert largest_gradient(Others(), 3) > 1e-3
    check_loss(Others(), 3)
    check_loss(Others(), 10)


def test_a_loss_that_needs_more_classes_is_not_named_as_one_that_works(monkeypatch):
    monkeypatch.setattr(KD, "min_classes", 3)
    assert "kd" not in working_losses(2)
    assert "ce" in working_losses(2)
    assert "kd" in working_losses(3)


def test_a_void_loss_is_refused_before_any_teacher_is_trained(meddistill, monkeypatch):
    monkeypatch.setattr(KD, "min_classes", 3)

    def find_targets(*_):
        raise AssertionError("the teacher's answers were asked for")

    monkeypatch.setattr("meddistill.teachers.teaching.find_targets", find_targets)
    code, _, err = meddistill("distill", "loss=kd")
    assert code == 2
    assert "loss=kd needs at least 3 classes" in err
    assert not Path("store").exists()


def test_a_void_loss_of_a_sweep_is_refused_before_any_teacher_is_trained(meddistill):
    code, _, err = meddistill("distill", "-m", "loss=dkd", "seed=0,1")
    assert code == 2
    assert "loss=dkd needs at least 3 classes and the data have 2" in err
    assert not Path("store").exists()


def shipped(name):
    """The loss of a choice; of one that is searched for, its last candidate."""
    loss = make(name)
    return build_loss(loss.node(loss.candidates()[-1])) if isinstance(loss, Searched) else loss


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_loss_has_a_gradient_wherever_it_is_taken(name):
    loss = shipped(name)
    for classes in (2, 3, 10):
        if classes >= loss.min_classes:
            assert largest_gradient(loss, classes) > 1e-3, classes


def test_cross_entropy_and_distillation_are_shipped_and_taken_for_two_classes():
    assert {"ce", "kd"} <= set(SHIPPED)
    for name in ("ce", "kd"):
        check_loss(make(name), 2)


@pytest.mark.parametrize("name", SHIPPED)
def test_every_choice_of_the_group_loss_is_a_loss_that_says_what_it_needs(name):
    loss = get_class(node(name)["_target_"])
    assert issubclass(loss, DistillationLoss)
    assert type(loss.min_classes) is int
    assert loss.min_classes >= 2
    assert type(loss.needs_teacher) is bool


@pytest.mark.parametrize("name", [name for name in SHIPPED if not make(name).needs_features])
def test_a_shipped_loss_reads_a_teacher_if_and_only_if_it_says_so(name):
    loss = shipped(name)
    student, target = torch.randn(4, 3), torch.arange(4) % 3
    if loss.needs_teacher:
        with pytest.raises(ValueError, match="teacher's answers"):
            loss(student, target, None)
    else:
        assert loss(student, target, None).label
        assert not loss(student, target, None).teacher
