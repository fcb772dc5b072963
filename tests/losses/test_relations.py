"""What the losses are to each other, and where each has its minimum."""

from __future__ import annotations

import pytest
import torch
from cases import MANY, ROWS, example, make, own, value, value_and_gradient
from formulas import least_nkd
from torch import nn

from meddistill.losses.dkd import DKD
from meddistill.losses.kd import KD
from meddistill.losses.logit_mse import LogitMSE
from meddistill.losses.margin import Margin
from meddistill.losses.soft_ce import SoftCE

EXACT = [KD(3.0, 1.0), SoftCE(3.0, 1.0), LogitMSE(1.0), DKD(3.0, 1.0, 2.0), Margin(0.5, 1.0)]


@pytest.mark.parametrize("loss", EXACT, ids=lambda loss: type(loss).__name__)
def test_at_alpha_one_the_best_student_has_the_teachers_probabilities(loss):
    _, target, teacher = example(3, rows=5)
    free = torch.zeros(5, 3, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([free], max_iter=300, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        number = value(loss, free, target, teacher)
        number.backward()
        return number

    optimizer.step(closure)
    assert (teacher.exp() - 1 / 3).abs().max() > 0.3, "the start must be far from the end"
    assert (free.detach().softmax(-1) - teacher.exp()).abs().max() < 1e-3


def test_nkd_is_least_where_the_student_is_sure_of_the_label_and_the_teacher_among_the_others():
    _, target, teacher = example(4)
    label = nn.functional.one_hot(target, 4)
    loss = make("nkd", alpha=1.0)
    least = least_nkd(teacher.double().numpy(), target.numpy(), **own("nkd"))
    at_teacher, sure = (value(loss, teacher + far * label, target, teacher) for far in (0, 40))
    assert sure.item() == pytest.approx(least, rel=1e-5)
    assert at_teacher > sure + 0.1
    _, gradient = value_and_gradient(loss, teacher + 40 * label, target, teacher)
    assert gradient.abs().max() < 1e-6


@pytest.mark.parametrize("classes", [2, MANY])
def test_cross_entropy_with_soft_targets_has_the_gradient_of_kd(classes):
    student, target, teacher = example(classes)
    one = value_and_gradient(SoftCE(3.0, 0.7), student, target, teacher)
    other = value_and_gradient(KD(3.0, 0.7), student, target, teacher)
    torch.testing.assert_close(one[1], other[1])
    assert one[0] > other[0] + 0.1


def test_kd_at_a_high_temperature_is_half_the_squared_error_of_logits():
    student, target, teacher = example(MANY)
    hot = value(KD(1e4, 1.0), student.double(), target, teacher.double()).item()
    assert value(LogitMSE(1.0), student, target, teacher).item() == pytest.approx(2 * hot, rel=1e-3)


def test_dkd_weighed_by_the_teachers_doubt_is_kd_on_labelled_rows():
    student, target, teacher = (x[:1] for x in example(4))
    doubt = 1 - (teacher / 2.0).softmax(-1)[0, target[0]].item()
    decoupled = value(DKD(2.0, 1.0, doubt), student, target, teacher).item()
    assert decoupled == pytest.approx(value(KD(2.0, 1.0), student, target, teacher).item())


def test_dkd_of_two_classes_is_kd_whatever_its_beta():
    student, target, teacher = example(2)
    for beta in (0.0, 8.0):
        decoupled = value_and_gradient(DKD(2.0, 1.0, beta), student, target, teacher)
        plain = value_and_gradient(KD(2.0, 1.0), student, target, teacher)
        torch.testing.assert_close(decoupled, plain)


def test_the_margin_of_two_classes_is_the_difference_of_their_logits():
    student, target, teacher = example(2)
    error = (student - teacher)[:, 1] - (student - teacher)[:, 0]
    huber = nn.functional.huber_loss(error, torch.zeros(ROWS), delta=0.7)
    assert value(Margin(0.7, 1.0), student, target, teacher).item() == pytest.approx(huber.item())


def test_a_row_far_out_pulls_by_no_more_than_delta():
    student, target, teacher = (x[:1] for x in example(2))
    for far in (20.0, 2000.0):
        _, gradient = value_and_gradient(Margin(0.7, 1.0), student + far * torch.tensor([0.0, 1.0]),
                                         target, teacher)  # fmt: skip
        torch.testing.assert_close(gradient, torch.tensor([[-0.7, 0.7]]))
