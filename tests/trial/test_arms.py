"""Arms, their tries and the settings of a trial."""

from __future__ import annotations

import re

import pytest
from hydra import compose, initialize_config_dir

from meddistill.config.compose import build
from meddistill.config.confdir import choices, conf_dir
from meddistill.config.resolvers import register_resolvers, resolved
from meddistill.errors import UserError
from meddistill.trial.arms import StudentArm
from meddistill.trial.units import label_settings, make_units, setting_title


def settings(*overrides):
    register_resolvers()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return resolved(compose("trial", list(overrides)))


def arms(*overrides):
    nodes = settings(*overrides)["arms"]
    return {name: build(node, f"arms.{name}", _recursive_=False) for name, node in nodes.items()}


def test_the_default_trial_has_every_arm_but_those_of_other_losses_rows_starts_and_students():
    others = set(choices("arm")) - set(arms())
    more = {f"{arm}{end}" for arm in ("subset", "scorecard", "robust") for end in ("", "_alone")}
    more |= {"subset_distilled"}
    groups = set().union(*map(choices, ("loss", "synthetic", "imbalance")))
    assert others < groups | more
    assert {"student_alone", "distilled", "permuted_teacher"} <= set(arms())


def test_every_tuned_arm_has_as_many_tries_and_at_least_twelve():
    every = arms(f"arm=[{','.join(choices('arm'))}]")
    counts = {len(arm.tries()) for arm in every.values() if arm.tune}
    assert len(counts) == 1
    assert counts.pop() >= 12


def test_tries_are_every_combination_without_repeats():
    tries = arms()["distilled"].tries()
    assert tries[0] == {
        "loss.temperature": 1.0, "loss.alpha": 0.5, "optimizer.weight_decay": 0.0
    }  # fmt: skip
    assert len({tuple(one.items()) for one in tries}) == 12


def test_an_arm_without_tuning_has_one_try():
    assert StudentArm("plain", loss={}).tries() == [{}]


def test_arms_can_be_chosen_and_added_on_the_command_line():
    found = arms("arm=[student_alone,distilled]", "arms.distilled.tune={loss.alpha:[0.5,1.0]}")
    assert list(found) == ["student_alone", "distilled"]


def test_null_takes_a_setting_out_of_the_tries():
    changed = "arms.distilled.tune={loss.temperature:null,loss.alpha:[0.5]}"
    assert [list(one) for one in arms(changed)["distilled"].tries()] == [
        ["loss.alpha", "optimizer.weight_decay"]
    ] * 3


THREE = "arm=[teacher,student_alone,distilled]"


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["loss=logit_mse", THREE],
         r"temperature=1\.0: no such setting.*'arms\.distilled\.tune=\{KEY:null\}' takes"),
        ([THREE, "+schedule@loss.temperature=linear"],
         r"temperature follows a schedule.*'arms\.distilled\.tune=\{loss\.temperature:null\}'"),
        (["arm=[teacher,student_alone,distilled,munge]", "synthetic=munge"],
         r"arms\.munge is the same student as arms\.distilled"),
        (["arm=[teacher,student_alone,munge]", "trial.main=munge"],
         r"arms\.munge\.tune reads arms\.distilled\.tune, .* add distilled to arm="),
        (["init=subset", "arm=[student_alone,label_smoothing]", "trial.main=label_smoothing"],
         r"init=subset: no arm reads it"),
        (["trial.columns=[4,null]", "arm=[student_alone,distilled,subset]"],
         r"arms\.subset: a student starts from a teacher that reads the same columns"),
        (["arms.logistic.tune={C:[-1.0]}"], r"arms\.logistic\.estimator: The 'C' parameter"),
        (["arms.boosting.estimator._target_=sklearn.svm.SVC"],
         r"arms\.boosting\.estimator.*no such setting"),
    ],
)  # fmt: skip
def test_a_trial_that_would_not_be_what_was_meant_is_refused_at_once(overrides, says, meddistill):
    code, _, err = meddistill(
        "trial", *overrides, "data=table", "data.path=no.csv", "data.target=y"
    )
    assert code == 2
    assert re.search(says, err), err


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"tune": {"loss.alpha": 0.5}}, "tune.loss.alpha=0.5: must be a list"),
        ({"tune": {"loss.alpha": []}}, "must be a list of values to try"),
        ({"tune": {"student.width": [8]}}, "may change loss.* and optimizer.*"),
        ({"tune": {"init.share": [0.5]}}, ", init.* where it starts from its teacher"),
        ({"teacher": "wrong"}, "teacher=wrong: must be one of true, permuted"),
    ],
)
def test_a_wrong_arm_is_refused(changes, says):
    with pytest.raises(UserError, match=says.replace("*", r"\*")):
        StudentArm("arm", **{"loss": {}, **changes})


def test_two_settings_are_tried_all_labels_and_few_with_the_teacher_having_all():
    found = label_settings(settings())
    assert found == [
        {"data.labels": 1.0, "teacher.labels": 1.0},
        {"data.labels": 0.1, "teacher.labels": 1.0},
    ]
    assert [setting_title(each) for each in found] == [
        "All labels", "10% of the labels at the student's site, all at the teacher's",
    ]  # fmt: skip


def test_with_few_labels_the_teacher_has_as_few_or_all():
    found = label_settings(settings("data.labels=0.1"))
    assert found == [
        {"data.labels": 0.1, "teacher.labels": 0.1},
        {"data.labels": 0.1, "teacher.labels": 1.0},
    ]


def test_a_setting_that_changes_nothing_is_left_out():
    assert len(label_settings(settings("trial.few_labels=null"))) == 1
    assert len(label_settings(settings("trial.few_labels=1.0"))) == 1


def test_units_are_every_split_in_every_setting():
    units = make_units(settings("trial.repeats=3"))
    assert [unit.name for unit in units] == ["0-0", "0-1", "0-2", "1-0", "1-1", "1-2"]
    assert [unit.settings["data"]["split_seed"] for unit in units] == [0, 1, 2, 0, 1, 2]


def test_folds_make_repeats_times_folds_splits():
    units = make_units(settings("trial.repeats=2", "trial.folds=3", "trial.few_labels=null"))
    assert [unit.split for unit in units] == ["0.0", "0.1", "0.2", "1.0", "1.1", "1.2"]
    assert units[4].settings["data"]["fold"] == [1, 3]


def test_one_split_is_no_trial():
    with pytest.raises(UserError, match="a trial needs two splits at least"):
        make_units(settings("trial.repeats=1"))


def test_a_teacher_that_is_not_trained_here_has_no_share_of_labels():
    found = label_settings(settings("teacher=scores", "teacher.path=scores.csv"))
    assert found == [{"data.labels": 1.0}, {"data.labels": 0.1}]
