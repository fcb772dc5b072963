"""What the distillation loss promises, against formulas worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from meddistill.data.batches import Batches, Rows
from meddistill.errors import SettingError, typed
from meddistill.losses import reduce_terms
from meddistill.losses.ce import CE
from meddistill.losses.kd import KD

ROWS = 12


def example(classes=3, rows=ROWS, spread=1.0, seed=0):
    """Student logits, class numbers and the teacher's log-probabilities."""
    generator = torch.Generator().manual_seed(seed)
    student = spread * torch.randn(rows, classes, generator=generator)
    teacher = spread * torch.randn(rows, classes, generator=generator)
    target = torch.arange(rows) % classes
    return student.requires_grad_(), target, teacher.log_softmax(-1)


def value(loss, student, target, teacher, labelled=None):
    """The loss of rows that are all labelled unless `labelled` says which."""
    labelled = torch.ones(len(target)) if labelled is None else labelled.float()
    weights = labelled / labelled.sum(), torch.full((len(target),), 1 / len(target))
    return reduce_terms(loss(student, target, teacher), *weights)


def value_and_gradient(loss, student, *rest, **more):
    free = student.detach().clone().requires_grad_()
    number = value(loss, free, *rest, **more)
    (gradient,) = torch.autograd.grad(number, free)
    return number.detach(), gradient


