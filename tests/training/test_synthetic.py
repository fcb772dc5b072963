"""Synthetic rows beside the training rows: who reads them, who answers them, and nobody else."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from conftest import SMALL_TEACHER
from meddistill.data.datamodule import CohortDataModule
from meddistill.data.tables.munge import Munge
from meddistill.stack.tables import Table
from meddistill.students.columns import Choice
from meddistill.teachers.forest import ForestTeacher
from meddistill.teachers.targets import find_targets
from meddistill.trial.tables import Way, as_read

SHORT = ("trainer.max_epochs=3", "student=mlp_tiny")


@pytest.fixture
def added(data):
    train = data.split.train
    made = Munge(copies=2)(data.cohort.records.take(train), data.inputs_at(train))
    return data.with_unlabelled(made)


def weights(folder):
    return torch.load(f"{folder}/checkpoints/best.ckpt", weights_only=True)["state_dict"]


def test_an_epoch_has_every_training_row_and_every_synthetic_row_once(added):
    count = len(added.split.train)
    batches = list(added.train_dataloader())
    assert sum(len(batch.target) for batch in batches) == 3 * count
    seen = Counter(tuple(row) for batch in batches for row in batch.inputs.tolist())
    assert seen == Counter(map(tuple, added.rows.inputs[added.train_rows].tolist()))
    labels = torch.cat([batch.label_weight > 0 for batch in batches])
    assert int(labels.sum()) == count


def test_validation_test_and_the_cohorts_inputs_are_as_before(added, cohort, split):
    before = CohortDataModule(cohort, split).rows.inputs
    assert added.rows.inputs[: len(cohort.target)].equal(before)
    assert len(next(iter(added.val_dataloader())).target) == len(split.validation)
    assert len(next(iter(added.test_dataloader())).target) == len(split.test)


def test_synthetic_rows_are_made_of_training_rows_alone(added, cohort, split):
    for column in cohort.records.frame:
        own = set(cohort.records.frame[column].iloc[split.train])
        assert set(added.unlabelled[0].frame[column]) <= own


def test_answers_for_synthetic_rows_are_the_teachers(meddistill, monkeypatch):
    from meddistill.inference.loading import load_model

    kept = {}
    with_answers = CohortDataModule.with_answers

    def watched(self, answers):
        kept["data"] = with_answers(self, answers)
        return kept["data"]

    monkeypatch.setattr(CohortDataModule, "with_answers", watched)
    code, out, err = meddistill(
        "distill", *SHORT, "teacher=forest", "teacher.trees=5", "synthetic=munge"
    )
    assert code == 0, err
    assert "synthetic: 1372 rows made of 343 training rows" in out
    data = kept["data"]
    folder = next(path for path in Path("store/teachers").iterdir() if path.is_dir())
    expected = load_model(folder).log_probabilities(data.unlabelled[0])
    found = data.rows.answers[len(data.cohort.target) :].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert len(np.unique(found.round(4), axis=0)) > 20


def test_a_live_teacher_answers_them_as_the_stored_answers_say(meddistill):
    for answers in ("stored", "live"):
        code, _, err = meddistill(
            "distill", *SMALL_TEACHER, *SHORT, "synthetic=munge", f"answers={answers}",
            f"hydra.run.dir={answers}",
        )  # fmt: skip
        assert code == 0, err
    stored, live = weights("stored"), weights("live")
    for name, value in stored.items():
        torch.testing.assert_close(live[name], value, atol=1e-5, rtol=1e-4)


def test_a_student_without_a_teacher_does_not_read_them(meddistill):
    meddistill("distill", *SHORT, "loss=ce", "hydra.run.dir=plain")
    code, _, err = meddistill(
        "distill", "-m", *SMALL_TEACHER, *SHORT, "loss=ce,kd", "synthetic=munge",
        "hydra/sweeper=basic", "hydra.sweep.dir=sweep", "hydra.sweep.subdir=${hydra.job.num}",
    )  # fmt: skip
    assert code == 0, err
    plain, synthetic = weights("plain"), weights("sweep/0")
    assert all(torch.equal(value, synthetic[name]) for name, value in plain.items())


def test_a_sweep_over_copies_trains_in_stacks_what_single_runs_train(meddistill):
    common = (*SMALL_TEACHER, *SHORT, "synthetic=munge")
    code, out, err = meddistill(
        "distill", "-m", *common, "synthetic.copies=1,2", "seed=0,1", "hydra.sweep.dir=sweep"
    )
    assert code == 0, err
    assert "one by one" not in out
    sweep = pd.read_csv("sweep/sweep.csv").set_index(["synthetic.copies", "seed"])
    assert len(sweep) == 4
    for copies in (1, 2):
        code, _, err = meddistill(
            "distill", *common, f"synthetic.copies={copies}", "seed=1",
            f"hydra.run.dir=single{copies}",
        )  # fmt: skip
        assert code == 0, err
        single = json.loads(Path(f"single{copies}/metrics.json").read_text())
        assert sweep.loc[(copies, 1), "score"] == pytest.approx(single["score"], abs=1e-6)


def test_in_a_trial_only_arms_with_a_teacher_read_them(meddistill):
    common = (
        "trial", *SMALL_TEACHER, *SHORT, "trial.repeats=2", "trial.few_labels=null",
        "trial.seeds=1", "arms.distilled.tune={loss.temperature:[1.0],loss.alpha:[1.0]}",
    )  # fmt: skip
    code, _, err = meddistill(
        *common, "arm=[teacher,student_alone,distilled,munge,permuted_teacher]",
        "hydra.run.dir=beside",
    )  # fmt: skip
    assert code == 0, err
    code, _, err = meddistill(
        *common, "synthetic=munge", "arm=[teacher,student_alone,distilled]", "hydra.run.dir=all"
    )
    assert code == 0, err
    names = ("beside", "all")
    beside, every = (pd.read_csv(f"{n}/results.csv").set_index("arm")["log_loss"] for n in names)
    assert beside["student_alone"].tolist() == every["student_alone"].tolist()
    assert beside["munge"].tolist() == every["distilled"].tolist()
    assert beside["munge"].tolist() != beside["distilled"].tolist()


def test_in_a_trial_they_are_the_same_whichever_columns_a_student_reads(data, tmp_path):
    targets = find_targets(ForestTeacher(trees=3), data.cohort, data.split, tmp_path, {})
    few = ["mean area", "worst area"]
    munge = {"_target_": "meddistill.data.tables.munge.Munge", "copies": 1}
    way = Way("true", munge, False, {}, "preprocessing", 0.0)
    whole, narrow = (
        as_read([Table({}, data.with_columns(columns), targets, choice)], [way])[0].data
        for columns, choice in ((None, None), (few, Choice(few)))
    )
    pd.testing.assert_frame_equal(narrow.unlabelled[0].frame, whole.unlabelled[0].frame)
    assert torch.equal(narrow.rows.answers, whole.rows.answers)
    assert narrow.in_shape == (2,)


NOTHING_TAKEN = {
    "distill": ("synthetic=munge", "loss.alpha=0"),
    "trial": ("arm=[teacher,student_alone,distilled,munge]", "arms.munge.tune={loss.alpha:[0,1]}"),
}


@pytest.mark.parametrize("verb", ["distill", "trial"])
def test_what_can_not_be_is_refused_before_a_teacher_is_trained(verb, meddistill, cohort):
    pd.DataFrame({"malignant": cohort.target}).to_csv("scores.csv", index=False)
    scores = ("teacher=scores", "teacher.path=scores.csv", "teacher.column=malignant")
    refused = {
        (*scores, "synthetic=munge"): "this teacher is a file of them (teacher=scores)",
        ("synthetic=munge", "synthetic.copies=0"): "synthetic.copies=0: must be a whole number",
        NOTHING_TAKEN[verb]: "synthetic=munge: loss=kd takes nothing from the teacher as it is set",
        ("synthetic=munge", "+synthetic.wrong=1"): "synthetic.wrong=1: no such setting",
    }
    for overrides, says in refused.items():
        code, _, err = meddistill(verb, *overrides)
        assert code == 2
        assert says in err
        assert not Path("store").exists()


def test_a_loss_of_labelled_rows_alone_is_refused(meddistill):
    code, _, err = meddistill("distill", "loss=dkd", "synthetic=munge")
    assert code == 2
    assert "loss=dkd learns from labelled rows alone, and synthetic rows have no labels" in err
