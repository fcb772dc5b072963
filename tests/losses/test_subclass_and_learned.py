"""Losses that learn something beside the student: hidden subclasses, and a temperature."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from conftest import SMALL_TEACHER
from meddistill.errors import UserError
from meddistill.losses import Step, reduce_terms
from meddistill.losses.ce import CE
from meddistill.losses.kd import KD
from meddistill.losses.kd_learned import KDLearned
from meddistill.losses.subclass import Subclass

ROWS, CLASSES = 12, 2


def step(seed=0, rows=ROWS):
    """Two classes, 5 features of the student and 7 of the teacher."""
    generator = torch.Generator().manual_seed(seed)
    own, others, logits = (torch.randn(rows, size, generator=generator) for size in (5, 7, CLASSES))
    teacher = torch.randn(rows, CLASSES, generator=generator).log_softmax(-1)
    weight = torch.full((rows,), 1 / rows)
    target = torch.arange(rows) % CLASSES
    own.requires_grad_()
    logits.requires_grad_()
    return Step(logits, target, weight, teacher, {"": own}, {"": others})


def value(loss, given):
    return reduce_terms(loss.of_step(given), given.label_weight, given.label_weight)


def test_subclasses_are_the_teachers_principal_directions_and_sum_to_its_answer():
    given, loss = step(), Subclass(subclasses=3, tau=0.5)
    loss.connect(given, seed=0)
    _, joint = loss.read(given)
    split = joint.exp().view(ROWS, CLASSES, 3)
    assert torch.allclose(split.sum(2), given.teacher.exp(), atol=1e-6)
    features, answers = (
        x.double().numpy() for x in (given.teacher_features[""], given.teacher.exp())
    )
    for k in range(CLASSES):
        share = answers[:, k] / answers[:, k].sum()
        away = features - share @ features
        variances, vectors = np.linalg.eigh((away * share[:, None]).T @ away)
        along = away @ vectors[:, ::-1][:, :3] / np.sqrt(variances[-1]) / 0.5
        found = np.log(split[:, k].double().numpy())
        centred = found - found.mean(axis=1, keepdims=True)  # softmax ignores a row's constant
        signs = _signs(along, centred)
        expected = along * signs
        expected -= expected.mean(axis=1, keepdims=True)
        assert np.abs(centred - expected).max() < 1e-4


def _signs(along, centred):
    """Of the directions, which are free: those that fit best."""
    every = [np.array([a, b, c]) for a in (1, -1) for b in (1, -1) for c in (1, -1)]

    def miss(signs):
        turned = along * signs
        return np.abs(turned - turned.mean(axis=1, keepdims=True) - centred).max()

    return min(every, key=miss)


def test_the_subclasses_term_is_zero_where_the_students_layer_says_the_same():
    given, loss = step(), Subclass(subclasses=3)
    loss.connect(given, seed=0)
    _, joint = loss.read(given)
    assert loss.compare(given.student_features[""], joint).min() > 0
    loss.head = torch.nn.Identity()
    assert loss.compare(joint, joint).abs().max() < 1e-6


def test_subclasses_teach_a_student_of_two_classes_through_its_features():
    given, loss = step(), Subclass(subclasses=3, label_weight=0.0)
    loss.connect(given, seed=0)
    value(loss, given).backward()
    assert given.student_features[""].grad.norm() > 1e-3
    assert loss.head.weight.grad.norm() > 1e-3


def test_more_subclasses_than_directions_are_refused():
    with pytest.raises(UserError, match=r"loss.subclasses=7: 12 labelled rows with 7 features"):
        Subclass(subclasses=7).connect(step(), seed=0)
    with pytest.raises(UserError, match=r"loss.subclasses=4: 4 labelled rows"):
        Subclass(subclasses=4).connect(step(rows=4), seed=0)


def test_the_temperature_is_learned_against_the_student():
    given = step()
    plain, reversed_ = KDLearned(reversal=0.0), KDLearned(reversal=2.0)
    assert value(plain, given).item() == pytest.approx(value(KD(4.0, 0.5), given).item(), rel=1e-5)
    for loss in (plain, reversed_):
        value(loss, given).backward()
    assert plain.free.grad == 0
    nudge = 1e-2  # a step against the reversed gradient makes the loss larger
    with torch.no_grad():
        before = value(reversed_, given)
        reversed_.free -= nudge * reversed_.free.grad.sign()
        assert value(reversed_, given) > before


def test_at_alpha_zero_the_learned_temperature_is_the_student_alone():
    given = step()
    own, alone = (value(loss, given) for loss in (KDLearned(alpha=0.0), CE()))
    assert torch.equal(own, alone)
    assert not KDLearned(alpha=0.0).distils


def test_a_learned_temperature_is_resumed_and_not_shipped(meddistill, monkeypatch):
    from meddistill.training import fit

    kept = {}
    train = fit._run

    def watched(lightning, module, checkpoints, *rest):
        found = train(lightning, module, checkpoints, *rest)
        if (checkpoints / "last.ckpt").exists():
            kept.update(torch.load(checkpoints / "last.ckpt", weights_only=True)["state_dict"])
        return found

    monkeypatch.setattr(fit, "_run", watched)
    code, _, err = meddistill("distill", "loss=kd_learned", *SMALL_TEACHER, "save_seconds=0",
                              "trainer.max_epochs=12", "hydra.run.dir=run")  # fmt: skip
    assert code == 0, err
    assert kept["loss.free"] != KDLearned().free  # it moved, and lies in the training state
    best = torch.load("run/checkpoints/best.ckpt", weights_only=True)["state_dict"]
    assert not any(name.startswith("loss") for name in best)
