"""Students whose classes are out of balance, from the command line."""

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
from meddistill.inference.loading import load_model
from meddistill.teachers.teaching import build_teacher

RUN = (*SMALL_TEACHER, "student=mlp_tiny", "logger=none", "trainer.max_epochs=4")


def metrics(folder):
    return json.loads((Path(folder) / "metrics.json").read_text())


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (("imbalance=weights", "loss.alpha=1"), "imbalance=weights: loss=kd takes nothing from"),
        (("imbalance=weights", "imbalance.cost={malignent: 5}"), "did you mean malignant"),
        (("imbalance=weights", "imbalance.gamma=2"), "gamma"),
        (("imbalance=logit_adjustment", "imbalance.correct=true"), "imbalance=none"),
        (("imbalance=logit_adjustment", "threshold=cost:5"), "threshold=cost:5: is for answers of"),
        (("imbalance=weights", "imbalance.cost={benign: -1}", "loss=ce"), "error: imbalance.cost."),
        (
            ("imbalance=focal", "imbalance.gamma=-1"),
            "error: imbalance.gamma=-1: must be a number above 0",
        ),
    ],
)
def test_what_does_nothing_or_is_not_there_is_refused(overrides, says, meddistill):
    code, _, said = meddistill("distill", *RUN, *overrides)
    assert code == 2
    assert says in " ".join(said.split())


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (("imbalance=logit_adjustment",), "imbalance=logit_adjustment: does nothing to a teacher"),
        (("imbalance=weights", "imbalance.cost={malignent: 5}"), "error: imbalance.cost="),
        (
            ("imbalance=weights", "imbalance.correct=false"),
            "a teacher's answers are always brought",
        ),
        (("imbalance=weights", "+imbalance@teacher.imbalance=none"), "has its own"),
    ],
)
def test_a_teacher_alone_refuses_what_it_would_not_show(overrides, says, meddistill):
    code, _, said = meddistill("teacher", *SMALL_TEACHER, *overrides)
    assert code == 2
    assert says in " ".join(said.split())


def test_what_a_teacher_has_from_its_student_is_refused_by_the_key_that_was_given():
    given = ("teacher=forest", "imbalance=focal")
    with pytest.raises(SettingError, match=r"^imbalance=focal: is a loss of networks"):
        build_teacher(resolved(composed("distill", *given)))
    own = ("teacher=forest", "+imbalance@teacher.imbalance=focal")
    with pytest.raises(SettingError, match=r"^teacher.imbalance=focal: is a loss of networks"):
        build_teacher(resolved(composed("distill", *own)))


def test_a_focal_student_is_brought_back_wherever_its_folder_goes(meddistill, cohort):
    assert meddistill("distill", *RUN, "imbalance=focal", "hydra.run.dir=run")[0] == 0
    found = metrics("run")["imbalance"]
    assert found["how"] == "focal"
    assert found["temperature"] != 1
    model = load_model("run")
    assert model.card.temperature == found["temperature"]
    table = pd.read_parquet("run/predictions.parquet")
    answers = np.exp(model.log_probabilities(cohort.records))
    np.testing.assert_allclose(answers[:, 1], table["p_malignant"], atol=1e-12)


def test_a_sweep_over_gamma_is_one_job_and_its_pick_is_the_run_alone(meddistill):
    grid = ("imbalance=focal", "imbalance.gamma=1,3", "loss=ce")
    assert meddistill("distill", "-m", *RUN, *grid, "hydra.sweep.dir=sweep")[0] == 0
    assert len(list(Path("sweep").glob("*/metrics.csv"))) == 1
    assert meddistill("pick", "sweep", "imbalance.gamma=3", "--to", "picked")[0] == 0
    alone = ("imbalance=focal", "imbalance.gamma=3", "loss=ce", "hydra.run.dir=alone")
    assert meddistill("distill", *RUN, *alone)[0] == 0
    one, other = metrics("picked"), metrics("alone")
    assert one["imbalance"]["temperature"] == pytest.approx(other["imbalance"]["temperature"])
    assert one["student"]["test"] == pytest.approx(other["student"]["test"], abs=1e-6)
    assert load_model("picked").card.temperature == one["imbalance"]["temperature"]


def test_bent_answers_are_kept_where_they_are_asked_for(meddistill):
    bent = ("imbalance=weights", "imbalance.cost={malignant: 50}", "loss=ce")
    means = []
    for correct in ("true", "false"):
        own = (*bent, f"imbalance.correct={correct}", f"hydra.run.dir=run-{correct}")
        assert meddistill("distill", *RUN, *own, "trainer.max_epochs=40")[0] == 0
        table = pd.read_parquet(Path(f"run-{correct}") / "predictions.parquet")
        means.append(table["p_malignant"].mean())
    assert means[1] > means[0] + 0.1
    assert abs(means[0] - 212 / 569) < 0.08


def test_a_bent_model_says_so_wherever_it_goes(meddistill, cohort, caplog):
    bent = ("imbalance=logit_adjustment", "loss=ce", "hydra.run.dir=run")
    code, said, _ = meddistill("distill", *RUN, *bent)
    assert code == 0
    assert "not those of the true prior" in " ".join(said.split())
    assert "not those of the true prior" in Path("run/report.md").read_text()
    card = json.loads(Path("run/model.json").read_text())
    assert card["bent"] == metrics("run")["imbalance"]["left"]
    assert meddistill("export", "run", "--to", "out")[0] == 0
    assert "not those of the true prior" in Path("out/README.md").read_text()
    model = load_model("out")
    for _ in range(2):
        model.predict_proba(cohort.records.frame.head(3))
    assert sum("true prior" in each.getMessage() for each in caplog.records) == 1
    taught = ("teacher=checkpoint", "teacher.path=run", "student=mlp_tiny", "logger=none")
    code, _, error = meddistill("distill", *taught)
    assert code == 2
    assert "teacher.path=run: can't teach" in " ".join(error.split())


def test_a_picked_student_of_a_sweep_is_as_bent_as_the_run_alone(meddistill):
    grid = ("imbalance=logit_adjustment", "imbalance.tau=0.5,1", "loss=ce")
    assert meddistill("distill", "-m", *RUN, *grid, "hydra.sweep.dir=sweep")[0] == 0
    assert meddistill("pick", "sweep", "imbalance.tau=0.5", "--to", "picked")[0] == 0
    assert load_model("picked").card.bent == metrics("picked")["imbalance"]["left"] != []
