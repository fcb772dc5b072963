"""Settings that change from epoch to epoch."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from cases import composed

from conftest import SMALL_TEACHER
from meddistill.config.confdir import choices
from meddistill.errors import UserError
from meddistill.losses import building
from meddistill.losses.base import Step, reduce_terms
from meddistill.losses.building import build_loss, by_epoch, is_scheduled, loss_at, take_settings
from meddistill.losses.schedules import Cosine, Linear, Steps

KD = "meddistill.losses.kd.KD"
LINEAR = {"_target_": "meddistill.losses.schedules.Linear", "start": 8.0, "end": 2.0, "epochs": 3}


def node(**settings):
    return {"_target_": KD, "temperature": 2.0, "alpha": 0.5, **settings}


def test_each_schedule_goes_from_its_start_to_its_end_and_stays():
    assert [Linear(8, 2, 3).at(k) for k in range(6)] == [8, 6, 4, 2, 2, 2]
    assert [Steps([3, 1], every=2).at(k) for k in range(6)] == [3, 3, 1, 1, 1, 1]
    half_cosine = [2 + 3 * (1 + math.cos(math.pi * k / 4)) for k in range(5)]
    assert [Cosine(8, 2, 4).at(k) for k in range(5)] == pytest.approx(half_cosine)
    assert Cosine(8, 2, 4).at(99) == pytest.approx(2)


def test_a_loss_takes_the_settings_of_the_epoch_and_keeps_the_rest():
    scheduled = node(temperature=LINEAR)
    assert is_scheduled(scheduled)
    assert not is_scheduled(node())
    loss = build_loss(scheduled)
    assert float(loss.temperature) == 8
    take_settings(loss, loss_at(scheduled, 2))
    assert float(loss.temperature) == 4
    assert float(loss.teacher_share) == 0.5 * 4**2
    assert float(loss.label_share) == 0.5


def numbers_of(settings, path=()):
    """Every number of a loss's node with its path, those of schedules aside."""
    for name, value in settings.items():
        if isinstance(value, dict) and "schedules" not in value.get("_target_", ""):
            yield from numbers_of(value, (*path, name))
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield (*path, name), value


def changed(settings, path, value):
    first, *rest = path
    return {**settings, first: changed(settings[first], rest, value) if rest else value}


def loss_of(loss, rows=14):
    generator = torch.Generator().manual_seed(0)
    logits, teacher = (torch.randn(rows, 3, generator=generator) for _ in range(2))
    own, others = (torch.randn(rows, size, 2, 2, generator=generator) for size in (3, 5))
    step = Step(logits, torch.arange(rows) % 3, torch.ones(rows), teacher.log_softmax(dim=1),
                {"": own.requires_grad_()}, {"": others})  # fmt: skip
    loss.connect(step, 0)

    def value():
        return reduce_terms(loss.of_step(step), torch.ones(rows) / rows, torch.ones(rows) / rows)

    return value


EVERY_NUMBER = [
    pytest.param(name, path, value, id=".".join((name, *path)))
    for name in choices("loss")
    for path, value in numbers_of(composed(name))
]
WHOLE = {"size", "subclasses", "seeds", "epochs", "eta"}
READ_ONCE = {("kd_learned", "start"), ("kd_learned", "highest"), ("kd_auto", "label_smoothing")}
WITHOUT_EFFECT = ("losses", "similarity", "label_smoothing")  # its label_weight is 0 there


@pytest.mark.parametrize(("name", "path", "first"), EVERY_NUMBER)
def test_every_setting_follows_a_schedule_or_refuses_it(name, path, first):
    last = first / 2 if first else 0.25
    line = {**LINEAR, "start": first, "end": last, "epochs": 1}
    scheduled = changed(composed(name), path, line)
    says = {"whole": path[-1] in WHOLE, "is read once": (name, path[-1]) in READ_ONCE}
    if any(says.values()):
        with pytest.raises(UserError, match=rf"loss\.{path[-1]}.*({'|'.join(says)})"):
            build_loss(scheduled)
        return
    loss, constant = build_loss(scheduled), build_loss(changed(composed(name), path, last))
    value, expected = loss_of(loss), loss_of(constant)()
    before = value()
    take_settings(loss, loss_at(scheduled, 1))
    assert torch.equal(value(), expected)
    assert torch.equal(before, expected) == (path == WITHOUT_EFFECT)


