"""A trial whose arms answer test rows with further cells hidden, and students trained for it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from composing import composed
from conftest import SMALL_TEACHER
from meddistill.config.compose import build
from meddistill.config.resolvers import resolved
from meddistill.errors import SettingError
from meddistill.trial.hidden import shares_asked

TRIAL = (
    "trial", *SMALL_TEACHER, "student=mlp_tiny", "trainer.max_epochs=3", "trial.repeats=2",
    "trial.seeds=1", "trial.few_labels=null", "trial.hide=[0.5,0]", "threshold=youden",
    "arm=[teacher,student_alone,distilled,robust,scorecard_alone]", "arms.robust.missing.hide=0.6",
    "arms.student_alone.tune={optimizer.weight_decay:[0.0]}", "student.width=8",
    "arms.distilled.tune={loss.temperature:[1.0],loss.alpha:[0.5],optimizer.weight_decay:[0.0]}",
    "arms.scorecard_alone.tune={optimizer.weight_decay:[0.0]}", "hydra.run.dir=trial",
)  # fmt: skip
ARMS = ["teacher", "student_alone", "distilled", "robust", "scorecard_alone"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A finished trial."""
    from meddistill import cli

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("hidden"))
        patch.setattr("sys.argv", ["meddistill", *TRIAL])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert not ended.value.code
        return Path("trial").resolve()


def test_with_nothing_hidden_the_figures_are_those_of_the_trial(folder):
    hidden, results = (pd.read_csv(folder / name) for name in ("hidden.csv", "results.csv"))
    whole = hidden[hidden["hide"] == 0].set_index(["split", "arm"])
    for measure in ("auroc", "log_loss"):
        expected = results.set_index(["split", "arm"])[measure]
        assert sorted(whole.index) == sorted(expected.index)
        np.testing.assert_allclose(whole[measure], expected[whole.index], atol=1e-6)


def test_a_rule_of_a_threshold_leaves_hidden_cells_their_measures(folder):
    assert "threshold: youden" in (folder / "config.yaml").read_text()
    assert pd.read_csv(folder / "hidden.csv")[["auroc", "log_loss"]].notna().all(axis=None)


def test_half_of_the_cells_are_hidden_from_every_arm_alike(folder):
    hidden = pd.read_csv(folder / "hidden.csv")
    half = hidden[hidden["hide"] == 0.5]
    assert half["arm"].tolist().count("robust") == 2
    assert half.groupby("split")["hidden"].nunique().tolist() == [1, 1]
    assert half["hidden"].mean() == pytest.approx(0.5, abs=0.03)
    whole = hidden[hidden["hide"] == 0]
    assert half["log_loss"].mean() > whole["log_loss"].mean()


def test_results_hold_the_curves_and_the_page_draws_them(folder):
    results = json.loads((folder / "results.json").read_text())
    own = results["settings"][0]["hidden"]
    assert results["trial"]["hide"]["shares"] == [0, 0.5]
    assert list(own["levels"]["log_loss"]) == ARMS
    assert {v["mean"] for v in own["differences"]["auroc"]["distilled"]} == {0}
    lines = pd.read_csv(folder / "hidden.csv").query("arm == 'robust' and hide == 0.5")
    assert own["levels"]["auroc"]["robust"][1]["mean"] == pytest.approx(lines["auroc"].mean())
    page = (folder / "report.html").read_text()
    assert "distilled student, 60% of cells hidden" in page
    assert "known cells of a test row that are hidden, %" in page


def test_a_robust_arm_is_another_student_than_the_distilled_one(folder):
    answers = pd.read_parquet(folder / "predictions.parquet")
    distilled, robust = (answers[answers["arm"] == arm] for arm in ("distilled", "robust"))
    assert not np.allclose(distilled.iloc[:, -1], robust.iloc[:, -1])


def method(name, *overrides):
    settings = resolved(composed("trial", f"arm=[distilled,student_alone,{name}]", *overrides))
    arm = build(settings["arms"][name], f"arms.{name}", _recursive_=False)
    node, key, hide = arm.method(settings, name)
    return node.get("_target_", "").rpartition(".")[2], key, hide


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("distilled", [], ("", "arms.distilled.preprocessing", 0.0)),
        ("robust", [], ("", "arms.robust.preprocessing", 0.1)),
        ("robust", ["missing=native"], ("Native", "arms.robust.missing", 0.1)),
        ("robust_alone", ["missing=native", "missing.hide=0.3"],
         ("Native", "arms.robust_alone.missing", 0.1)),
        ("distilled", ["missing.hide=0.2"], ("", "arms.distilled.preprocessing", 0.2)),
        ("distilled", ["+missing@arms.distilled.missing=iterative"],
         ("Iterative", "arms.distilled.missing", 0.0)),
        ("scorecard_alone", ["missing=native", "missing.hide=0.2"],
         ("Bands", "arms.scorecard_alone.preprocessing", 0.2)),
    ],
)  # fmt: skip
def test_an_arm_reads_rows_as_the_trial_does_but_for_what_is_its_own(name, given, expected):
    assert method(name, *given) == expected


@pytest.mark.parametrize(
    ("given", "said"),
    [(0.5, "must be a list of shares"), ([], "must be a list"), ([0.1, 0.1], "names a share twice"),
     ([1.0], "at most 0.9"), (["much"], "must be a number")],
)  # fmt: skip
def test_shares_that_can_not_be_hidden_are_refused(given, said):
    with pytest.raises(SettingError, match=f"trial.hide.*{said}"):
        shares_asked({"trial": {"hide": given}})
