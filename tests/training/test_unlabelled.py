"""Rows without labels from a file: who reads them, who answers them, and which are refused."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from conftest import SMALL_TEACHER
from meddistill.config.identity import identity
from meddistill.data.datamodule import CohortDataModule
from meddistill.data.held_back import check_unlabelled
from meddistill.data.split import split_cohort
from meddistill.data.tables.table import table
from meddistill.errors import SettingError, UserError
from meddistill.losses.dkd import DKD
from meddistill.losses.kd import KD
from meddistill.students.checks import check_teacher
from meddistill.teachers.forest import ForestTeacher
from meddistill.teachers.scores import ScoresTeacher

SHORT = (*SMALL_TEACHER, "student=mlp_tiny", "trainer.max_epochs=2")
MORE = ("data.unlabelled=more.csv",)
RUN = ("data=table", "data.path=mine.csv", "data.target=sick", "data.id=patient")


def rows(first, count):
    """Patients by number; a test that is missing now and then, and a whole one."""
    number = np.arange(first, first + count)
    random = np.random.default_rng(first)
    marker = random.normal(size=count).round(3)
    return pd.DataFrame({
        "patient": [f"P{k}" for k in number],
        "marker": np.where(number % 7 == 0, np.nan, marker),
        "visits": random.integers(0, 10**6, count),
        "sex": np.where(random.random(count) < 0.5, "female", "male"),
        "sick": np.where(marker + random.normal(size=count) > 0, "yes", "no"),
    })  # fmt: skip


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A table of 150 patients, and 60 others without a diagnosis."""
    monkeypatch.chdir(tmp_path)
    rows(0, 150).to_csv("mine.csv", index=False)
    rows(1000, 60).drop(columns="sick").to_csv("more.csv", index=False)


def read(**settings):
    return table("mine.csv", "sick", **{"id": "patient", "unlabelled": "more.csv", **settings})


def module(**settings):
    cohort = read(**settings)
    return CohortDataModule(cohort, split_cohort(cohort))


def put(changed):
    """Put rows into the file of those without labels."""
    changed.to_csv("more.csv", index=False)


# The file


def test_the_file_is_read_by_the_datas_own_schema(mine):
    put(rows(1000, 60).assign(visits="3.0", sick="unknown"))
    cohort = read()
    more = cohort.unlabelled
    assert more.records.schema is cohort.records.schema
    assert more.records.frame["visits"].tolist() == [3.0] * 60
    assert list(more.records.frame) == ["marker", "visits", "sex"]
    assert "60 rows without labels (data.unlabelled: 'more.csv')" in cohort.notes[-2]
    assert "their column 'sick' is not read" in cohort.notes[-2]


def test_the_teacher_does_not_learn_from_them(mine):
    assert read().fingerprint == read(unlabelled=None).fingerprint


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda: Path("more.csv").unlink(), "data.unlabelled=more.csv: no such file"),
        (lambda: put(rows(1000, 9).drop(columns="sex")), "these rows lack column 'sex'"),
        (lambda: put(rows(1000, 9).drop(columns="patient")), "lacks column 'patient' (data.id)"),
        (lambda: put(rows(1000, 9).assign(marker="high")), "column 'marker'"),
        (lambda: put(rows(1000, 9).assign(patient="P")), "holds 'P' more than once"),
    ],
)  # fmt: skip
def test_a_file_that_can_not_be_read_is_refused_by_name(mine, change, says):
    change()
    with pytest.raises(SettingError) as caught:
        read()
    assert says in str(caught.value)
    assert str(caught.value).startswith("data.unlabelled=more.csv: ")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["more.csv", "mine.csv"], "data.unlabelled=[more.csv,mine.csv]: must be one file"),
        (False, "data.unlabelled=false: must be one file (of pictures also a folder)"),
        (".", "data.unlabelled=.: is a folder, and a table is one file"),
    ],
)
def test_what_is_no_one_file_is_refused_by_name(mine, given, says):
    with pytest.raises(SettingError) as caught:
        read(unlabelled=given)
    assert str(caught.value).startswith(says)


def test_one_row_is_said_to_be_one(mine):
    put(rows(1000, 1))
    assert "1 row without labels (data.unlabelled: 'more.csv') joins" in read().notes[-2]


