"""Series through every verb: what a student of one layout learns from a teacher of another."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import meddistill as package
from made_series import as_long, made_arrays, save_series

TEACHER = ("teacher=gru", "teacher.network.width=4", "teacher.trainer.max_epochs=2")
SUMMARY = ("student=mlp_tiny", "preprocessing=summary")


@pytest.mark.parametrize("student", [("student=gru_small",), SUMMARY, ("student=cnn1d_small",)])
def test_a_student_of_any_layout_answers_new_rows_as_it_was_scored(student, meddistill, tmp_path):
    rows = save_series(tmp_path)
    code, _, err = meddistill(
        "distill", *rows, *TEACHER, *student, "trainer.max_epochs=2", "hydra.run.dir=run"
    )
    assert code == 0, err
    scored = pd.read_parquet("run/predictions.parquet").sort_values(
        "row", key=lambda r: r.astype(int)
    )
    answers = package.predict("run", tmp_path / "series.npz")
    assert np.allclose(scored["p_1"].to_numpy(), answers["1"].to_numpy(), atol=1e-6)
    by_id = package.predict("run", as_long(made_arrays(rows=90)))
    assert by_id.index.tolist()[:2] == ["100", "101"]
    code, _, err = meddistill("export", "run", "--to", "given")
    assert code == 0, err
    assert package.predict("given", tmp_path / "series.npz").equals(answers)
    assert "Series" in Path("given/README.md").read_text()


def test_a_student_learns_at_which_steps_its_teacher_looks(meddistill, tmp_path):
    code, _, err = meddistill(
        "distill", *save_series(tmp_path), *TEACHER, "student=gru_small", "trainer.max_epochs=1",
        "loss=attention_transfer", "answers=live", "loss.student_layer=forwards",
        "loss.teacher_layer=backwards",
    )  # fmt: skip
    assert code == 0, err


def test_a_page_shows_series_of_the_largest_errors_only_where_it_is_asked_to(meddistill, tmp_path):
    small = [*save_series(tmp_path), *TEACHER, "student=gru_small", "trainer.max_epochs=1"]
    code, _, err = meddistill("distill", *small, "hydra.run.dir=run")
    assert code == 0, err
    page = Path("run/report.html")
    for more in ([], ["--examples", "2"]):
        code, _, err = meddistill("report", "run", *more)
        assert code == 0, err
        assert ("Series of patients" in page.read_text()) == bool(more)
    assert "The 2 test rows of the largest log loss" in page.read_text()
    assert "teacher: 0." in page.read_text()


def test_students_that_a_series_can_not_be_read_by_are_refused_with_the_mend(meddistill, tmp_path):
    rows = save_series(tmp_path)
    code, _, err = meddistill("distill", *rows, *TEACHER, "student=mlp_tiny")
    assert code == 2
    assert "student=mlp: reads lists of numbers, and the rows here are series" in err
    assert "preprocessing=" in err
    code, _, err = meddistill("distill", *rows, "teacher=boosting", "student=gru_small")
    assert code == 2
    assert "preprocessing@teacher.preprocessing" in err
    code, _, err = meddistill("distill", "teacher=gru")
    assert code == 2
    assert "series" in err


@pytest.mark.slow
def test_gru_students_of_a_job_train_in_a_stack_and_convolutions_one_by_one(meddistill, tmp_path):
    rows = save_series(tmp_path)
    np.savez("more.npz", **{**made_arrays(rows=20, seed=3), "record_id": np.arange(20)})
    axes = 'stack.axes=["seed=range(0,2)","loss.alpha=0,0.9"]'
    small = [*rows, *TEACHER, "trainer.max_epochs=2"]
    more = [*small, "student=gru_small", "data.unlabelled=more.npz"]
    code, out, err = meddistill("distill", *more, axes, "hydra.run.dir=stack")
    assert code == 0, err
    assert "one by one" not in out
    code, _, err = meddistill("distill", *more, "loss.alpha=0.9", "seed=1", "hydra.run.dir=alone")
    assert code == 0, err
    alone = json.loads(Path("alone/metrics.json").read_text())
    assert alone["data"]["added"] == {"unlabelled": 20}
    table = pd.read_csv("stack/metrics.csv").set_index(["loss.alpha", "seed"])
    assert table.loc[(0.9, 1), "score"] == pytest.approx(alone["score"], abs=1e-5)
    assert table["rows/unlabelled"].fillna(0).tolist() == [0, 20, 0, 20]
    code, out, err = meddistill("distill", *small, axes, "student=cnn1d_small")
    assert code == 0, err
    assert "Conv1d gains nothing in a stack, and drifts" in out + err


@pytest.mark.slow
def test_a_trial_of_series_compares_students_with_boosting_on_summaries(meddistill, tmp_path):
    np.savez("more.npz", **{**made_arrays(rows=20, seed=3), "record_id": np.arange(20)})
    code, _, err = meddistill(
        "trial", *save_series(tmp_path), "data.unlabelled=more.npz", *TEACHER,
        "student=gru_small", "trainer.max_epochs=1",
        "arm=[teacher,student_alone,distilled,boosting]",
        "preprocessing@arms.boosting.preprocessing=summary", "arms.boosting.estimator.max_iter=3",
        "arms.boosting.tune={learning_rate:[0.1],max_leaf_nodes:[2]}",
        "arms.student_alone.tune={optimizer.weight_decay:[0.0]}",
        "arms.distilled.tune={loss.temperature:[1.0],loss.alpha:[0.5]}", "trial.repeats=2",
        "trial.seeds=1",
        "trial.few_labels=null", "hydra.run.dir=trial",
    )  # fmt: skip
    assert code == 0, err
    arms = json.loads(Path("trial/results.json").read_text())
    assert "boosting" in json.dumps(arms)


def test_a_network_without_the_mask_is_trained_and_says_so_in_its_settings(meddistill, tmp_path):
    code, _, err = meddistill(
        "distill", *save_series(tmp_path), *TEACHER, "student=gru_small", "trainer.max_epochs=1",
        "preprocessing=channels", "preprocessing.mask=false", "hydra.run.dir=run",
    )  # fmt: skip
    assert code == 0, err
    assert json.loads(Path("run/preprocessing.json").read_text())["parts"] == 1
    assert json.loads(Path("run/model.json").read_text())["in_shape"][0] == 1
