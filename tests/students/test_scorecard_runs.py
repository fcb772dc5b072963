"""A card from the command line: trained, made whole, kept, and asked about new rows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import meddistill as package
from conftest import SMALL_TEACHER
from meddistill.data.tables.breast_cancer import breast_cancer

CARD = ("student=scorecard", "trainer.max_epochs=4", "hydra.run.dir=run")


def patients(rows=240):
    """A table with missing cells, a category that is rare, and an outcome that both explain."""
    random = np.random.default_rng(0)
    age, ward = random.uniform(20, 90, rows).round(), random.choice(list("abc"), rows)
    risk = (age - 55) / 12 + 1.5 * (ward == "b")
    frame = pd.DataFrame({"age": age, "ward": ward, "noise": random.normal(size=rows)})
    frame.loc[random.uniform(size=rows) < 0.15, "age"] = np.nan
    frame.loc[:2, "ward"] = "rare"
    return frame.assign(ill=(random.uniform(size=rows) < 1 / (1 + np.exp(-risk))).astype(int))


def test_the_kept_model_is_the_card_and_answers_by_the_sum_of_whole_points(meddistill, caplog):
    patients().to_csv("patients.csv", index=False)
    code, out, err = meddistill(
        "distill", "data=table", "data.path=patients.csv", "data.target=ill", "data.labels=0.3",
        *SMALL_TEACHER, *CARD, "student.most_columns=2",
    )  # fmt: skip
    assert code == 0, err
    assert "Risk by sum" in out
    assert "The student reads 2 column(s)" in out
    run, frame = package.load_model("run"), patients().drop(columns="ill")
    card = run.network.members[0].requires_grad_(False)
    assert torch.equal(card.points, card.points.round())
    codes = run.preprocessing(run.preprocessing.read(frame))
    points = np.pad(card.points.numpy(), ((0, 0), (0, 1)))  # a cell in no band has none
    sums = np.take_along_axis(points[None], codes[..., None], 2).sum((1, 2))
    risk = 1 / (1 + np.exp(-(float(card.offset) + float(card.scale) * sums.astype(np.float64))))
    answers = run.predict_proba(frame)["1"]
    np.testing.assert_allclose(answers, risk, atol=1e-6)
    assert len(answers.unique()) == len(np.unique(sums))
    check_scores(answers)
    new = pd.DataFrame({"age": [None, 50], "ward": ["never seen", None], "noise": [None, None]})
    assert run.predict_proba(new).notna().all(axis=None)
    check_columns(run, frame, caplog)


def check_columns(run, frame, caplog):
    """A row needs the columns with points alone, and nothing is said of the others."""
    metrics = json.loads(Path("run/metrics.json").read_text())
    names = metrics["columns"]["columns"]
    assert names == [each["column"] for each in metrics["scorecard"]["columns"]]
    assert metrics["student"]["parameters"] == 2 * 6 + 1
    (other,) = set(frame) - set(names)
    caplog.clear()
    assert run.predict_proba(frame).equals(run.predict_proba(frame[names]))
    run.predict_proba(frame.assign(**{other: 1e9}))
    assert f"'{other}'" not in caplog.text


def check_scores(answers):
    """Predictions by row and the run's score are the card's, not of what was trained before it."""
    predictions = pd.read_parquet("run/predictions.parquet")
    numbers = predictions["row"].astype(int)
    np.testing.assert_allclose(predictions["p_1"], answers[numbers - numbers.min()], atol=1e-7)
    metrics = json.loads(Path("run/metrics.json").read_text())
    assert metrics["score"] == pytest.approx(metrics["student"]["validation"]["log_loss"], abs=1e-5)


def test_a_loss_of_a_live_teachers_order_makes_a_card(meddistill):
    code, out, err = meddistill(
        "distill", "loss=ranking", "answers=live", *SMALL_TEACHER, *CARD, "trainer.max_epochs=1"
    )
    assert code == 0, err
    assert "class shares alone" not in out + err  # which the points of one epoch don't beat
    points = package.load_model("run").network.members[0].points
    assert torch.equal(points, points.round())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["preprocessing=usual"], "student=scorecard: reads bands of columns"),
        (["loss=fitnets"], "ScoreCard"),
    ],
)
def test_what_no_card_can_do_is_refused_before_a_teacher_is_trained(arguments, said, meddistill):
    code, _, err = meddistill("distill", *CARD, *arguments)
    assert code == 2
    assert said in err
    assert not Path("store").exists()


def test_cards_of_a_stack_are_trained_one_by_one_and_a_picked_one_answers(meddistill):
    code, out, err = meddistill(
        "distill",
        "loss=ce",
        CARD[0],
        "trainer.max_epochs=1",
        "stack.axes=['seed=0,1']",
        "hydra.run.dir=job",
    )
    assert code == 0, err
    assert "a ScoreCard is finished by itself" in out
    code, _, err = meddistill("pick", "job", "seed=1", "--to", "picked")
    assert code == 0, err
    metrics = json.loads(Path("picked/metrics.json").read_text())
    names = [each["column"] for each in metrics["scorecard"]["columns"]]
    assert len(names) == 8
    code, _, err = meddistill("export", "picked", "--to", "handed/on")
    assert code == 0, err
    rows = breast_cancer().records.frame
    answers = package.predict("handed/on", rows[names])["malignant"]
    predictions = pd.read_parquet("picked/predictions.parquet")
    np.testing.assert_array_equal(
        predictions["p_malignant"].astype("float32"), answers.astype("float32")
    )
    assert metrics["columns"]["columns"] == names
    assert metrics["student"]["parameters"] == 8 * 6 + 1
