"""A member of a stack is the student that would have been trained alone."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from hydra.utils import get_class
from sklearn.datasets import load_wine

from kinds import layout_of
from meddistill.config.confdir import choices
from meddistill.data.cohort import Cohort, number_rows
from meddistill.data.tables.munge import Munge
from meddistill.data.tables.records import TableRecords
from meddistill.data.tables.schema import Schema
from meddistill.losses.building import build_loss
from meddistill.stack.fit import Student, fit_stack
from meddistill.stack.search import Halving
from stack_and_alone import MEMBERS, assert_members_as_alone, node, recipe, taught, three_tables


def wine():
    """178 rows of three classes, for losses that say nothing about two."""
    bunch = load_wine(as_frame=True)
    schema = Schema(numeric=tuple(bunch.data.columns))
    return Cohort("wine", TableRecords.prepared(bunch.data, schema), bunch.target.to_numpy(),
                  tuple(bunch.target_names), number_rows(len(bunch.data)))  # fmt: skip


@pytest.fixture(scope="module")
def tables(cohort):
    return three_tables(cohort)


def stacks(name):
    """Whether students of a loss are trained in a stack at all."""
    loss = build_loss(node("loss", name))
    return not loss.needs_features and not list(loss.parameters())


def stacked(name):
    """Whether a student is one of those that read tables and are trained in a stack."""
    return name != "pathway" and layout_of(node("student", name)) == "vector"


LOSSES = [name for name in choices("loss") if name != "kd" and stacks(name)]
EVERY = [
    *((name, "kd") for name in choices("student") if stacked(name)),
    *(("mlp_tiny", loss) for loss in LOSSES),
]


@pytest.mark.parametrize(("student", "loss"), EVERY)
def test_a_member_equals_the_student_trained_alone(student, loss, tables, tmp_path):
    made = recipe(student, loss)
    if get_class(made.loss["_target_"]).min_classes > 2:
        tables = [taught(wine(), split_seed) for split_seed in (0, 1)]
    settings = set(made.loss) & {"temperature", "alpha", "label_smoothing"}
    members = [replace(m, loss={k: m.loss[k] for k in settings}) for m in MEMBERS]
    fitted = assert_members_as_alone(made, members, tables, tmp_path)
    assert len(set(fitted.score.tolist())) > 3  # they are not all the same student


@pytest.mark.parametrize("optimizer", choices("optimizer"))
def test_a_member_equals_the_student_alone_under_every_optimizer(optimizer, tables, tmp_path):
    assert_members_as_alone(recipe(optimizer=optimizer), MEMBERS, tables, tmp_path)


@pytest.mark.parametrize(
    "trainer",
    [
        {"gradient_clip_val": 0.05},
        {"gradient_clip_val": 0.01, "gradient_clip_algorithm": "value"},
        {"accumulate_grad_batches": 4},
    ],
)
def test_a_member_is_clipped_and_accumulated_as_alone(trainer, tables, tmp_path):
    made = recipe(max_epochs=8, **trainer)
    clipped = assert_members_as_alone(made, MEMBERS, tables, tmp_path)
    free = fit_stack(recipe(max_epochs=8), MEMBERS, tables, tmp_path / "free")
    assert np.abs(clipped.probabilities - free.probabilities).max() > 1e-3


SCHEDULERS = {
    "cosine": {"warmup": 0.3},
    "cosine, by steps": {"interval": "step"},
    "plateau": {"patience": 0, "threshold": 0.5},
    "one_cycle": {},
    "one_cycle, accumulated": {},
}


@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_members_learning_rate_moves_as_alone(name, tables, tmp_path):
    kind = name.partition(",")[0]
    scheduler = {**node("scheduler", kind), **SCHEDULERS[name]}
    trainer = {"max_epochs": 10} | ({"accumulate_grad_batches": 4} if "acc" in name else {})
    moved = assert_members_as_alone(
        recipe(scheduler=scheduler, patience=8, **trainer), MEMBERS, tables, tmp_path
    )
    fixed = fit_stack(recipe(patience=8, **trainer), MEMBERS, tables, tmp_path / "fixed")
    assert np.abs(moved.probabilities - fixed.probabilities).max() > 1e-3


def test_a_member_with_dropout_equals_the_student_alone(tables, tmp_path):
    wide = {**node("student", "mlp_tiny"), "dropout": 0.3, "depth": 2}
    assert_members_as_alone(recipe(wide, max_epochs=10), MEMBERS, tables, tmp_path)


def test_a_member_with_few_labels_equals_the_student_alone(tables, tmp_path):
    members = [replace(member, table=2) for member in MEMBERS]
    assert_members_as_alone(recipe(), members, tables, tmp_path)


def test_a_member_with_synthetic_rows_equals_the_student_alone(cohort, tmp_path):
    tables = []
    for data in (taught(cohort, split_seed) for split_seed in (0, 1)):
        train, answers = data.split.train, data.rows.answers.numpy()
        made = Munge(copies=2)(cohort.records.take(train), data.inputs_at(train))
        more = np.concatenate([answers, np.tile(answers[train], (2, 1))])
        tables.append(data.with_unlabelled(made).with_answers(more))
    assert_members_as_alone(recipe(), MEMBERS, tables, tmp_path)


def test_members_without_a_setting_that_others_have_are_refused(tables, tmp_path):
    smoothed = Student(0, 0, {"label_smoothing": 0.2}, {"lr": 1e-3})
    plain = Student(0, 0, {}, {"lr": 1e-3})
    with pytest.raises(ValueError, match="have the same settings"):
        fit_stack(recipe(loss="ce"), [plain, smoothed], tables, tmp_path)


def test_members_stop_early_each_for_itself(tables, tmp_path):
    fitted = fit_stack(recipe(patience=2, max_epochs=100), MEMBERS, tables, tmp_path)
    assert len(set(fitted.epochs.tolist())) > 3
    assert fitted.epochs.min() < 50


def test_a_diverging_member_leaves_the_others_as_they_are(tables, tmp_path):
    wild = replace(MEMBERS[0], optimizer={"lr": 1e30, "weight_decay": 0.0})
    fitted = fit_stack(recipe(optimizer="sgd"), [*MEMBERS, wild], tables, tmp_path / "wild")
    calm = fit_stack(recipe(optimizer="sgd"), MEMBERS, tables, tmp_path / "calm")
    np.testing.assert_allclose(fitted.probabilities[:-1], calm.probabilities, atol=1e-6)
    assert np.isnan(fitted.score[-1]) or fitted.score[-1] > 1


class KilledError(Exception):
    pass


class Asked:
    """A function that halts members, with the state that it is given."""

    def __init__(self, asked, state_dict=dict):
        self.asked, self.state_dict = asked, state_dict

    def __call__(self, done, score):
        return self.asked(done, score)


def stop_after(epochs, done, score, until=None):
    if until is not None and done == until:
        raise KilledError
    return torch.ones(len(score), dtype=torch.bool)


@pytest.mark.slow
@pytest.mark.parametrize("scheduler", ["none", "cosine", "plateau", "one_cycle"])
def test_a_killed_stack_goes_on_to_the_same_weights_bit_for_bit(scheduler, tables, tmp_path):
    """Killed when members have left the stack already."""
    moved = {**node("scheduler", scheduler), **({"patience": 1} if scheduler == "plateau" else {})}
    made, members = recipe(patience=2, max_epochs=60, scheduler=moved), MEMBERS * 4
    whole = fit_stack(made, members, tables, tmp_path / "whole")
    until = 40
    assert 0.1 < np.mean(whole.epochs < until) < 0.8  # some have left the stack by then
    with pytest.raises(KilledError):
        fit_stack(
            made, members, tables, tmp_path / "killed", save_seconds=0,
            halt=Asked(partial(stop_after, None, until=until)),
        )  # fmt: skip
    assert (tmp_path / "killed" / "last.ckpt").exists()
    resumed = fit_stack(made, members, tables, tmp_path / "killed", save_seconds=0)
    for name, value in whole.weights.items():
        assert torch.equal(resumed.weights[name], value), name
    np.testing.assert_array_equal(resumed.epochs, whole.epochs)
    np.testing.assert_array_equal(resumed.score, whole.score)


def test_a_killed_halving_drops_what_it_had_dropped_when_it_goes_on(tables, tmp_path):
    members = [
        replace(MEMBERS[0], seed=seed, loss={**MEMBERS[0].loss, "alpha": alpha})
        for alpha in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
        for seed in (0, 1)
    ]
    made = recipe(patience=50, max_epochs=12)
    halving, killed, resumed = (Halving(6, 2, epochs=2, eta=2) for _ in range(3))
    whole = fit_stack(made, members, tables, tmp_path / "whole", halt=halving)

    def until_five(done, score):
        return killed(done, score) if done < 5 else stop_after(None, done, score, until=5)

    with pytest.raises(KilledError):
        fit_stack(
            made, members, tables, tmp_path / "killed", save_seconds=0,
            halt=Asked(until_five, killed.state_dict),
        )  # fmt: skip
    again = fit_stack(made, members, tables, tmp_path / "killed", halt=resumed)
    assert torch.equal(resumed.alive, halving.alive)
    assert halving.alive.sum() == 1
    np.testing.assert_array_equal(again.epochs, whole.epochs)
    np.testing.assert_array_equal(again.score, whole.score)


def test_halted_members_train_no_further(tables, tmp_path):
    def halve(done, score):
        return torch.arange(len(score)) < (len(score) if done < 3 else 2)

    made = recipe(max_epochs=12, patience=50)
    fitted = fit_stack(made, MEMBERS, tables, tmp_path / "halted", halt=Asked(halve))
    assert fitted.epochs.tolist() == [12, 12, 3, 3, 3, 3]
    whole = fit_stack(made, MEMBERS, tables, tmp_path / "whole")
    np.testing.assert_allclose(fitted.probabilities[:2], whole.probabilities[:2], atol=1e-6)


def test_students_worse_than_the_class_shares_alone_are_counted(tables, tmp_path, caplog):
    worse = replace(MEMBERS[0], optimizer={**MEMBERS[0].optimizer, "lr": 30.0})
    made = recipe(max_epochs=1)
    fitted = fit_stack(made, [worse, replace(worse, seed=1)], tables, tmp_path)
    count = int((fitted.score > tables[worse.table].log_loss_of_shares).sum())
    assert count > 0
    assert f"{count} of 2 students end with a validation log loss worse than" in caplog.text
