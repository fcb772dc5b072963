"""What is done about classes out of balance: formulas, exact corrections, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from meddistill.errors import SettingError
from meddistill.losses.base import Step
from meddistill.losses.building import build_loss
from meddistill.losses.ce import CE
from meddistill.losses.imbalance import Focal, LogitAdjustment, Sampler, Weights, of_teacher
from meddistill.losses.kd import KD
from meddistill.losses.schedules import Linear
from meddistill.losses.treated import treat
from stack_and_alone import node

CLASSES, COUNTS = ("ill", "well", "unsure"), np.array([6, 60, 12])
SHARES = COUNTS / COUNTS.sum()
GIVEN = np.array([[0.5, 0.3, 0.2], [0.05, 0.9, 0.05], [0.1, 0.2, 0.7]])  # p(y | kind of row)
KINDS = [Weights(), Weights({"ill": 5}), Sampler(), Focal(), Focal(0.5), LogitAdjustment(tau=1.5)]


def treatment(made):
    return made.treatment(CLASSES, COUNTS)


def term(made, logits, target):
    """The labels' term of rows by hand, from logits [rows, classes] of the network."""
    own = treatment(made)
    given = logits - own.left + own.added
    p = np.exp(given) / np.exp(given).sum(axis=1, keepdims=True)
    chosen = p[np.arange(len(target)), target]
    return own.weight[target] * (1 - chosen) ** own.gamma * -np.log(chosen)


@pytest.mark.parametrize("made", KINDS)
def test_the_labels_term_is_the_papers_formula(made):
    logits = np.random.default_rng(0).normal(size=(9, 3))
    target = np.arange(9) % 3
    loss = treat(CE(), [treatment(made)])
    found = loss(torch.tensor(logits), torch.tensor(target)).label["ce"]
    np.testing.assert_allclose(found.numpy(), term(made, logits, target), rtol=1e-5)


def test_weights_are_inverse_shares_and_1_on_average():
    weight = treatment(Weights()).weight
    np.testing.assert_allclose(weight * COUNTS, weight[0] * COUNTS[0])
    assert (weight * SHARES).sum() == pytest.approx(1)


def test_a_class_that_is_not_named_costs_1():
    weight = treatment(Weights({"ill": 5, "unsure": 2})).weight
    np.testing.assert_allclose(weight / weight[1], [5, 1, 2])
    assert (weight * SHARES).sum() == pytest.approx(1)


def slope(made, answers):
    """Of the expected loss at a network's `answers` [kinds, classes], where y is drawn by GIVEN.

    The training rows' classes are as frequent as the treatment thinks they are.
    """
    own = treatment(made)
    drawn = GIVEN / SHARES if own.balanced else GIVEN
    logits = torch.tensor(np.tile(answers, (3, 1)), dtype=torch.float64, requires_grad=True)
    target = torch.arange(3).repeat_interleave(3)
    loss = treat(CE(), [own])(logits, target).label["ce"]
    torch.autograd.backward((loss * torch.tensor(drawn.T.ravel())).sum())
    return logits.grad.reshape(3, 3, 3).sum(dim=0).numpy()


@pytest.mark.parametrize("made", [Weights(), Weights({"ill": 5}), Sampler()])
def test_the_best_network_answers_the_true_prior(made):
    assert np.abs(slope(made, np.log(GIVEN))).max() < 1e-5
    assert np.abs(slope(made, np.log(GIVEN) + treatment(made).bend)).max() > 0.01


@pytest.mark.parametrize(
    "made", [Weights(correct=False), Sampler(correct=False), LogitAdjustment(), LogitAdjustment(2)]
)
def test_the_best_network_is_bent_by_the_known_factor_where_nobody_corrects_it(made):
    assert np.abs(slope(made, np.log(GIVEN) + treatment(made).bend)).max() < 1e-5
    assert np.abs(slope(made, np.log(GIVEN))).max() > 0.01


@pytest.mark.parametrize("correct", [True, False])
def test_teachers_are_compared_at_the_true_prior(correct):
    own = treatment(Weights(correct=correct))
    loss = treat(KD(temperature=2.0, alpha=1.0), [own])
    teacher = torch.tensor(np.log(GIVEN))
    terms = loss(teacher + torch.tensor(own.left), torch.arange(3), teacher)
    assert terms.teacher["kd"].abs().max() < 1e-6
    assert loss.labels.weight.shape == (3,)


LABELLED = ["ce", "dkd", "dist", "kd", "kd_learned", "kd_trusted", "logit_mse",
            "logit_standardization", "margin", "nkd", "ranking", "soft_ce"]  # fmt: skip


@pytest.mark.parametrize("name", LABELLED)
def test_every_loss_treats_its_labels_and_nothing_else(name):
    draw = torch.Generator().manual_seed(0)
    logits, teacher = torch.randn(2, 9, 3, generator=draw)
    step = Step(logits, torch.arange(9) % 3, torch.full((9,), 1 / 9), teacher.log_softmax(-1))
    plain = build_loss(node("loss", name)).of_step(step)
    treated = treat(build_loss(node("loss", name)), [treatment(Weights())]).of_step(step)
    assert not torch.allclose(plain.label.pop("ce"), treated.label.pop("ce"))
    for kind in ("label", "teacher"):
        own, other = vars(plain)[kind], vars(treated)[kind]
        assert all(torch.equal(own[each], other[each]) for each in own | other)


def test_a_loss_of_losses_and_of_features_is_treated_within():
    for name in ("combined", "fitnets"):
        loss = treat(build_loss(node("loss", name)), [treatment(Focal())])
        terms = [each.labels for each in loss.modules() if hasattr(each, "labels")]
        assert terms
        assert all(each.focuses for each in terms)


def test_nothing_is_learned_from_labels_where_the_teacher_has_all_the_say():
    assert not KD(alpha=1.0).ever_learns_labels
    assert KD(alpha=0.9).ever_learns_labels
    assert CE().ever_learns_labels
    falls = {"_target_": f"{Linear.__module__}.Linear", "start": 1.0, "end": 0.5, "epochs": 3}
    assert build_loss({**node("loss", "kd"), "alpha": falls}).ever_learns_labels


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Weights({"il": 5}).treatment(CLASSES, COUNTS), "did you mean ill"),
        (lambda: Weights({"ill": 2, "well": 2, "unsure": 2}).treatment(CLASSES, COUNTS), "same"),
        (lambda: Weights({"ill": 0}), "above 0"),
        (lambda: Weights([5]), "must name classes"),
        (lambda: Focal(0), "above 0"),
        (lambda: LogitAdjustment(0), "above 0"),
        (lambda: LogitAdjustment(correct=True), "cross-entropy"),
        (lambda: Sampler(correct="yes"), "true or false"),
        (lambda: of_teacher({**node("imbalance", "weights"), "correct": False}), "always"),
    ],
)
def test_what_does_nothing_or_is_not_there_is_refused(make, says):
    with pytest.raises(SettingError, match=says):
        make()


def test_an_adjusted_teacher_is_the_plain_one():
    assert of_teacher(node("imbalance", "logit_adjustment")) == {}
