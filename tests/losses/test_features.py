"""Losses of features: their formulas, their projectors, and what they refuse."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from conftest import SMALL_TEACHER
from meddistill.errors import SettingError
from meddistill.inference.network import MeanOfProbabilities
from meddistill.losses import Step, reduce_terms
from meddistill.losses.attention_transfer import AttentionTransfer
from meddistill.losses.combined import Combined
from meddistill.losses.crd import CRD
from meddistill.losses.fitnets import FitNets
from meddistill.losses.kd import KD
from meddistill.losses.rkd import RKD
from meddistill.losses.similarity import Similarity
from meddistill.models.mlp import MLP
from meddistill.training.taps import LAST, Taps, tapped

ROWS = 6


def some_features(size=4, seed=0, shape=None):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*(shape or (ROWS, size)), generator=generator).requires_grad_()


def huber(x):
    return np.where(np.abs(x) < 1, 0.5 * x**2, np.abs(x) - 0.5)


def similarity_by_hand(s, t):
    found = np.zeros(len(s))
    for i in range(len(s)):
        own, others = (np.array([x[i] @ x[j] for j in range(len(x))]) for x in (s, t))
        found[i] = ((own / np.linalg.norm(own) - others / np.linalg.norm(others)) ** 2).sum()
    return found


def distances_by_hand(x):
    apart = np.array([[np.linalg.norm(a - b) for b in x] for a in x])
    return apart / apart[apart > 0].mean()


def angles_by_hand(x):
    n, found = len(x), np.zeros((len(x),) * 3)
    for i in range(n):
        for j in range(n):
            for k in range(n):
                if i not in (j, k):
                    a, b = x[j] - x[i], x[k] - x[i]
                    found[i, j, k] = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    return found


def rkd_by_hand(s, t):
    distance = huber(distances_by_hand(s) - distances_by_hand(t)).mean(axis=1)
    angle = huber(angles_by_hand(s) - angles_by_hand(t)).mean(axis=(1, 2))
    return distance + 2 * angle


def attention_by_hand(s, t):
    own, others = ((x**2).mean(axis=1).reshape(len(x), -1) for x in (s, t))
    own, others = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (own, others))
    return ((own - others) ** 2).sum(axis=1)


@pytest.mark.parametrize(
    ("loss", "by_hand", "sizes"),
    [
        (Similarity(), similarity_by_hand, ((ROWS, 4), (ROWS, 7))),
        (RKD(), rkd_by_hand, ((ROWS, 4), (ROWS, 7))),
        (AttentionTransfer(), attention_by_hand, ((ROWS, 2, 3, 3), (ROWS, 5, 3, 3))),
    ],
    ids=["similarity", "rkd", "attention_transfer"],
)
def test_a_row_counts_what_the_paper_says(loss, by_hand, sizes):
    student, teacher = (some_features(shape=size, seed=k) for k, size in enumerate(sizes))
    expected = by_hand(student.detach().double().numpy(), teacher.detach().double().numpy())
    assert loss.compare(student, teacher).detach().numpy() == pytest.approx(expected, abs=1e-5)


def test_fitnets_and_crd_read_the_student_through_their_projectors():
    student, teacher = some_features(4), some_features(7, seed=1)
    fitnets, crd = FitNets(), CRD(size=3, tau=0.5)
    for loss in (fitnets, crd):
        loss.fit_sizes(student, teacher)
    projected = fitnets.projector(student)
    assert torch.allclose(fitnets.compare(student, teacher), (projected - teacher).square().mean(1))
    own, others = crd.own(student).detach().numpy(), crd.others(teacher).detach().numpy()
    for row in range(ROWS):
        cosines = [own[row] @ o / np.linalg.norm(own[row]) / np.linalg.norm(o) for o in others]
        powers = np.exp(np.array(cosines) / 0.5)
        expected = -np.log(powers[row] / powers.sum())
        assert crd.compare(student, teacher)[row].item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("loss", [Similarity(), RKD(), AttentionTransfer()])
def test_equal_features_cost_nothing_and_a_batch_twice_costs_the_same(loss):
    shape = (ROWS, 2, 3, 3) if isinstance(loss, AttentionTransfer) else (ROWS, 4)
    student, teacher = some_features(shape=shape), some_features(shape=shape, seed=1)
    assert loss.compare(student, student).abs().max() < 1e-6
    twice = loss.compare(torch.cat([student, student]), torch.cat([teacher, teacher])).mean()
    assert twice.item() == pytest.approx(loss.compare(student, teacher).mean().item(), rel=1e-5)


@pytest.mark.parametrize("loss", [Similarity(), RKD(), CRD(), FitNets(), AttentionTransfer()])
@pytest.mark.parametrize("case", ["zeros", "equal rows", "huge", "one row", "bf16"])
def test_values_and_gradients_are_finite(loss, case):
    shape = (2, 3, 3) if isinstance(loss, AttentionTransfer) else (4,)
    rows = 1 if case == "one row" else ROWS
    student, teacher = (torch.randn(rows, *shape) for _ in range(2))
    loss.fit_sizes(student, teacher)
    if case == "zeros":
        student = torch.zeros_like(student)
    elif case == "equal rows":
        student = student[:1].expand_as(student).clone()
    elif case == "huge":
        student = 1e4 * student
    elif case == "bf16":
        student = student.bfloat16()
    student.requires_grad_()
    value = loss.compare(student, teacher).sum()
    value.backward()
    assert value.isfinite()
    assert student.grad.isfinite().all()
    assert student.grad.abs().max() < 1e6


def test_taps_read_the_penultimate_layer_and_any_other_by_path_and_leave():
    network = MLP((5,), 2, width=8, depth=2)
    rows = torch.randn(3, 5)
    with tapped(network, [LAST, "layers.0"], "key") as taps:
        network(rows)
        found = taps.features()
    assert torch.equal(network.layers[-1](found[LAST]), network(rows))
    assert found["layers.0"].shape == (3, 8)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in network.modules())
    with pytest.raises(SettingError, match=r"loss.student_layer=layers.9: is no layer; there are"):
        Taps(network, ["layers.9"], "loss.student_layer")


def test_an_ensembles_members_stand_side_by_side():
    ensemble = MeanOfProbabilities([MLP((5,), 2, width=8), MLP((5,), 2, width=8)])
    with tapped(ensemble, [LAST], "key") as taps:
        ensemble(torch.randn(3, 5))
        assert taps.features()[LAST].shape == (3, 16)


def test_gradients_reach_student_and_projectors_and_no_teacher():
    student, teacher = MLP((5,), 2, width=4), MLP((5,), 2, width=6)
    loss, rows = FitNets(label_weight=0.0), torch.randn(ROWS, 5)
    own, others = loss.layers
    with tapped(student, own, "s") as read, tapped(teacher, others, "t") as taught:
        logits, _ = student(rows), teacher(rows)
        features = read.features(), taught.features()
    weight = torch.full((ROWS,), 1 / ROWS)
    target = torch.zeros(ROWS, dtype=torch.long)
    step = Step(logits, target, weight, None, *features)
    loss.connect(step, seed=0)
    reduce_terms(loss.of_step(step), weight, weight).backward()
    assert student.layers[0].weight.grad.norm() > 0
    assert loss.projector.weight.grad.norm() > 0
    assert all(parameter.grad is None for parameter in teacher.parameters())


def test_a_combination_is_the_weighted_sum_with_each_term_by_name():
    logits, target = some_features(3), torch.arange(ROWS) % 3
    read = {"": some_features(4)}, {"": some_features(7, seed=1)}
    weight = torch.full((ROWS,), 1 / ROWS)
    step = Step(logits, target, weight, torch.randn(ROWS, 3).log_softmax(-1), *read)
    kd, similarity = KD(2.0, 0.5), Similarity(label_weight=0.0)
    both = Combined({"kd": kd, "similarity": similarity}, {"similarity": 3.0})
    terms = both.of_step(step)
    assert set(terms.label) | set(terms.teacher) == {"kd/ce", "kd/kd", "similarity/similarity"}
    alone = [reduce_terms(loss.of_step(step), weight, weight) for loss in (kd, similarity)]
    assert torch.allclose(reduce_terms(terms, weight, weight), alone[0] + 3 * alone[1])
    assert both.needs_features
    with pytest.raises(SettingError, match=r"weights.wrong=1: is the weight of no loss here"):
        Combined({"kd": kd}, {"wrong": 1})


def test_a_run_logs_each_term_ships_no_projector_and_resumes_with_it(meddistill):
    settings = ("loss=combined", "+loss.losses.hint._target_=meddistill.losses.fitnets.FitNets",
                *SMALL_TEACHER, "trainer.max_epochs=3")  # fmt: skip
    code, _, err = meddistill("distill", *settings, "hydra.run.dir=run")
    assert code == 0, err
    header = Path("run/logs/version_0/metrics.csv").read_text().splitlines()[0].split(",")
    assert {"train/kd/kd", "train/similarity/similarity", "train/hint/fitnets"} <= set(header)
    state = torch.load("run/checkpoints/best.ckpt", weights_only=True)["state_dict"]
    assert set(state) == set(MLP((30,), 2, width=32).state_dict())
    parameters = json.loads(Path("run/metrics.json").read_text())["student"]["parameters"]
    assert parameters == 1058


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (("loss=fitnets", "student=logistic"), "nothing to learn in front of its layer"),
        (("loss=attention_transfer",), "no positions to look at"),
        (("loss=rkd", "loss.student_layer=deep"), "loss.student_layer=deep: is no layer"),
        (("loss=crd", "teacher=forest"), "this teacher is no network"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_a_teacher_is_trained(meddistill, settings, says):
    code, _, err = meddistill("distill", *settings)
    assert code == 2
    assert says in err
    assert not Path("store").exists()


def test_a_sweep_over_a_loss_of_features_trains_its_students_one_by_one(meddistill):
    code, out, err = meddistill("distill", "-m", "loss=fitnets", *SMALL_TEACHER, "seed=0,1",
                                "trainer.max_epochs=2")  # fmt: skip
    assert code == 0, err
    assert "trained one by one: loss=fitnets reads layers of a live teacher" in out


def test_frozen_layers_of_a_teacher_are_read_without_gradients():
    teacher = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)).requires_grad_(False)
    with tapped(teacher, [LAST], "key") as taps, torch.no_grad():
        teacher(torch.randn(2, 3))
        assert not taps.features()[LAST].requires_grad
