"""How a student starts from its teacher: what is refused, kept, frozen, and never done twice."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from kinds import rows_for
from meddistill.data.datamodule import CohortDataModule
from meddistill.errors import UserError
from meddistill.losses.ce import CE
from meddistill.students.start import Starts, started
from meddistill.students.training import train_student
from meddistill.teachers.checkpoint import CheckpointTeacher
from meddistill.teachers.teaching import build_teacher
from started import EQUAL, TEACHER, settings, student_of


def trained(chosen, data, targets, path):
    """A student after training, and its last epoch's weights."""
    student = student_of(chosen, data)
    before = Starts()(chosen, first := student_of(chosen, data), targets, data)
    train_student(chosen, student, CE(), data, targets, path)
    return first.state_dict(), student.state_dict(), before


def test_a_student_like_its_teacher_answers_as_it_does_before_its_first_step(meddistill):
    code, out, err = meddistill(
        "distill", "loss=ce", "init=subset", *TEACHER, *EQUAL, "optimizer.lr=0",
        "trainer.max_epochs=1", "hydra.run.dir=run",
    )  # fmt: skip
    assert code == 0, err
    metrics = json.loads(Path("run/metrics.json").read_text())
    for measure, value in metrics["teacher"]["test"].items():
        assert metrics["student"]["test"][measure] == pytest.approx(value, abs=1e-6), measure
    plan = json.loads(Path("run/init.json").read_text())["students"][0]
    assert [line["units"] for line in plan] == [list(range(16)), [0, 1]]
    assert "layers.0         layers.0         16 of 16: 0 1 2 3 4 5 6 7 ..." in out


def test_a_student_from_scratch_has_no_plan_and_the_identity_it_always_had(meddistill):
    code, _, _ = meddistill("distill", "loss=ce", "trainer.max_epochs=1", "hydra.run.dir=run")
    assert code == 0
    assert not Path("run/init.json").exists()
    identity = json.loads(Path("run/identity.json").read_text())
    assert not any(key.startswith("init") for key in identity)


def test_a_forest_as_teacher_is_refused_before_it_is_trained(meddistill):
    code, _, err = meddistill("distill", "init=subset", "loss=ce", "teacher=forest")
    assert code == 2
    assert "init=subset: the teacher is no network" in err
    assert not [*Path("outputs").glob("*"), *Path().glob("store")]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("teacher=several",), "init=subset: the teacher is no network"),
        (("init.member=1",), "init.member=1: the teacher has 1, counted from 0"),
        (
            ("columns.keep=['mean radius']",),
            "init=subset: the teacher reads columns",
        ),
        (("init.share=0",), "init.share=0: must be a number above 0 and at most 1"),
        (("init.choose=best",), "init.choose=best: must be one of random, uniform"),
        (("init.layers={a:b}",), "'a' is no layer of the student; there are layers.0"),
        (("student.width=64",), "layers.0: it has 64 units, and layers.0 has 16"),
        (("student=logistic", "teacher=mlp"), "no layer of the student takes a part"),
        (("init.choose=largest", "init.seed=0"), "init.seed=0: choose=largest draws nothing by it"),
        (("+init.units=3",), "init.units=3: no such setting"),
    ],
)
def test_what_can_not_correspond_is_refused_by_name(given, said, data):
    sizes = () if {"student=logistic", "teacher=several"} & {*given} else (*EQUAL, *TEACHER)
    chosen = settings(*sizes, *given)
    with pytest.raises(UserError) as caught:
        Starts().rehearse(chosen, build_teacher(chosen), data)
    assert said in str(caught.value)


def test_a_teacher_that_reads_other_inputs_is_refused(meddistill, tmp_path):
    rows = [each for each in rows_for("series", tmp_path) if not each.startswith("student=")]
    code, _, err = meddistill(
        "distill", *rows, "teacher=gru", "student=mlp_tiny", "preprocessing=summary", "init=subset"
    )
    assert code == 2
    assert "init=subset: the teacher reads other inputs than the student" in err