# Beside a split


@pytest.mark.parametrize("part", ["test", "validation"])
def test_a_row_that_a_split_holds_back_is_refused_by_id_and_by_content(mine, part):
    data = module()
    held = data.split.part(part)[3]
    own, new = rows(0, 150).iloc[[held]], rows(1000, 60)
    by_id = new.assign(patient=[*own["patient"], *new["patient"][1:]])
    by_content = pd.concat([new, own.assign(patient="somebody")])
    for changed, says in ((by_id, f"first: id P{held}"), (by_content, "first: id somebody")):
        put(changed)
        with pytest.raises(SettingError, match=f"1 of its rows .* of the {part} part .{says}"):
            check_unlabelled(module())


@pytest.mark.parametrize("part", ["test", "validation"])
@pytest.mark.parametrize(
    ("written", "rewritten"), [("P{:04}", "p{:04}"), ("{:04}", "{}"), ("{:04}", "{}.0")]
)
def test_an_id_or_a_group_spelled_otherwise_is_refused(mine, part, written, rewritten):
    held = module().split.part(part)[3]
    names = [written.format(k) for k in range(150)]
    odd = [rewritten.format(held), *map(written.format, range(1000, 1059))]
    rows(0, 150).assign(patient=names).to_csv("mine.csv", index=False)
    put(rows(1000, 60).assign(patient=odd))
    with pytest.raises(SettingError, match=f"id of 1 of its rows differs .* the {part} part"):
        check_unlabelled(module())
    rows(0, 150).assign(ward=names).to_csv("mine.csv", index=False)
    put(rows(1000, 60).assign(ward=odd))
    with pytest.raises(SettingError, match=f"and '{written.format(held)}' in the data.: write it"):
        check_unlabelled(module(group="ward"))


def test_ids_that_the_data_tell_apart_by_their_spelling_are_told_apart(mine):
    split = module().split
    names = [f"P{k}" for k in range(150)]
    names[split.train[0]] = names[split.test[0]].lower()
    rows(0, 150).assign(patient=names).to_csv("mine.csv", index=False)
    put(rows(1000, 60).assign(patient=[names[split.train[0]], *names[1000:], *map(str, range(59))]))
    check_unlabelled(module())


