"""A whole trial in small: its files, its report, a kill, and what is refused."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from conftest import SMALL_TEACHER
from meddistill.evaluation.predictions import evaluate
from meddistill.report.trial_tables import LATENCIES

TRIAL = (
    "trial", *SMALL_TEACHER, "teacher.members=2", "student=mlp_tiny", "trainer.max_epochs=4",
    "trial.repeats=2", "trial.seeds=2", "arms.student_alone.tune={optimizer.weight_decay:[0.0]}",
    "arms.label_smoothing.tune={loss.label_smoothing:[0.1,0.2]}",
    "arms.distilled.tune={loss.temperature:[1.0,2.0],loss.alpha:[0.5]}",
    "arms.logistic.tune={C:[0.1,1.0]}", "arms.boosting.estimator.max_iter=3",
    "arms.boosting.tune={learning_rate:[0.1,0.3],max_leaf_nodes:[2]}", "hydra.run.dir=trial",
)  # fmt: skip
ARMS = ["teacher", "student_alone", "label_smoothing", "permuted_teacher", "distilled",
        "pruned_teacher", "logistic", "boosting"]  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished trial's folder, made once."""
    import logging
    import sys

    from meddistill import cli

    folder = tmp_path_factory.mktemp("trial")
    patch = pytest.MonkeyPatch()
    patch.chdir(folder)
    patch.setenv("MEDDISTILL_STORE", str(folder / "store"))
    patch.setattr(sys, "argv", ["meddistill", *TRIAL])
    code, handlers = None, list(logging.getLogger().handlers)
    try:
        cli.main()
    except SystemExit as stop:
        code = stop.code
    finally:
        logging.getLogger().handlers[:] = handlers
        patch.undo()
    assert not code
    return folder / "trial"


def summary(folder):
    return json.loads((folder / "results.json").read_text())


def test_a_trial_leaves_few_files_and_no_parts(finished):
    names = {path.name for path in finished.iterdir()}
    assert names == {"config.yaml", "logs", "trial.json", "trial.log", "predictions.parquet",
                     "tries.csv", "results.csv", "results.json", "report.html"}  # fmt: skip


def test_every_arm_answers_on_every_split_in_both_settings(finished):
    measures = pd.read_csv(finished / "results.csv")
    assert measures.groupby("setting")["arm"].unique().map(list).tolist() == [ARMS, ARMS]
    assert (measures.groupby(["setting", "arm"]).size() == 2).all()
    assert measures["auroc"].notna().all()


def test_measures_are_those_of_the_predictions_by_row(finished):
    rows = pd.read_parquet(finished / "predictions.parquet")
    rows = rows[(rows["arm"] == "distilled") & (rows["setting"] == 1) & (rows["part"] == "test")]
    rows = rows[rows["split"] == "1"]
    columns = [column for column in rows if column.startswith("p_")]
    each = [evaluate(seed[columns].to_numpy(dtype=np.float64), seed["label"].to_numpy("int64"))
            for _, seed in rows.groupby("seed")]  # fmt: skip
    found = pd.read_csv(finished / "results.csv").query("setting == 1 and arm == 'distilled'")
    line = found[found["split"] == 1].iloc[0]
    for name in ("auroc", "log_loss", "calibration_error", "sensitivity"):
        assert line[name] == pytest.approx(np.mean([one[name] for one in each]), abs=1e-6)


def test_the_chosen_try_has_the_lowest_validation_log_loss(finished):
    tries = pd.read_csv(finished / "tries.csv")
    for _, each in tries.groupby(["setting", "split", "arm"]):
        assert each["chosen"].sum() == 1
        chosen = each.loc[each["chosen"], "val/log_loss"].item()
        assert chosen == each["val/log_loss"].min()


def test_every_try_of_a_students_arm_is_another_student(finished):
    tries = pd.read_csv(finished / "tries.csv")
    for arm in ("label_smoothing", "distilled", "permuted_teacher"):
        own = tries[(tries["arm"] == arm) & (tries["setting"] == 0) & (tries["split"] == 0)]
        assert own["val/log_loss"].nunique() == len(own), arm


