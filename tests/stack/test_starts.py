"""Students of a stack that start from their teachers, and the same students alone."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
import torch

from meddistill.losses.ce import CE
from meddistill.stack.fit import fit_stack
from meddistill.stack.members import Member, with_changes
from meddistill.stack.plan import Chunk, plan
from meddistill.stack.starts import FirstNetworks
from meddistill.stack.tables import Table
from meddistill.students.start import Starts
from meddistill.students.training import train_student
from started import TEACHER, settings, student_of

STARTS = [{"init.seed": 0}, {"init.seed": 1}, {"init.share": 0.5}, {"init.choose": "largest"},
          {"seed": 1}]  # fmt: skip


@cache
def base():
    return settings("student.width=8", "optimizer.weight_decay=0.1")


def members(**changes):
    every = [with_changes(base(), {**changes, **own}) for own in STARTS]
    return [Member(number, {}, {}, chosen) for number, chosen in enumerate(every)]


@pytest.mark.parametrize("freeze", [0, 2])
def test_a_started_member_is_its_student_alone(freeze, targets, data, tmp_path):
    every = members(**{"init.freeze_epochs": freeze})
    (chunk,) = plan(every, [0] * len(every), [data])
    assert chunk.reason is None
    table = Table(every[0].settings, data, targets)
    first = FirstNetworks([(each.settings, table) for each in chunk.members], tmp_path / "stack")
    fitted = fit_stack(
        chunk.recipe, chunk.students, [data], tmp_path / "stack", networks=first.networks,
        freeze=first.freeze,
    )  # fmt: skip
    for place, (member, network) in enumerate(zip(chunk.members, first.networks, strict=True)):
        own = data.with_seed(member.settings["seed"])
        student = student_of(member.settings, data)
        Starts()(member.settings, student, targets, data)
        assert all(torch.equal(network.state_dict()[n], v) for n, v in student.state_dict().items())
        student = student_of(member.settings, data)
        train_student(member.settings, student, CE(), own, targets, tmp_path / str(place))
        for name, value in student.state_dict().items():
            assert (fitted.weights[name][place] - value).abs().max() < 1e-7, name


def test_a_members_patience_counts_from_the_end_of_the_frozen_epochs(targets, data, tmp_path):
    chosen = with_changes(base(), {"init.freeze_epochs": 5, "patience": 2, "optimizer.lr": 0.0,
                                   "trainer.max_epochs": 20})  # fmt: skip
    (chunk,) = plan([Member(0, {}, {}, chosen)], [0], [data])
    first = FirstNetworks([(chosen, Table(chosen, data, targets))], tmp_path)
    fitted = fit_stack(chunk.recipe, chunk.students, [data], tmp_path, networks=first.networks,
                       freeze=first.freeze)  # fmt: skip
    assert fitted.epochs.tolist() == [7]


def test_members_that_freeze_otherwise_are_no_stack(data):
    every = [m for epochs in (1, 2) for m in members(**{"init.freeze_epochs": epochs})[:2]]
    assert [len(chunk.members) for chunk in plan(every, [0] * 4, [data])] == [2, 2]


def test_a_part_is_found_by_the_start_of_its_members_where_they_have_one():
    one, other, *_ = members()
    scratch = replace(one, settings={**one.settings, "init": {}})
    names = {Chunk([member], [0]).name for member in (one, replace(other, number=0), scratch)}
    assert len(names) == 3


def test_plans_are_kept_with_the_training_state_and_not_made_again(targets, data, tmp_path):
    table = Table(base(), data, targets)
    own = [(member.settings, table) for member in members()]
    first = FirstNetworks(own, tmp_path)
    (tmp_path / "last.ckpt").touch()
    gone = replace(table, targets=replace(targets, folder=tmp_path / "gone"))
    again = FirstNetworks([(chosen, gone) for chosen, _ in own], tmp_path)
    assert again.networks is None
    assert (again.plans, again.freeze) == (first.plans, first.freeze)


def test_each_member_starts_from_its_own_splits_teacher_and_the_job_keeps_every_plan(meddistill):
    code, out, err = meddistill(
        "distill", "init=subset", "loss=ce", *TEACHER, "student.width=8", "trainer.max_epochs=1",
        "optimizer.lr=0", "stack.axes=['data.split_seed=0,1','init.seed=0,1']",
        "hydra.run.dir=job",
    )  # fmt: skip
    assert code == 0, err
    assert out.count("what the student takes of its teacher") == 1
    plans = pd.read_csv("job/init.csv")
    assert plans.groupby("member")["layer"].count().to_dict() == dict.fromkeys(range(4), 2)
    units = plans[plans["layer"] == "layers.0"]["units"].tolist()
    assert units[0] == units[2] != units[1] == units[3]
    scores = pd.read_csv("job/metrics.csv").set_index("member")
    assert set(scores["name"]) == {"started student"}
    code, _, err = meddistill(
        "distill", "init=subset", "loss=ce", *TEACHER, "student.width=8", "trainer.max_epochs=1",
        "optimizer.lr=0", "data.split_seed=1", "init.seed=1", "hydra.run.dir=alone",
    )  # fmt: skip
    assert code == 0, err
    alone = json.loads(Path("alone/metrics.json").read_text())["score"]
    assert scores["val/log_loss"][3] == pytest.approx(alone, abs=1e-6)
    assert scores["val/log_loss"][1] != pytest.approx(alone, abs=1e-3)