def test_a_row_of_a_group_that_is_held_back_is_refused(mine):
    rows(0, 150).assign(ward=np.arange(150) // 3).to_csv("mine.csv", index=False)
    put(rows(1000, 60).assign(ward=900))
    held = module(group="ward").split.test[0]
    put(rows(1000, 60).assign(ward=held // 3))
    with pytest.raises(SettingError, match="60 of its rows belong to groups"):
        check_unlabelled(module(group="ward"))


def test_rows_without_a_group_are_in_none_that_is_held_back(mine):
    rows(0, 150).assign(ward=None).to_csv("mine.csv", index=False)
    put(rows(1000, 60).assign(ward=None))
    check_unlabelled(module(group="ward"))


def test_copies_of_training_rows_are_said(mine, caplog):
    train = module(id=None, drop=["patient"], unlabelled=None).split.train
    put(pd.concat([rows(1000, 60), rows(0, 150).iloc[train[:2]]]))
    with caplog.at_level("INFO"):
        check_unlabelled(module(id=None, drop=["patient"]))
    assert "data.unlabelled: 2 row(s) are exact copies of training rows" in caplog.text


def test_they_are_looked_at_as_new_patients_are(mine, caplog):
    put(rows(1000, 60).assign(marker=1e6, visits=["true"] * 2 + ["5"] * 58))
    check_unlabelled(module())
    assert "data.unlabelled: numbers outside the training range" in caplog.text
    assert (
        "column 'visits' (2 row(s), first: 'true')" in caplog.text or "'visits' (2" in caplog.text
    )
    put(rows(1000, 60).assign(sex="unheard of"))
    with pytest.raises(SettingError, match=r"more\.csv: column 'sex': not one of the categories"):
        check_unlabelled(module())


# Runs


def test_a_student_learns_from_them_what_the_teacher_answers(mine, meddistill, monkeypatch):
    from meddistill.inference.loading import load_model

    kept = {}
    with_answers = CohortDataModule.with_answers

    def watched(self, answers):
        kept["data"] = with_answers(self, answers)
        return kept["data"]

    monkeypatch.setattr(CohortDataModule, "with_answers", watched)
    synthetic = ("synthetic=munge", "synthetic.copies=1")
    code, _, err = meddistill("distill", *SHORT, *RUN, *MORE, *synthetic, "hydra.run.dir=run")
    assert code == 0, err
    data = kept["data"]
    folder = next(path for path in Path("store/teachers").iterdir() if path.is_dir())
    expected = np.log(load_model(folder).predict_proba(pd.read_csv("more.csv")))
    np.testing.assert_allclose(data.rows.answers[150:210].numpy(), expected, atol=1e-5)
    assert len(data.train_rows) == 2 * len(data.split.train) + 60
    assert not data.rows.labelled[150:].any()
    count = len(data.split.train)
    said = f"The student learned from 60 unlabelled and {count} synthetic rows too"
    assert said in Path("run/report.md").read_text()
    assert meddistill("report", "run")[0] == 0
    assert said in Path("run/report.html").read_text()
    added = json.loads(Path("run/metrics.json").read_text())["data"]["added"]
    assert added == {"unlabelled": 60, "synthetic": count}
    known = json.loads(Path("run/known_rows.json").read_text())
    assert "P1000" in known
    assert len(known) == 60 + len(data.split.train) + len(data.split.validation)


def test_a_stack_and_a_live_teacher_read_what_a_single_run_reads(mine, meddistill):
    common = ("distill", *SHORT, *RUN, "data.labels=0.5")
    code, _, err = meddistill(
        *common, "-m", "data.unlabelled=null,more.csv", "loss=ce,kd", "hydra.sweep.dir=sweep"
    )
    assert code == 0, err
    score = pd.read_csv("sweep/sweep.csv").set_index(["loss", "data.unlabelled"])["score"]
    plain, more = (score.xs(name, level="loss").tolist() for name in ("ce", "kd"))
    assert plain[0] == plain[1]
    assert pd.read_csv("sweep/sweep.csv")["rows/unlabelled"].dropna().tolist() == [60]
    assert abs(more[0] - more[1]) > 1e-5
    for answers in ("stored", "live"):
        code, _, err = meddistill(*common, *MORE, f"answers={answers}", f"hydra.run.dir={answers}")
        assert code == 0, err
        single = json.loads(Path(f"{answers}/metrics.json").read_text())["score"]
        assert score["kd", "more.csv"] == pytest.approx(single, abs=1e-5)


def test_in_a_sweep_a_student_that_takes_nothing_from_the_teacher_does_not_read_them(
    mine, meddistill
):
    code, _, err = meddistill(
        "distill", *SHORT, *RUN, "-m", "data.unlabelled=null,more.csv", "loss.alpha=0,1",
        "hydra.sweep.dir=sweep",
    )  # fmt: skip
    assert code == 0, err
    score = pd.read_csv("sweep/sweep.csv").set_index(["loss.alpha", "data.unlabelled"])["score"]
    alone, taught = (score.xs(alpha, level="loss.alpha").tolist() for alpha in (0, 1))
    assert alone[0] == alone[1]
    assert abs(taught[0] - taught[1]) > 1e-5


def test_in_a_trial_only_arms_with_a_teacher_read_them(mine, meddistill):
    common = (
        "trial", *SHORT, *RUN, "trial.repeats=2", "trial.few_labels=null", "trial.seeds=1",
        "arm=[teacher,student_alone,distilled]",
        "arms.distilled.tune={loss.temperature:[1.0],loss.alpha:[1.0]}",
        "arms.student_alone.tune={optimizer.weight_decay:[0.0]}",
    )  # fmt: skip
    found = {}
    for name, more in {"with": "more.csv", "without": "null"}.items():
        code, _, err = meddistill(*common, f"data.unlabelled={more}", f"hydra.run.dir={name}")
        assert code == 0, err
        found[name] = pd.read_csv(f"{name}/results.csv").set_index("arm")["log_loss"]
    for arm in ("teacher", "student_alone"):
        assert found["with"][arm].tolist() == found["without"][arm].tolist()
    assert found["with"]["distilled"].tolist() != found["without"]["distilled"].tolist()


def test_a_trial_checks_every_split_before_a_teacher_is_trained(mine, meddistill):
    put(pd.concat([rows(1000, 60), rows(0, 150).iloc[module().split.train[:9]]]))
    check_unlabelled(module())  # the first split's
    code, _, err = meddistill("trial", *SHORT, *RUN, *MORE, "trial.repeats=3")
    assert code == 2
    assert "of its rows have the ids of rows of the" in err
    assert not Path("store").exists()


def test_the_content_alone_of_a_file_or_a_folder_makes_the_run_another(mine):
    def found(place):
        return identity({"data": {"path": "mine.csv", "unlabelled": place}})

    for folder in ("one", "two"):
        Path(folder).mkdir()
        Path(folder, "a.png").write_bytes(b"a picture")
    Path("copy.csv").write_bytes(Path("more.csv").read_bytes())
    for place, copy in (("more.csv", "copy.csv"), ("one", "two")):
        before = found(place)
        os.utime(place, (1, 1))
        assert found(place) == found(copy) == before
    before = found("more.csv"), found("one")
    put(rows(1000, 59))
    Path("one", "b.png").write_bytes(b"another")
    assert found("more.csv") != before[0]
    assert found("one") != before[1]
    assert found("one") != found("two")


def test_a_sweep_over_files_is_another_where_one_of_them_is(mine, meddistill):
    command = ("distill", *SHORT, *RUN, "-m", "data.unlabelled=null,'more.csv'")
    axes = {"stack": {"axes": ["data.unlabelled=null,more.csv", "seed=0,1", "data.path='"]}}
    before = identity(axes)
    assert len(before) == 2
    assert meddistill(*command)[0] == 0
    put(rows(1000, 59))
    assert identity(axes) != before
    assert meddistill(*command)[0] == 0
    tables = [pd.read_csv(path) for path in Path("outputs").glob("*/sweep.csv")]
    assert sorted(table["rows/unlabelled"].max() for table in tables) == [59, 60]


def test_without_such_rows_a_run_is_the_one_that_it_was(mine):
    plain = {"path": "mine.csv", "labels": 1.0}
    assert identity({"data": {**plain, "unlabelled": None}}) == identity({"data": plain})


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["distill", "loss=ce"], "data.unlabelled=more.csv: loss=ce asks no teacher"),
        (
            ["trial", "arm=[teacher,student_alone]", "trial.main=student_alone"],
            "data.unlabelled=more.csv: no arm's loss asks a teacher",
        ),
        (
            ["distill", "loss.alpha=0"],
            "data.unlabelled=more.csv: loss=kd takes nothing from the teacher as it is set",
        ),
        (["distill", "loss=kd_auto"], "nothing reads it: leave it out, or leave 0 out of loss.alp"),
        (
            ["trial", "arms.distilled.tune={loss.alpha:[0]}"],
            "nothing reads it: leave it out, or give it a say (in a try of arm=",
        ),
        (["teacher"], "data.unlabelled=more.csv: a teacher learns from labelled rows"),
    ],
)
def test_what_would_not_read_them_refuses_them_by_name(mine, meddistill, arguments, says):
    code, _, err = meddistill(*arguments, *RUN, *MORE)
    assert code == 2
    assert says in err


def test_who_can_not_answer_or_learn_from_them_is_named(mine):
    settings = {
        "answers": "stored",
        "view": {},
        "synthetic": {},
        "data": {"unlabelled": "more.csv"},
    }
    with pytest.raises(UserError, match="loss=dkd learns from labelled rows alone, and unlabelled"):
        check_teacher(settings, DKD(), ForestTeacher())
    with pytest.raises(UserError, match=r"unlabelled rows \(data.unlabelled\) need answers"):
        check_teacher(settings, KD(), ScoresTeacher("mine.csv"))


def test_data_that_are_no_file_of_ones_own_refuse_it_by_name(meddistill):
    code, _, err = meddistill("distill", *MORE)
    assert code == 2
    assert "data.unlabelled: no such setting with the choices at hand" in err