def test_every_arm_of_students_whose_training_was_cut_short_is_warned_of(finished, meddistill):
    assert [s["cut_short"] for s in summary(finished)["settings"]] == [
        dict.fromkeys(("student_alone", "label_smoothing", "permuted_teacher", "distilled"), 2)
    ] * 2
    page = (finished / "report.html").read_text()
    assert page.count("training was cut short") == 2
    code, out, _ = meddistill("report", str(finished))
    assert code == 0
    assert "Training ended at trainer.max_epochs=4, before validation rows had it stop" in out


def test_students_that_stopped_by_themselves_are_not(meddistill):
    code, out, err = meddistill(
        "trial", *SMALL_TEACHER, "student=mlp_tiny", "patience=1", "optimizer.lr=0.1",
        "trial.repeats=2", "arm=[teacher,student_alone,distilled]", "trial.few_labels=null",
        "arms.distilled.tune={loss.temperature:[1.0],loss.alpha:[0.5]}", "trial.seeds=1",
        "hydra.run.dir=short",
    )  # fmt: skip
    assert code == 0, err
    assert [s["cut_short"] for s in summary(Path("short"))["settings"]] == [{}]
    assert "cut short" not in out


def test_arms_share_the_rows_and_the_student_has_a_tenth_of_the_labels(finished):
    rows = pd.read_parquet(finished / "predictions.parquet")
    test = rows[rows["part"] == "test"]
    of_arm = test.groupby(["split", "setting", "arm"], observed=True)["row"].agg(frozenset)
    assert (of_arm.groupby("split").nunique() == 1).all()
    all_labels, few = summary(finished)["settings"]
    assert few["rows"]["labelled"] == pytest.approx(0.1 * all_labels["rows"]["labelled"], abs=2)


def test_differences_are_paired_by_split(finished):
    table = pd.read_csv(finished / "results.csv").query("setting == 0")
    wide = table.pivot(index="split", columns="arm", values="log_loss")
    found = summary(finished)["settings"][0]["differences"]["logistic"]["log_loss"]
    assert found["mean"] == pytest.approx((wide["logistic"] - wide["student_alone"]).mean())


def test_costs_of_every_arm_are_known(finished):
    costs = summary(finished)["trial"]["costs"]
    assert costs["distilled"]["parameters"] == 30 * 8 + 8 + 8 * 2 + 2
    assert costs["distilled"]["multiply_adds"] == 30 * 8 + 8 * 2
    assert costs["logistic"]["parameters"] == 31
    for name in (*LATENCIES, "bytes", "seconds_to_train"):
        assert all(costs[arm][name] > 0 for arm in ARMS), name


def test_the_report_is_one_page_that_needs_no_network(finished):
    page = (finished / "report.html").read_text()
    assert len(page) < 1_000_000
    links = re.findall(r"""(?:src|href)=["']([^"']*)""", page)
    assert all(link.startswith("#") for link in links)
    assert not re.search(r"@import|url\((?!#)", page)
    assert page.index("What was found") < page.index("Measures on test rows")
    assert page.count('role="img"') == page.count("<figure>")
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_a_report_made_again_is_the_same(finished, meddistill, tmp_path):
    shutil.copytree(finished, tmp_path / "copy")
    (tmp_path / "copy" / "report.html").unlink()
    code, out, _ = meddistill("report", "copy")
    assert code == 0
    assert "Report: copy/report.html" in out
    assert (tmp_path / "copy/report.html").read_text() == (finished / "report.html").read_text()