def test_a_student_whose_teacher_comes_in_later_is_a_distilled_one(meddistill):
    common = (*SMALL_TEACHER, "trainer.max_epochs=2", "+schedule@loss.alpha=linear",
              "loss.alpha.start=0", "loss.alpha.epochs=1")  # fmt: skip
    meddistill("distill", *common, "loss.alpha.end=1", "hydra.run.dir=single")
    assert "distilled student" in Path("single/report.md").read_text()
    meddistill("distill", "-m", *common, "loss.alpha.end=0,1", "hydra.sweep.dir=sweep")
    names = pd.read_csv("sweep/sweep.csv").set_index("loss.alpha.end")["name"]
    assert names.to_dict() == {0: "student alone", 1: "distilled student"}


@pytest.mark.parametrize(
    ("schedule", "says"),
    [
        ({**LINEAR, "end": 0.0}, "loss.temperature=0.0: must be a number above 0"),
        ({**LINEAR, "epochs": 0}, "loss.temperature.epochs=0"),
        ({**LINEAR, "wrong": 1}, "loss.temperature.wrong=1: no such setting"),
    ],
)
def test_a_value_that_is_wrong_in_any_epoch_is_refused_at_once(schedule, says):
    with pytest.raises(UserError, match=says):
        build_loss(node(temperature=schedule))


def test_a_schedule_that_stands_still_is_the_number(meddistill):
    level = ("loss.temperature.start=3", "loss.temperature.end=3")
    common = (*SMALL_TEACHER, "trainer.max_epochs=5")
    code, _, err = meddistill("distill", *common, "+schedule@loss.temperature=linear", *level,
                              "hydra.run.dir=scheduled")  # fmt: skip
    assert code == 0, err
    meddistill("distill", *common, "loss.temperature=3", "hydra.run.dir=number")
    both = [pd.read_parquet(f"{name}/predictions.parquet") for name in ("scheduled", "number")]
    pd.testing.assert_frame_equal(*both)


@pytest.mark.slow
def test_a_member_of_a_stack_follows_its_schedule_as_the_student_alone_does(meddistill):
    common = (*SMALL_TEACHER, "trainer.max_epochs=6", "+schedule@loss.temperature=cosine",
              "loss.temperature.epochs=4")  # fmt: skip
    code, out, err = meddistill("distill", "-m", *common, "loss.temperature.end=1,2", "seed=0,1",
                                "hydra.sweep.dir=sweep")  # fmt: skip
    assert code == 0, err
    assert "one by one" not in out
    alone = [
        meddistill("distill", *common, f"loss.temperature.end={end}", f"seed={seed}",
                   f"hydra.run.dir=alone-{end}-{seed}")
        for end in (1, 2) for seed in (0, 1)
    ]  # fmt: skip
    assert [code for code, *_ in alone] == [0] * 4
    stacked = pd.read_parquet(next(Path("sweep").glob("*/predictions.parquet")))
    answers = [own["p_malignant"].to_numpy() for _, own in stacked.groupby("member")]
    single = [pd.read_parquet(f"alone-{end}-{seed}/predictions.parquet")["p_malignant"].to_numpy()
              for end in (1, 2) for seed in (0, 1)]  # fmt: skip
    np.testing.assert_allclose(answers, single, atol=1e-5)
    assert np.abs(single[0] - single[2]).max() > 1e-4  # the end of the schedule matters


@pytest.mark.parametrize("epoch", [0, 1, 7, 100])
def test_an_epochs_loss_is_built_without_hydra_and_equals_the_one_built_with_it(epoch, monkeypatch):
    linear = {"_target_": "meddistill.losses.schedules.Linear", "start": 4.0, "end": 1.0,
              "epochs": 10}  # fmt: skip
    kd = {"_target_": "meddistill.losses.kd.KD", "temperature": linear, "alpha": 0.5}
    both = {"_target_": "meddistill.losses.combined.Combined", "weights": {"kd": linear},
            "losses": {"kd": kd, "ce": {"_target_": "meddistill.losses.ce.CE"}}}  # fmt: skip
    for scheduled in (kd, both):
        expected, made = loss_at(scheduled, epoch), by_epoch(scheduled)
        with monkeypatch.context() as patch:
            patch.setattr(building, "build", None)
            found = made(epoch)
        assert type(found) is type(expected)
        buffers = dict(expected.named_buffers())
        assert {name: float(value) for name, value in found.named_buffers()} == {
            name: float(value) for name, value in buffers.items()
        }
        assert getattr(found, "weights", None) == getattr(expected, "weights", None)
