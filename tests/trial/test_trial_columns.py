"""A trial repeated for each number of columns, or each budget."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from composing import composed
from conftest import SMALL_TEACHER
from meddistill.config.resolvers import resolved
from meddistill.errors import SettingError
from meddistill.trial.columns import levels
from meddistill.trial.units import column_settings, make_units, setting_title, trial_settings

TRIAL = (
    "trial", *SMALL_TEACHER, "student=mlp_tiny", "trainer.max_epochs=3", "trial.repeats=2",
    "trial.seeds=1", "trial.few_labels=null", "arm=[teacher,student_alone,distilled]",
    "arms.student_alone.tune={optimizer.weight_decay:[0.0]}",
    "arms.distilled.tune={loss.temperature:[1.0],loss.alpha:[0.5],optimizer.weight_decay:[0.0]}",
)  # fmt: skip


def settings(columns, **own):
    node = {"keep": None, "most": None, "costs": None, "budget": None, "by": "teacher", **own}
    return {"trial": {"columns": columns}, "columns": node}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (settings(4), "trial.columns=4: must be a list"),
        (settings([]), "trial.columns=[]: names no number: trial.columns=[2,4,8]"),
        (settings([2, 2]), "names a value twice"),
        (settings([2], most=3), "columns.most=3: trial.columns sets columns.most to each of [2]"),
        (settings([2], keep=["age"]), "columns.keep=[age]: trial.columns sets"),
        (settings([2, None], most=3), "trial.columns sets columns.most to each of [2,null]: leave"),
        (settings([2], costs={"crp": 1}, budget=3), "columns.budget=3: trial.columns sets"),
        (settings([2], by="l1", most=3), "trial.columns=[2]: goes with the teacher's choice of"),
    ],
)
def test_columns_that_are_no_list_or_settled_twice_are_refused(given, says):
    with pytest.raises(SettingError) as caught:
        column_settings(given)
    assert says in str(caught.value)


def test_columns_are_numbers_or_budgets_where_columns_have_costs():
    assert column_settings(settings(None)) == [{}]
    most = column_settings(settings([2, None]))
    assert most[0] == {"columns.most": 2}
    assert set(most[1].values()) == {None}
    assert column_settings(settings([50], costs={"crp": 10})) == [{"columns.budget": 50}]


def test_every_share_of_labels_stands_with_every_number_of_columns():
    own = resolved(composed("trial", "trial.columns=[1,null]", "trial.repeats=2"))
    assert [setting_title(each) for each in trial_settings(own)] == [
        "All labels; 1 column",
        "All labels; all columns",
        "10% of the labels at the student's site, all at the teacher's; 1 column",
        "10% of the labels at the student's site, all at the teacher's; all columns",
    ]
    assert [unit.settings["columns"]["most"] for unit in make_units(own)] == [1, 1, None, None] * 2


def test_an_arms_level_is_its_mean_with_the_corrected_interval():
    values = np.array([0.8, 0.84, 0.88])
    measures = pd.DataFrame({"arm": "one", "log_loss": values})
    found = levels(measures, {"margins": {"log_loss": 0.02}, "arms": {"one": {}}}, ratio=0.25)
    half = 4.302652729911275 * np.sqrt(1 / 3 + 0.25) * 0.04  # t of 2 degrees, sd of the values
    own = found["log_loss"]["one"]
    assert own == pytest.approx({"mean": 0.84, "low": 0.84 - half, "high": 0.84 + half})


def test_a_trial_tells_what_more_columns_buy(meddistill):
    code, out, err = meddistill(*TRIAL, "trial.columns=[2,null]", "hydra.run.dir=both")
    assert code == 0, err
    assert "What each column buys: All labels, AUROC on test rows" in out
    found = json.loads(Path("both/results.json").read_text())
    few, every = (setting["columns"] for setting in found["settings"])
    assert (few["count"], every["count"]) == (2, 30)
    assert sum(few["share"].values()) == pytest.approx(2)
    assert len(few["alone"]) == 30
    assert 0 < few["told"] <= 1
    page = Path("both/report.html").read_text()
    assert 'id="columns-0-auroc-' in page
    assert "Share of the splits that read a column" in page
    assert "Cost of use: 2 columns" in page
    assert "Cost of use: all columns" in page
    sizes = [{arm: own["parameters"] for arm, own in each.items()}
             for each in found["trial"]["costs_by_setting"]]  # fmt: skip
    assert [each["simplest"]["parameters"] for each in found["settings"]] == [
        own[each["simplest"]["arm"]] for own, each in zip(sizes, found["settings"], strict=True)
    ]
    assert sizes[0]["teacher"] == sizes[1]["teacher"]

    code, _, err = meddistill(*TRIAL, "hydra.run.dir=plain")
    assert code == 0, err
    assert "What each column buys" not in Path("plain/report.html").read_text()
    alone = json.loads(Path("plain/results.json").read_text())["trial"]
    assert "costs_by_setting" not in alone
    assert sizes[1] == {arm: own["parameters"] for arm, own in alone["costs"].items()}
    assert sizes[0]["distilled"] < sizes[1]["distilled"]
    results = pd.read_csv("both/results.csv")
    whole = results[results["setting"] == 1].drop(columns="setting").reset_index(drop=True)
    plain = pd.read_csv("plain/results.csv").drop(columns="setting")
    pd.testing.assert_frame_equal(whole, plain, check_exact=True)
    one = results[results["setting"] == 0]
    teachers = results[results["arm"] == "teacher"].groupby("split")["log_loss"].nunique()
    assert set(teachers) == {1}  # it reads every column in both settings
    assert set(one["log_loss"]) != set(whole["log_loss"])