def test_a_killed_trial_goes_on_with_what_is_missing(finished, meddistill, monkeypatch):
    from meddistill.stack import chunks

    train, calls = chunks._train_chunk, []

    def killed_at_the_second(*given):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return train(*given)

    monkeypatch.setattr(chunks, "_train_chunk", killed_at_the_second)
    assert meddistill(*TRIAL)[0] == 130
    kept = {path.name for path in Path("trial/parts").glob("*.ckpt")}
    assert len(kept) > 4  # every classifier's splits, and a stack
    code, out, _ = meddistill(*TRIAL)
    assert code == 0
    assert re.search(r"\d+ of \d+ students were trained before", out)
    pd.testing.assert_frame_equal(
        pd.read_csv("trial/results.csv"), pd.read_csv(finished / "results.csv")
    )
    code, out, _ = meddistill(*TRIAL)  # finished: nothing is trained
    assert code == 0
    assert "students" not in out
    assert "Report: trial/report.html" in out


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("trial.main=wrong", "trial.main=wrong: is no arm; there are"),
        ("trial.repeats=0", "trial.repeats=0: must be a whole number"),
        ("trial.margins.auroc=-1", "trial.margins.auroc=-1"),
        ("monitor=val/auroc", "monitor=val/auroc: a trial chooses by val/log_loss"),
        ("+arms.distilled.tune={loss.wrong:[1]}", "loss.wrong=1: no such setting"),
        ("+arms.logistic.tune={wrong:[1]}", "wrong=1: no such setting"),
        ("loss=kd_auto", "searches by itself"),
        ("arm=[teacher,student_alone,distilled,dkd]", "loss=dkd needs at least 3 classes"),
    ],
)
def test_what_a_trial_refuses_is_said_before_anything_is_trained(meddistill, override, says):
    code, _, err = meddistill("trial", *SMALL_TEACHER, override)
    assert code == 2
    assert says in err
    assert not Path("store").exists()
    assert not list(Path().rglob("trial.json"))


def test_a_teacher_without_parts_has_no_pruned_arm(meddistill):
    code, out, err = meddistill(
        "trial", *SMALL_TEACHER, "student=mlp_tiny", "trainer.max_epochs=1", "trial.repeats=2",
        "arm=[teacher,student_alone,distilled,pruned_teacher]", "trial.few_labels=null",
        "arms.distilled.tune={loss.temperature:[1.0],loss.alpha:[0.5]}", "trial.seeds=1",
    )  # fmt: skip
    assert code == 0, err
    assert "pruned teacher: left out, the teacher has no parts" in out


def test_an_arm_that_reads_layers_leaves_the_stored_answers_to_the_others(meddistill):
    hint = (
        "+arms.hint={_target_:meddistill.trial.arms.StudentArm,label:hint,"
        "loss:{_target_:meddistill.losses.fitnets.FitNets}}"
    )
    small = (
        "trial", *SMALL_TEACHER, "student=mlp_tiny", "trainer.max_epochs=2", "trial.repeats=2",
        "trial.few_labels=null", "trial.seeds=1", "arm=[teacher,student_alone,distilled]",
        "arms.distilled.tune={loss.temperature:[1.0],loss.alpha:[0.5]}",
    )  # fmt: skip
    code, out, err = meddistill(*small, hint, "hydra.run.dir=both")
    assert code == 0, err
    assert "one by one: loss=fitnets reads layers of a live teacher" in out
    code, _, err = meddistill(*small, "hydra.run.dir=plain")
    assert code == 0, err
    with_hint, plain = (pd.read_csv(f"{name}/results.csv") for name in ("both", "plain"))
    kept = with_hint[with_hint["arm"] != "hint"].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, plain)
    refused = {
        "teacher=forest": "reads layers of the teacher, and this teacher is no network",
        "student=logistic": "nothing to learn in front of its layer",
    }
    for override, says in refused.items():
        code, _, err = meddistill("trial", "trial.repeats=2", hint, override)
        assert code == 2
        assert says in err


def test_an_arm_may_have_a_student_and_rows_of_its_own(meddistill):
    code, out, err = meddistill(
        *TRIAL[:1], "teacher=forest", "teacher.trees=5", "student=mlp_tiny", "trainer.max_epochs=2",
        "trial.repeats=2", "trial.seeds=1", "trial.few_labels=null", "trial.main=scorecard",
        "arm=[student_alone,scorecard]", "hydra.run.dir=trial",
        "arms.student_alone.tune={optimizer.weight_decay:[0.0]}",
        "arms.scorecard.tune={loss.temperature:[2.0],loss.alpha:[0.5],optimizer.weight_decay:[0.0]}",
    )  # fmt: skip
    assert code == 0, err
    assert "2 student(s) are trained one by one: a ScoreCard" in out
    predictions = pd.read_parquet("trial/predictions.parquet")
    risks = predictions.groupby(["arm", "split"])["p_malignant"].nunique()
    assert risks["scorecard"].max() < risks["student_alone"].min()  # equal sums, equal risks
    costs = json.loads(Path("trial/trial.json").read_text())["summary"]["costs"]
    assert costs["scorecard"]["parameters"] == 8 * 6 + 1  # of the columns that the card asks for