def softmax64(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def by_hand(student, target, teacher, temperature, alpha):
    """The formula of the paper in NumPy: a sum over classes, a mean over rows."""
    student, teacher = (np.asarray(x.detach(), dtype=np.float64) for x in (student, teacher))
    p, q = softmax64(teacher / temperature), softmax64(student / temperature)
    divergence = cross = 0.0
    for row in range(len(p)):
        for k in range(p.shape[1]):
            divergence += p[row, k] * (math.log(p[row, k]) - math.log(q[row, k]))
        cross -= math.log(softmax64(student)[row, int(target[row])])
    rows = len(p)
    return (1 - alpha) * cross / rows + alpha * temperature**2 * divergence / rows


# What alpha means


def test_at_alpha_zero_the_loss_is_the_students_cross_entropy_in_value_and_gradient():
    student, target, teacher = example()
    for temperature in (0.5, 1.0, 4.0, 30.0):
        number, gradient = value_and_gradient(KD(temperature, 0.0), student, target, teacher)
        alone, alone_gradient = value_and_gradient(CE(), student, target, teacher)
        assert torch.equal(number, alone)
        assert torch.equal(gradient, alone_gradient)
        torch_says = F.cross_entropy(student, target)
        assert number.item() == pytest.approx(torch_says.item(), abs=1e-6)
        assert torch.allclose(gradient, torch.autograd.grad(torch_says, student)[0], atol=1e-7)


def test_at_alpha_zero_the_teachers_answers_change_nothing():
    student, target, teacher = example()
    one = value_and_gradient(KD(4.0, 0.0), student, target, teacher)
    other = value_and_gradient(KD(4.0, 0.0), student, target, teacher.flip(-1))
    assert torch.equal(one[0], other[0])
    assert torch.equal(one[1], other[1])


def test_at_alpha_one_the_labels_change_nothing():
    student, target, teacher = example()
    one = value_and_gradient(KD(4.0, 1.0), student, target, teacher)
    other = value_and_gradient(KD(4.0, 1.0), student, target.roll(1), teacher)
    assert torch.equal(one[0], other[0])
    assert torch.equal(one[1], other[1])
    assert one[0].item() == pytest.approx(by_hand(student, target, teacher, 4.0, 1.0), rel=1e-5)


@pytest.mark.parametrize(("end", "near"), [(0.0, 1e-6), (1.0, 1 - 1e-6)])
def test_the_loss_is_continuous_at_both_ends_of_alpha(end, near):
    student, target, teacher = example()
    at, at_gradient = value_and_gradient(KD(4.0, end), student, target, teacher)
    beside, beside_gradient = value_and_gradient(KD(4.0, near), student, target, teacher)
    assert abs(at - beside) < 1e-4
    assert (at_gradient - beside_gradient).abs().max() < 1e-4


def test_alpha_weighs_the_teacher_and_its_complement_the_labels():
    student, target, teacher = example()
    labels, taught = (value(KD(3.0, end), student, target, teacher).item() for end in (0, 1))
    assert abs(labels - taught) > 0.1, "the ends must differ for this test to say much"
    mixed = value(KD(3.0, 0.25), student, target, teacher).item()
    assert mixed == pytest.approx(0.75 * labels + 0.25 * taught, rel=1e-5)


def test_a_loss_with_alpha_zero_does_not_distil():
    assert not KD(alpha=0.0).distils
    assert KD(alpha=1e-6).distils
    assert KD(alpha=torch.tensor([0.0, 0.5])).distils
    assert not KD(alpha=torch.zeros(2)).distils


# T squared


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_the_teachers_gradient_keeps_its_size_as_the_temperature_grows(classes):
    student, target, teacher = example(classes, spread=0.5)
    # Where T is large: (s - t) / classes, both centred, over the rows.
    centred = [x - x.mean(dim=1, keepdim=True) for x in (student.detach(), teacher)]
    limit = ((centred[0] - centred[1]) / (classes * ROWS)).norm().item()
    for temperature in (8.0, 16.0, 32.0):
        _, gradient = value_and_gradient(KD(temperature, 1.0), student, target, teacher)
        assert gradient.norm().item() == pytest.approx(limit, rel=0.04), temperature


# Sums and means


@pytest.mark.parametrize("classes", [2, 3, 10])
@pytest.mark.parametrize(("temperature", "alpha"), [(1.0, 1.0), (4.0, 1.0), (2.5, 0.3), (0.5, 0.7)])
def test_the_loss_is_summed_over_classes_and_averaged_over_rows(classes, temperature, alpha):
    student, target, teacher = example(classes, spread=2.0)
    number = value(KD(temperature, alpha), student, target, teacher).item()
    expected = by_hand(student, target, teacher, temperature, alpha)
    assert number == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("alpha", [0.0, 0.4, 1.0])
def test_a_batch_with_each_row_twice_has_the_same_loss(alpha):
    student, target, teacher = example()
    labelled = torch.tensor([1.0, 0.0, 1.0] * (ROWS // 3))
    losses = []
    for times in (1, 2):
        rows = Rows(
            inputs=student.detach().repeat(times, 1),
            target=target.repeat(times),
            labelled=labelled.repeat(times),
            answers=teacher.repeat(times, 1),
        )
        (batch,) = Batches(rows, batch_size=ROWS * times)
        terms = KD(3.0, alpha)(batch.inputs, batch.target, batch.answers)
        losses.append(reduce_terms(terms, batch.label_weight, batch.row_weight).item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


# Both sides tempered


@pytest.mark.parametrize("temperature", [1.0, 3.0, 8.0])
def test_at_alpha_one_the_best_student_has_the_teachers_probabilities(temperature):
    _, target, teacher = example(4, rows=5, spread=1.5)
    free = torch.zeros(5, 4, requires_grad=True)
    optimizer = torch.optim.LBFGS([free], max_iter=200, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = value(KD(temperature, 1.0), free, target, teacher)
        loss.backward()
        return loss

    optimizer.step(closure)
    learned, taught = free.detach().softmax(-1), teacher.exp()
    assert (taught - 0.25).abs().max() > 0.3, "the start must be far from the end"
    assert (learned - taught).abs().max() < 1e-3


@pytest.mark.parametrize("temperature", [1.0, 3.0, 8.0])
def test_a_teachers_log_probabilities_and_its_logits_give_the_same_loss(temperature):
    student, target, teacher = example()
    logits = teacher + torch.linspace(-5, 5, ROWS).unsqueeze(1)
    loss = KD(temperature, 0.6)
    one, one_gradient = value_and_gradient(loss, student, target, teacher)
    other, other_gradient = value_and_gradient(loss, student, target, logits)
    assert one.item() == pytest.approx(other.item(), abs=1e-5)
    assert torch.allclose(one_gradient, other_gradient, atol=1e-6)


# Half precision


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_half_precision_with_a_very_confident_teacher_is_finite_and_precise(dtype, temperature):
    student, target, _ = example()
    sure = torch.full((ROWS, 3), -150.0)
    sure[torch.arange(ROWS), target.roll(1)] = 150.0
    teacher = sure.log_softmax(-1)
    half = (student.detach() * 20).to(dtype)
    loss = KD(temperature, 0.5)
    number, gradient = value_and_gradient(loss, half, target, teacher)
    assert torch.isfinite(gradient).all()
    assert gradient.abs().sum() > 0
    exact, exact_gradient = value_and_gradient(loss, half.double(), target, teacher.double())
    assert number.item() == pytest.approx(exact.item(), rel=1e-5)
    assert torch.allclose(gradient.double(), exact_gradient, rtol=0.01, atol=1e-4)


def test_the_loss_is_finite_under_autocast():
    _, target, _ = example()
    network = torch.nn.Linear(4, 3)
    sure = (300.0 * F.one_hot(target, 3)).float().log_softmax(-1)
    inputs = torch.randn(ROWS, 4, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = network(inputs)
        number = value(KD(4.0, 0.5), logits, target, sure)
    number.backward()
    assert logits.dtype == torch.bfloat16
    assert number.dtype == torch.float64
    assert torch.isfinite(number)
    for parameter in network.parameters():
        assert torch.isfinite(parameter.grad).all()
        assert parameter.grad.abs().sum() > 0


# Logits in


def test_logits_go_into_the_cross_entropy_as_they_are():
    student, target, teacher = example(spread=5.0)
    once = F.cross_entropy(student, target).item()
    twice = F.cross_entropy(student.softmax(-1), target).item()
    assert abs(once - twice) > 0.1
    assert value(CE(), student, target, None).item() == pytest.approx(once, rel=1e-6)
    assert value(KD(4.0, 0.0), student, target, teacher).item() == pytest.approx(once, rel=1e-6)


@pytest.mark.parametrize("loss", [CE(), KD(4.0, 0.0), KD(4.0, 0.5), KD(4.0, 1.0)])
def test_every_rows_logits_get_a_gradient(loss):
    student, target, teacher = example()
    _, gradient = value_and_gradient(loss, student, target, teacher)
    assert (gradient.abs().sum(dim=1) > 1e-4).all()


# Settings


@pytest.mark.parametrize("wrong", [0, 0.0, -1.0, math.nan, math.inf, True, "4", None])
def test_a_temperature_out_of_range_is_refused_with_key_value_and_mend(wrong):
    with pytest.raises(SettingError) as caught:
        KD(temperature=wrong)
    assert caught.value.key == "temperature"
    assert str(caught.value) == f"temperature={typed(wrong)}: must be a number above 0"


@pytest.mark.parametrize("wrong", [-0.01, 1.01, math.nan, -math.inf, False, True, "0.5", None])
def test_an_alpha_out_of_range_is_refused_with_key_value_and_mend(wrong):
    with pytest.raises(SettingError) as caught:
        KD(alpha=wrong)
    assert caught.value.key == "alpha"
    assert str(caught.value) == f"alpha={typed(wrong)}: must be a number at least 0 and at most 1"


def test_the_ends_of_alpha_and_whole_numbers_are_allowed():
    assert (KD(4, 0).temperature, KD(4, 0).teacher_share, KD(4, 1).label_share) == (4.0, 0.0, 0.0)


def test_a_distillation_without_a_teachers_answers_is_refused():
    student, target, _ = example()
    with pytest.raises(ValueError, match="needs the teacher's answers"):
        KD()(student, target, None)


# Members


def stack():
    parts = [example(seed=seed, spread=2.0) for seed in range(3)]
    students, targets, teachers = (torch.stack(each) for each in zip(*parts, strict=True))
    return students.detach(), targets, teachers


def stacked_value_and_gradient(students, targets, teachers):
    temperatures, alphas = torch.tensor([1.0, 3.0, 8.0]), torch.tensor([0.0, 0.4, 1.0])
    free = students.clone().requires_grad_()
    weight = torch.full((ROWS,), 1 / ROWS)
    number = reduce_terms(KD(temperatures, alphas)(free, targets, teachers), weight, weight)
    (gradient,) = torch.autograd.grad(number, free)
    return number.item(), gradient


def test_a_stack_of_members_equals_its_members_one_by_one():
    students, targets, teachers = stack()
    number, gradient = stacked_value_and_gradient(students, targets, teachers)
    settings_of = [(1.0, 0.0), (3.0, 0.4), (8.0, 1.0)]
    alone = [
        value_and_gradient(KD(*each), students[k], targets[k], teachers[k])
        for k, each in enumerate(settings_of)
    ]
    assert number == pytest.approx(sum(one.item() for one, _ in alone), rel=1e-6)
    for member, (_, expected) in enumerate(alone):
        assert torch.allclose(gradient[member], expected, atol=1e-7), member


def test_a_members_gradient_depends_on_no_other_member():
    students, targets, teachers = stack()
    _, before = stacked_value_and_gradient(students, targets, teachers)
    students[1], teachers[1] = students[1].flip(-1) + 2.0, teachers[1].flip(-1)
    targets[1] = targets[1].roll(1)
    _, after = stacked_value_and_gradient(students, targets, teachers)
    assert not torch.allclose(before[1], after[1])
    assert torch.equal(before[[0, 2]], after[[0, 2]])


# Unlabelled rows

LABELLED = torch.tensor([True, False, False] * (ROWS // 3))


def test_cross_entropy_is_averaged_over_labelled_rows_only():
    student, target, teacher = example()
    expected = F.cross_entropy(student[LABELLED], target[LABELLED]).item()
    for loss in (CE(), KD(4.0, 0.0)):
        number = value(loss, student, target, teacher, LABELLED).item()
        assert number == pytest.approx(expected, rel=1e-6)


def test_the_teachers_term_is_averaged_over_all_rows_labelled_or_not():
    student, target, teacher = example()
    number = value(KD(4.0, 1.0), student, target, teacher, LABELLED).item()
    assert number == pytest.approx(by_hand(student, target, teacher, 4.0, 1.0), rel=1e-5)


def test_labels_of_unlabelled_rows_change_nothing():
    student, target, teacher = example()
    wrong = torch.where(LABELLED, target, (target + 1) % 3)
    one, gradient = value_and_gradient(KD(), student, target, teacher, labelled=LABELLED)
    other, other_gradient = value_and_gradient(KD(), student, wrong, teacher, labelled=LABELLED)
    assert torch.equal(one, other)
    assert torch.equal(gradient, other_gradient)


def test_a_batch_without_any_label_learns_from_the_teacher_alone():
    student, target, teacher = example()
    rows = Rows(student.detach(), target, torch.zeros(ROWS), teacher)
    (batch,) = Batches(rows, batch_size=ROWS)
    terms = KD(4.0, 0.5)(batch.inputs, batch.target, batch.answers)
    number = reduce_terms(terms, batch.label_weight, batch.row_weight).item()
    assert number == pytest.approx(0.5 * by_hand(student, target, teacher, 4.0, 1.0), rel=1e-5)


# Any numbers


@st.composite
def pairs(draw):
    """Logits of a student and a teacher for one row, in a range where float32 tells them apart."""
    classes = draw(st.integers(2, 5))
    logits = st.lists(st.floats(-2, 2, width=32), min_size=classes, max_size=classes)
    return torch.tensor([draw(logits)]), torch.tensor([draw(logits)])


@settings(max_examples=100, deadline=None)
@given(pairs(), st.floats(1, 5), st.floats(0, 1), st.floats(-4, 4))
def test_the_loss_is_never_negative_and_the_divergence_is_zero_for_equal_answers_only(
    pair, temperature, alpha, shift
):
    student, teacher = pair
    target = torch.tensor([0])
    assert value(KD(temperature, alpha), student, target, teacher).item() >= -1e-5
    divergence = KD(temperature, 1.0)(student, target, teacher).teacher["kd"].item()
    gap = (student - student.mean()) - (teacher - teacher.mean())
    if gap.abs().max() > 0.5:
        assert divergence > 1e-4
    same = KD(temperature, 1.0)(teacher + shift, target, teacher).teacher["kd"].item()
    assert abs(same) < 1e-5 * temperature**2
