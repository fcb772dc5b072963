"""From axes in Hydra's syntax to members, and from members to chunks that train together."""

from __future__ import annotations

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from meddistill.config.confdir import conf_dir
from meddistill.config.resolvers import register_resolvers
from meddistill.data.datamodule import CohortDataModule
from meddistill.data.split import split_cohort
from meddistill.errors import UserError
from meddistill.stack import plan as module
from meddistill.stack.members import expand, parse_axes
from meddistill.stack.plan import plan
from meddistill.stack.search import Halving

register_resolvers()


def config(*overrides):
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return compose("distill", list(overrides))


def members(*axes, more=()):
    quoted = ",".join(f"'{axis}'" for axis in axes)
    return expand(config(f"stack.axes=[{quoted}]", *more))


@pytest.fixture(scope="module")
def data(cohort):
    return CohortDataModule(cohort, split_cohort(cohort))


def chunks(found, data):
    return plan(found, [0] * len(found), [data])


def test_axes_are_read_in_hydras_syntax_and_order():
    axes = parse_axes(["seed=range(0,6,2)", "loss.alpha=choice(0.1,0.9)", "loss.temperature=1,2.5"])
    assert axes == {"seed": [0, 2, 4], "loss.alpha": [0.1, 0.9], "loss.temperature": [1, 2.5]}


def test_members_are_all_combinations_with_the_last_axis_fastest():
    found = members("seed=0,1", "loss.alpha=0.1,0.2,0.3")
    assert [member.number for member in found] == list(range(6))
    assert [tuple(member.axes.values()) for member in found[:4]] == [
        (0, 0.1), (0, 0.2), (0, 0.3), (1, 0.1),
    ]  # fmt: skip
    assert found[4].settings["seed"] == 1
    assert found[4].settings["loss"]["alpha"] == 0.2
    assert found[0].settings["loss"]["alpha"] == 0.1


def test_a_members_settings_are_those_of_the_student_alone():
    found = members("data.labels=0.1,0.5", "seed=3,4")
    alone = expand(config("data.labels=0.5", "seed=4", "stack.axes=['batch_size=null']"))[0]
    assert found[3].settings == alone.settings
    assert found[3].settings["teacher"]["labels"] == 0.5  # ${data.labels}
    assert found[0].settings["teacher"]["labels"] == 0.1


def test_what_names_an_axis_follows_it_and_nothing_else_is_resolved_anew(monkeypatch):
    OmegaConf.register_new_resolver("twice", lambda n: 2 * n, replace=True)
    select, asked = OmegaConf.select, []
    monkeypatch.setattr(OmegaConf, "select", lambda *a, **k: asked.append(a[1]) or select(*a, **k))
    found = members(
        "seed=range(0,4)", "data.labels=0.1,0.5",
        more=["patience='${twice:${seed}}'", "+teacher.calibration='${data.labels}'"],
    )  # fmt: skip
    assert [m.settings["patience"] for m in found] == [0, 0, 2, 2, 4, 4, 6, 6]
    assert [m.settings["teacher"]["labels"] for m in found] == [0.1, 0.5] * 4
    assert [m.settings["teacher"]["calibration"] for m in found] == [0.1, 0.5] * 4
    assert asked.count("teacher.labels") == 2  # one a value of the axis that it names
    assert not {"teacher.labels", "patience"} & set(members("loss.alpha=0,1")[1].changes)


def test_a_part_of_the_members_keeps_their_numbers():
    part = members("seed=range(0,10)", more=["stack.members=[3,5]"])
    assert [(member.number, member.settings["seed"]) for member in part] == [(3, 3), (4, 4)]


@pytest.mark.parametrize("part", ["[2,2]", "[0,11]", "[1]", "[-1,3]"])
def test_a_part_that_is_none_is_refused(part):
    with pytest.raises(UserError, match=r"stack\.members"):
        members("seed=range(0,10)", more=[f"stack.members={part}"])


def test_members_that_differ_in_numbers_of_loss_and_optimizer_train_together(data):
    found = members("seed=0,1", "loss.temperature=1,2", "loss.label_smoothing=0,0.1",
                    "optimizer.lr=0.001,0.01", "optimizer.weight_decay=0,0.1")  # fmt: skip
    (chunk,) = chunks(found, data)
    assert chunk.reason is None
    assert len(chunk.members) == 32


def test_members_of_other_architecture_or_budget_train_in_stacks_of_their_own(data):
    found = members("student.width=4,8", "batch_size=32,64", "seed=0,1")
    assert sorted(len(chunk.members) for chunk in chunks(found, data)) == [2, 2, 2, 2]


