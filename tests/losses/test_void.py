"""Two classes: which losses are refused, and that those are void and the others are not."""

from __future__ import annotations

import pytest
import torch
from cases import NAMES, VOID, example, make

from meddistill.config.confdir import choices
from meddistill.errors import UserError
from meddistill.losses.choice import check_loss
from meddistill.losses.combined import Combined

VOID_TERMS = {
    "dkd": {"other_classes"},
    "dist": {"inter_class"},
    "nkd": {"other_classes"},
    "logit_standardization": {"logit_standardization"},
}
"""Terms without a gradient at two classes, of the losses that are refused there."""


def term_gradients(loss, classes):
    student, target, teacher = example(classes, rows=64)
    free = student.requires_grad_()
    terms = loss(free, target, teacher)
    return {
        name: torch.autograd.grad(term.mean(), free, retain_graph=True)[0].norm().item()
        for name, term in {**terms.label, **terms.teacher}.items()
    }


@pytest.mark.parametrize("name", VOID)
def test_a_loss_refused_for_two_classes_has_no_gradient_of_its_own_there(name):
    loss = make(name)
    for term in VOID_TERMS[name]:
        assert term_gradients(loss, 2)[term] < 1e-9
        assert term_gradients(loss, loss.min_classes)[term] > 1e-2


@pytest.mark.parametrize("name", [name for name in NAMES if name not in VOID])
def test_a_loss_taken_for_two_classes_has_a_gradient_in_every_term_there(name):
    for term, norm in term_gradients(make(name), 2).items():
        assert norm > 1e-2, term


def test_a_combination_is_refused_for_what_is_void_in_it():
    loss = Combined({"kd": make("kd"), "other": make("dkd")})
    with pytest.raises(UserError) as caught:
        check_loss(loss, 2)
    assert f"where its losses.other says nothing of its own: {make('dkd').void}" in str(
        caught.value
    )
    assert "combined" not in str(caught.value).split("losses that work: ")[1]


@pytest.mark.parametrize("name", VOID)
def test_a_void_loss_is_refused_by_its_choice_with_the_reason_and_the_losses_that_fit(name):
    loss = make(name)
    with pytest.raises(UserError) as caught:
        check_loss(loss, 2)
    message = str(caught.value)
    assert message.startswith(f"loss={name} needs at least 3 classes and the data have 2, where ")
    assert loss.void in message
    fitting = set(message.split("losses that work: ")[1].split(", "))
    assert fitting.isdisjoint(VOID)
    assert {"margin", "ranking", "kd"} <= fitting <= set(choices("loss"))
    check_loss(loss, 3)