def test_a_teacher_whose_inputs_were_scaled_by_other_rows_is_told_of(
    targets, cohort, split, caplog
):
    data = CohortDataModule(cohort, replace(split, train=split.train[:200]))
    teacher = CheckpointTeacher(str(targets.folder))
    Starts().rehearse(settings(*TEACHER, *EQUAL), teacher, data)
    assert "scaled by other rows than the student's" in caplog.text


def test_a_resumed_training_does_not_start_its_student_again(targets, data, tmp_path):
    chosen = settings("init.freeze_epochs=2", *EQUAL)
    first = started(chosen, student_of(chosen, data), targets, data, tmp_path)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "last.ckpt").touch()
    student = student_of(chosen, data)
    before = {name: value.clone() for name, value in student.state_dict().items()}
    gone = replace(targets, folder=tmp_path / "gone")
    assert started(chosen, student, gone, data, tmp_path) == first
    assert all(torch.equal(before[name], value) for name, value in student.state_dict().items())


@pytest.mark.parametrize("plain", [(), ("trainer.log_every_n_steps=1", "logger=csv")])
def test_layers_that_are_taken_stay_frozen_for_so_many_epochs(plain, targets, data, tmp_path):
    chosen = settings("init.freeze_epochs=9", "optimizer.weight_decay=0.1", *EQUAL, *plain)
    before, after, _ = trained(chosen, data, targets, tmp_path)
    for name in ("layers.0.weight", "layers.0.bias"):
        assert torch.equal(before[name], after[name])
    assert not torch.equal(before["layers.2.weight"], after["layers.2.weight"])


@pytest.mark.parametrize(
    "given", [(), ("stack.axes=['seed=0,1']",), ("stack.axes=['trainer.max_epochs=3,2']",)]
)
def test_to_freeze_for_as_long_as_training_can_last_is_refused(given, meddistill):
    code, _, err = meddistill("distill", "init=subset", "loss=ce", *TEACHER, *EQUAL, *given,
                              "init.freeze_epochs=2", "trainer.max_epochs=2")  # fmt: skip
    assert code == 2
    assert "init.freeze_epochs=2: training ends at trainer.max_epochs=2" in err
    assert not Path("store").exists()


def test_patience_counts_from_the_end_of_the_frozen_epochs(targets, data, tmp_path):
    chosen = settings("init.freeze_epochs=5", "patience=2", "optimizer.lr=0", *EQUAL,
                      "trainer.max_epochs=20")  # fmt: skip
    student = student_of(chosen, data)
    assert train_student(chosen, student, CE(), data, targets, tmp_path).epochs == 7


def test_a_training_that_ends_while_layers_are_frozen_is_warned_of(targets, data, tmp_path, caplog):
    chosen = settings("init.freeze_epochs=2", *EQUAL, "+trainer.max_steps=1")
    train_student(chosen, student_of(chosen, data), CE(), data, targets, tmp_path)
    assert "training stopped before the layers taken learnt at all" in caplog.text


def test_by_itself_each_seed_takes_other_units_and_a_start_of_its_own_is_one_for_all(targets, data):
    def units(*given):
        chosen = settings(*given)
        lines = Starts()(chosen, student_of(chosen, data), targets, data)
        return lines[0].units

    given = "student.width=8"
    assert units(given, "seed=1") == units(given, "seed=3", "init.seed=1")
    assert units(given, "seed=1") != units(given, "seed=2")


def test_layers_learn_when_they_are_no_longer_frozen(targets, data, tmp_path):
    chosen = settings("init.freeze_epochs=1", *EQUAL)
    before, after, _ = trained(chosen, data, targets, tmp_path)
    assert not torch.equal(before["layers.0.weight"], after["layers.0.weight"])


def test_to_freeze_where_only_the_layer_of_the_classes_is_taken_is_refused(data):
    chosen = settings("init.freeze_epochs=1", "student=logistic")
    chosen["teacher"]["network"] = chosen["student"]
    with pytest.raises(UserError, match=r"init\.freeze_epochs=1: only the layer that gives the"):
        Starts().rehearse(chosen, build_teacher(chosen), data)