def test_members_whose_learning_rates_move_otherwise_train_in_stacks_of_their_own(data):
    found = members("scheduler.warmup=0,0.2", "optimizer.lr=0.001,0.01", more=["scheduler=cosine"])
    cut = chunks(found, data)
    assert [len(chunk.members) for chunk in cut] == [2, 2]
    assert [chunk.reason for chunk in cut] == [None, None]
    assert [chunk.recipe.scheduler["warmup"] for chunk in cut] == [0, 0.2]


def test_a_chunk_reads_no_more_tables_than_fit_into_memory(data, monkeypatch):
    found = members("seed=range(0,3)", "data.split_seed=range(0,4)", more=["stack.chunk=6"])
    table = [member.settings["data"]["split_seed"] for member in found]
    monkeypatch.setattr(module, "CHUNK_BYTES", {"cpu": 2 * data.input_bytes})
    cut = plan(found, table, [data] * 4)
    assert [set(chunk.tables) for chunk in cut] == [{0, 1}, {2, 3}]
    assert sorted(m.number for chunk in cut for m in chunk.members) == list(range(12))


def test_chunks_are_of_about_equal_size_and_hold_every_member_once(data):
    found = members("seed=range(0,10)", more=["stack.chunk=4"])
    cut = chunks(found, data)
    assert [len(chunk.members) for chunk in cut] == [3, 3, 4]
    assert sorted(m.number for chunk in cut for m in chunk.members) == list(range(10))
    assert len({chunk.name for chunk in cut}) == 3


def test_splits_of_unequal_size_train_apart(cohort):
    whole = CohortDataModule(cohort, split_cohort(cohort, 0))
    smaller = CohortDataModule(cohort, split_cohort(cohort, 0, test=0.3))
    found = members("seed=0,1", "data.test=0.2,0.3")
    cut = plan(found, [0, 1, 0, 1], [whole, smaller])
    assert [len(chunk.members) for chunk in cut] == [2, 2]


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("monitor=val/auroc", "a stack follows val/log_loss"),
        ("answers=live", "stored answers"),
        ("trainer.precision=bf16-mixed", "trainer.precision=bf16-mixed is not for stacks"),
        ("trainer.max_time=00:01:00:00", "trainer.max_time=00:01:00:00 is not for stacks"),
        ("+trainer.limit_train_batches=2", "trainer.limit_train_batches=2 is not for stacks"),
        ("optimizer._target_=torch.optim.Adafactor", "Adafactor does not treat each parameter"),
    ],
)
def test_what_a_stack_can_not_do_is_trained_alone_for_the_reason(data, override, reason):
    cut = chunks(members("seed=0,1", more=[override]), data)
    assert [len(chunk.members) for chunk in cut] == [1, 1]
    assert all(reason in chunk.reason for chunk in cut)


def test_halving_keeps_the_best_third_of_the_settings_at_each_rung():
    halving = Halving(settings=9, seeds=2, epochs=5, eta=3)
    score = torch.arange(9.0).flip(0).repeat_interleave(2)  # the last setting is the best
    assert halving(4, score).all()
    alive = halving(5, score).view(9, 2).all(dim=1).nonzero().flatten().tolist()
    assert alive == [6, 7, 8]
    assert halving(14, score).sum() == 6
    assert halving(15, score).sum() == 2
    assert int(halving.means(score).argmin()) == 8


def test_a_setting_that_diverged_for_one_seed_is_dropped_first():
    halving = Halving(settings=3, seeds=2, epochs=1, eta=3)
    score = torch.tensor([0.1, float("nan"), 0.5, 0.6, 0.7, 0.8])
    assert halving(1, score).tolist() == [False, False, True, True, False, False]


def test_a_shuffled_axis_has_one_order_whoever_reads_it():
    import random

    axis = "seed=shuffle(range(0,12))"
    random.seed(1)
    first = parse_axes([axis])["seed"]
    drawn = random.random()
    random.seed(1)
    assert random.random() == drawn, "and nobody else's random numbers are moved"
    random.seed(2)
    assert parse_axes([axis])["seed"] == first != sorted(first)
    assert sorted(first) == list(range(12))
    assert parse_axes(["teacher.seed=shuffle(range(0,12))"])["teacher.seed"] != first


def test_parts_of_a_job_with_a_shuffled_axis_hold_every_member_once():
    axis, seeds = "seed=shuffle(range(0,6))", []
    for part in ("[0,3]", "[3,6]"):
        seeds += [m.settings["seed"] for m in members(axis, more=[f"stack.members={part}"])]
    assert sorted(seeds) == list(range(6))


def test_a_finished_part_is_found_by_its_members_settings_not_by_their_places(data):
    one, other = (chunks(members(axis), data)[0] for axis in ("seed=0,1", "seed=1,0"))
    assert one.name == chunks(members("seed=0,1"), data)[0].name
    assert one.name != other.name
