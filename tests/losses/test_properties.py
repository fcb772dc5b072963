"""What every shipped loss promises, by a glob over conf/loss; the formulas are in formulas.py."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cases import (
    MANY,
    NAMES,
    ROWS,
    TAUGHT,
    each_size,
    example,
    make,
    node,
    own,
    sizes,
    value,
    value_and_gradient,
)  # fmt: skip
from formulas import FORMULAS, OF_LABELLED_ROWS, cross_entropy, entropy_of_teacher
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from meddistill.losses.ce import CE

LEAST = {
    "soft_ce": lambda t, y, own: own["temperature"] ** 2 * entropy_of_teacher(t, own["temperature"])
}
"""Value at alpha = 1 where the student equals the teacher, where that is not 0."""

ELSEWHERE = {"nkd": "it wants the student sure of the label; see test_relations.py"}
"""Losses whose minimum at alpha = 1 is not where the student equals the teacher."""

# The formulas


@each_size(NAMES)
@pytest.mark.parametrize("alpha", [0.3, 1.0])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_loss_is_the_formula_of_its_paper(name, classes, alpha, seed):
    student, target, teacher = example(classes, seed=seed)
    labelled = torch.arange(ROWS) % 3 > 0
    changes = {"alpha": alpha} if name in TAUGHT else {}
    settings_of = {**own(name), **({"temperature": 1.7} if "temperature" in own(name) else {})}
    loss = make(name, label_smoothing=0.1, **changes, **settings_of)
    rows = [x.double().numpy() for x in (student, teacher)]
    y, known = target.numpy(), labelled.numpy()
    mine = known if name in OF_LABELLED_ROWS else np.ones(ROWS, bool)
    taught = FORMULAS[name](rows[0][mine], rows[1][mine], y[mine], **settings_of)
    share = alpha if name in TAUGHT else 0.0
    expected = (1 - share) * cross_entropy(rows[0][known], y[known], 0.1) + share * taught
    number = value(loss, student, target, teacher, labelled).item()
    assert number == pytest.approx(expected, rel=1e-5, abs=1e-9)


# The ends of alpha


@each_size(TAUGHT)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_at_alpha_zero_a_loss_is_exactly_the_student_alone(name, classes, smoothing):
    student, target, teacher = example(classes)
    loss = make(name, alpha=0.0, label_smoothing=smoothing)
    number, gradient = value_and_gradient(loss, student, target, teacher)
    alone, alone_gradient = value_and_gradient(CE(smoothing), student, target, None)
    assert torch.equal(number, alone)
    assert torch.equal(gradient, alone_gradient)
    assert not loss.distils
    assert make(name, alpha=0.01).distils


@each_size(TAUGHT)
def test_at_alpha_one_the_labels_term_has_no_weight(name, classes):
    student, target, teacher = example(classes)
    terms = make(name, alpha=1.0, label_smoothing=0.1)(student, target, teacher)
    assert not terms.label["ce"].any()
    assert any(term.any() for term in (*terms.label.values(), *terms.teacher.values()))


@each_size([name for name in TAUGHT if name not in ELSEWHERE])
def test_at_alpha_one_a_student_equal_to_the_teacher_has_the_least_loss(name, classes):
    _, target, teacher = example(classes)
    loss = make(name, alpha=1.0)
    shifted = teacher + torch.linspace(-3, 3, ROWS).unsqueeze(1)  # of no effect on probabilities
    number, gradient = value_and_gradient(loss, shifted.double(), target, teacher.double())
    least = LEAST.get(name, lambda *_: 0.0)(teacher.double().numpy(), target.numpy(), own(name))
    assert number.item() == pytest.approx(least, abs=1e-6)
    assert gradient.abs().max() < 1e-6


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), size=st.sampled_from([1e-2, 0.3, 3.0]))
def test_at_alpha_one_no_other_student_has_a_lower_loss_than_the_teacher(seed, size):
    for name in TAUGHT:
        if name in ELSEWHERE:
            continue
        classes = sizes(name)[seed % 2]
        away, target, teacher = example(classes, seed=seed)
        loss = make(name, alpha=1.0)
        at = value(loss, teacher.double(), target, teacher.double())
        beside = value(loss, teacher.double() + size * away, target, teacher.double())
        assert beside > at - 1e-9, name


# Gradients


@pytest.mark.parametrize("name", [name for name in TAUGHT if "temperature" in own(name)])
def test_the_teachers_gradient_keeps_its_size_as_the_temperature_grows(name):
    student, target, teacher = example(MANY, spread=0.5)
    norms = [
        value_and_gradient(make(name, alpha=1.0, temperature=t), student, target, teacher)[1].norm()
        for t in (8.0, 16.0, 64.0)
    ]
    assert norms[2] > 1e-3
    for norm in norms:
        assert norm.item() == pytest.approx(norms[2].item(), rel=0.1)


@each_size(TAUGHT)
def test_every_parameter_of_the_student_learns_and_none_of_the_teacher(name, classes):
    torch.manual_seed(0)
    student, teacher = (
        nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, classes)) for _ in range(2)
    )
    inputs, target = torch.randn(ROWS, 5), torch.arange(ROWS) % classes
    value(
        make(name, alpha=1.0), student(inputs), target, teacher(inputs).log_softmax(-1)
    ).backward()
    for parameter in student.parameters():
        assert parameter.grad.norm() > 1e-5
    assert all(parameter.grad is None for parameter in teacher.parameters())


LOGITS = st.sampled_from([0.0, 0.5, -2.0, 30.0, 1e4, -1e4])


@settings(max_examples=40, deadline=None)
@given(data=st.data(), rows=st.sampled_from([1, 2, 5]), dtype=st.sampled_from(["f", "bf"]))
def test_extreme_answers_constant_ones_and_single_rows_give_finite_losses(data, rows, dtype):
    for name in NAMES:
        classes = sizes(name)[0]
        drawn = st.lists(LOGITS, min_size=rows * classes, max_size=rows * classes)
        logits = torch.tensor(data.draw(drawn)).view(rows, classes)
        teacher = torch.tensor(data.draw(drawn)).view(rows, classes).softmax(-1).clamp(min=1e-6)
        student = logits.bfloat16() if dtype == "bf" else logits
        target = torch.arange(rows) % classes
        number, gradient = value_and_gradient(make(name), student, target, teacher.log())
        assert torch.isfinite(number), name
        assert torch.isfinite(gradient).all(), name


@each_size(NAMES)
def test_a_batch_of_equal_answers_gives_a_finite_loss(name, classes):
    target, same = torch.arange(ROWS) % classes, torch.zeros(ROWS, classes)
    _, _, other = example(classes)
    for student, teacher in ((same, other), (other, same), (same, same), (same + other[:1], other)):
        number, gradient = value_and_gradient(make(name), student, target, teacher)
        assert torch.isfinite(number)
        assert torch.isfinite(gradient).all()


@each_size(NAMES)
def test_a_loss_is_finite_and_precise_under_autocast(name, classes):
    _, target, teacher = example(classes, spread=4.0)
    network = nn.Linear(4, classes)
    inputs = torch.randn(ROWS, 4, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = 20 * network(inputs)
        number = value(make(name), logits, target, teacher)
    number.backward()
    assert logits.dtype == torch.bfloat16
    exact = value(make(name), logits.detach().double(), target, teacher.double())
    assert number.item() == pytest.approx(exact.item(), rel=1e-5)
    for parameter in network.parameters():
        assert torch.isfinite(parameter.grad).all()
        assert parameter.grad.norm() > 1e-4


# Rows


@each_size(NAMES)
def test_a_batch_with_each_row_twice_has_the_same_loss(name, classes):
    student, target, teacher = example(classes)
    labelled = torch.arange(ROWS) % 3 > 0
    one = value(make(name), student, target, teacher, labelled)
    twice = value(make(name), *(x.repeat(2, *[1] * (x.dim() - 1))
                                for x in (student, target, teacher, labelled)))  # fmt: skip
    torch.testing.assert_close(one, twice, rtol=1e-6, atol=0)


@each_size(NAMES)
def test_the_labels_of_unlabelled_rows_change_nothing(name, classes):
    student, target, teacher = example(classes)
    labelled = torch.arange(ROWS) % 3 > 0
    wrong = torch.where(labelled, target, (target + 1) % classes)
    one = value_and_gradient(make(name), student, target, teacher, labelled=labelled)
    other = value_and_gradient(make(name), student, wrong, teacher, labelled=labelled)
    assert torch.equal(one[0], other[0])
    assert torch.equal(one[1], other[1])


@each_size(NAMES)
def test_a_loss_relates_rows_if_and_only_if_it_says_so(name, classes):
    student, target, teacher = example(classes)
    loss = make(name)
    terms = loss(student, target, teacher)
    fewer = loss(student[: ROWS // 2], target[: ROWS // 2], teacher[: ROWS // 2])
    same = all(
        torch.allclose(term[: ROWS // 2], part)
        for term, part in zip(
            (*terms.label.values(), *terms.teacher.values()),
            (*fewer.label.values(), *fewer.teacher.values()),
            strict=True,
        )
    )
    assert same != loss.relates_rows


# Stacks


@pytest.mark.parametrize("name", NAMES)
def test_every_number_of_a_loss_may_be_a_members_own(name):
    numbers = {key for key, each in node(name).items() if isinstance(each, (int, float))}
    assert set(make(name).per_member) == numbers


@each_size(NAMES)
def test_a_member_of_a_stack_has_the_loss_it_has_alone(name, classes):
    both = [example(classes, seed=seed) for seed in (0, 1)]
    members = {key: [node(name)[key], node(name)[key] / 2] for key in make(name).per_member}
    members["label_smoothing"] = [0.0, 0.2]
    stacked = make(name)  # the class; Hydra would turn tensors into something else
    stacked = type(stacked)(**{key: torch.tensor(each) for key, each in members.items()})
    student, target, teacher = (torch.stack(each) for each in zip(*both, strict=True))
    number, gradient = value_and_gradient(stacked, student, target, teacher)
    total = 0.0
    for member, rest in enumerate(both):
        alone = make(name, **{key: each[member] for key, each in members.items()})
        one, one_gradient = value_and_gradient(alone, *rest)
        torch.testing.assert_close(gradient[member], one_gradient, rtol=1e-6, atol=1e-9)
        total += one
    torch.testing.assert_close(number, total, rtol=1e-9, atol=0)
