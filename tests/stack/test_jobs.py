"""Sweeps from the command line: the same numbers in fewer jobs, fewer files and less time."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

import meddistill as package
from conftest import SMALL_TEACHER
from meddistill.data.tables.breast_cancer import breast_cancer

QUICK = (*SMALL_TEACHER, "student=mlp_tiny", "trainer.max_epochs=4", "logger=none")
GRID = ("loss.temperature=1,4", "loss.alpha=0,0.5", "seed=range(0,2)")
AXES = ["loss.temperature", "loss.alpha", "seed"]
FILES = {"config.yaml", "job.json", "metrics.csv", "predictions.parquet", "members.zip",
         "distill.log"}  # fmt: skip


def jobs(sweep):
    return sorted(path.parent for path in Path(sweep).glob("*/metrics.csv"))


def students(sweep):
    return pd.read_csv(Path(sweep) / "sweep.csv")


def members(frame):
    return frame.sort_values(AXES).reset_index(drop=True)


def probabilities(folder, member=0):
    table = pd.read_parquet(folder / "predictions.parquet")
    table = table[table["member"] == member]
    return table[["p_benign", "p_malignant"]].to_numpy()


@pytest.mark.slow
def test_a_stacked_sweep_gives_the_numbers_of_a_basic_one(meddistill):
    assert meddistill("distill", "-m", *QUICK, *GRID, "hydra.sweep.dir=stacked")[0] == 0
    plain = meddistill(
        "distill", "-m", *QUICK, *GRID, "hydra/sweeper=basic", "hydra.sweep.dir=basic"
    )
    assert plain[0] == 0
    (job,) = jobs("stacked")
    one, other = members(students("stacked")), members(students("basic"))
    assert len(one) == len(other) == 8
    assert set(other) <= set(one) | {"student"}
    same = [c for c in other if c in one and c not in ("job", "folder", "member", "seconds")]
    for column in same:
        if pd.api.types.is_numeric_dtype(one[column]):
            np.testing.assert_allclose(one[column], other[column], atol=1e-5, err_msg=column)
        else:
            assert one[column].astype(str).equals(other[column].astype(str)), column
    for row, alone in zip(one.itertuples(), other.itertuples(), strict=True):
        difference = probabilities(job, row.member) - probabilities(Path("basic") / alone.folder)
        assert np.abs(difference).max() < 1e-5


def test_a_job_leaves_six_files_however_many_its_members(meddistill):
    meddistill("distill", "-m", *QUICK, *GRID, "student=mlp_tiny,logistic", "hydra.sweep.dir=sweep")
    found = jobs("sweep")
    assert len(found) == 2  # a job a student, four pairs by two seeds in each
    for job in found:
        assert {str(path.relative_to(job)) for path in job.rglob("*")} == FILES
        assert pd.read_csv(job / "metrics.csv")["member"].tolist() == list(range(8))
        table = pd.read_parquet(job / "predictions.parquet")
        assert table.groupby("member").size().tolist() == [569] * 8
    rows = students("sweep")
    assert len(rows) == 16
    assert rows.groupby("student").size().to_dict() == {"logistic": 8, "mlp_tiny": 8}


@pytest.mark.slow
def test_members_per_job_cuts_a_combination_into_jobs(meddistill):
    meddistill("distill", "-m", *QUICK, *GRID, "hydra.sweep.dir=whole")
    code, _, _ = meddistill(
        "distill", "-m", *QUICK, *GRID, "hydra.sweeper.members_per_job=3", "hydra.sweep.dir=cut"
    )
    assert code == 0
    assert sorted(len(pd.read_csv(job / "metrics.csv")) for job in jobs("cut")) == [2, 3, 3]
    whole, cut = members(students("whole")), members(students("cut"))
    np.testing.assert_allclose(whole["test/log_loss"], cut["test/log_loss"], atol=1e-6)
    assert sorted(cut["member"]) == list(range(8))


def test_each_split_has_its_own_rows_teacher_and_preprocessing(meddistill):
    code, out, _ = meddistill(
        "distill", "-m", *QUICK, "data.split_seed=0,1", "seed=0,1", "hydra.sweep.dir=sweep"
    )
    assert code == 0
    assert out.count("training member") == 2
    rows = students("sweep")
    assert rows.groupby("data.split_seed")["teacher/key"].nunique().tolist() == [1, 1]
    (job,) = jobs("sweep")
    table = pd.read_parquet(job / "predictions.parquet")
    tested = table[table["split"] == "test"].groupby("member")["row"].agg(lambda rows: set(rows))
    assert tested[0] == tested[1] != tested[2]


def test_a_picked_student_is_an_ordinary_run_and_answers_as_its_member_did(meddistill):
    meddistill("distill", "-m", *QUICK, *GRID, "data.split_seed=0,1", "hydra.sweep.dir=sweep")
    wanted = ("loss.temperature=4", "loss.alpha=0.5", "seed=1", "data.split_seed=1")
    code, out, err = meddistill("pick", "sweep", *wanted)
    assert code == 0, err
    (folder,) = Path("outputs").glob("distill-*")
    assert str(folder) in out
    alone = ("distill", *QUICK, *wanted)
    code, out, err = meddistill(*alone, "hydra.run.dir=alone")
    assert code == 0, err
    assert {path.name for path in folder.iterdir()} == {
        path.name for path in Path("alone").iterdir()
    } - {"distill.log"}
    assert np.abs(probabilities(folder) - probabilities(Path("alone"))).max() < 1e-5
    rows = breast_cancer().records.frame
    np.testing.assert_allclose(package.predict(folder, rows), probabilities(folder), atol=1e-6)
    one, other = (json.loads((f / "metrics.json").read_text()) for f in (folder, Path("alone")))
    assert one["score"] == pytest.approx(other["score"], abs=1e-6)
    assert one["student"]["test"] == pytest.approx(other["student"]["test"], abs=1e-5)
    assert one["teacher"] == other["teacher"]
    assert one["data"] == other["data"]
    assert (folder / "identity.json").read_text() == Path("alone/identity.json").read_text()
    code, out, err = meddistill(*alone)  # the same student by name: there is nothing to train
    assert code == 0, err
    assert str(folder) in out
    assert "training member" not in out


def test_best_is_picked_by_its_settings_mean_and_said_to_be_too_good(meddistill):
    meddistill("distill", "-m", *QUICK, *GRID, "hydra.sweep.dir=sweep")
    code, out, _ = meddistill("pick", "sweep", "--best", "--to", "best")
    assert code == 0
    assert "too good to expect again" in out
    rows = students("sweep")
    means = rows.groupby(["loss.temperature", "loss.alpha"])["score"].mean()
    config = yaml.safe_load(Path("best/config.yaml").read_text())
    chosen = (config["loss"]["temperature"], config["loss"]["alpha"])
    assert means[chosen] == pytest.approx(means.min(), abs=1e-12)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (("loss.alpha=0.5",), "4 students fit: say which (loss.temperature=1, 4; seed=0, 1)"),
        (("loss.alpha=0.7",), "loss.alpha=0.7: no finished student has it; there are 0.0, 0.5"),
        (("alpha=0.5",), "alpha=0.5: not an axis of this sweep; there are loss.temperature"),
        (("loss.alpha",), "loss.alpha: not an axis of this sweep"),
    ],
)
def test_a_choice_that_names_no_single_student_is_refused(meddistill, wanted, message):
    meddistill("distill", "-m", *QUICK, *GRID, "hydra.sweep.dir=sweep")
    code, _, err = meddistill("pick", "sweep", *wanted)
    assert code == 2
    assert message in err


def test_a_student_that_two_jobs_of_a_sweep_trained_is_one(meddistill):
    for axes in (("seed=shuffle(range(0,2))", "optimizer.lr=1e-3,1e-2"),
                 ("seed=sort(2,1)", "optimizer.lr=1e-3,1e-2,1e-1")):  # fmt: skip
        common = ("loss=ce", "student=mlp_tiny", "trainer.max_epochs=1", "logger=none")
        code, out, err = meddistill("distill", "-m", *common, *axes, "hydra.sweep.dir=sweep")
        assert code == 0, err
    assert "3 students each (differing in seed)" in out
    rows = students("sweep")
    assert not rows.duplicated(["seed", "optimizer.lr"]).any()
    assert len(rows) == 8
    assert rows.groupby("folder", sort=False)["job"].unique().map(list).tolist() == [[0], [1]]
    one = ("pick", "sweep", "seed=1", "optimizer.lr=1e-3")
    code, out, err = meddistill(*one, "--best", "--to", "one")
    assert code == 0, err
    assert "One student fits: nothing was chosen." in out
    assert "too good" not in out
    assert meddistill(*one, "--to", "two")[0] == 0


def test_students_alike_in_all_settings_but_of_other_data_are_named_by_their_jobs(meddistill):
    sweep = ("distill", "-m", "loss=ce", "student=mlp_tiny", "trainer.max_epochs=1",
             "logger=none", "data=table", "data.path=a.csv", "data.target=y", "seed=0,1",
             "hydra.sweep.dir=sweep")  # fmt: skip
    table = pd.DataFrame({"x": np.sqrt(np.arange(60)), "y": np.arange(60) % 2})
    for shift in (0, 100):
        table.assign(x=table["x"] + shift).to_csv("a.csv", index=False)
        assert meddistill(*sweep)[0] == 0
    one, other = (path.name for path in jobs("sweep"))
    code, _, err = meddistill("pick", "sweep", "seed=1")
    assert code == 2
    assert "2 students fit, alike in every setting, but their data or teacher differ" in err
    assert f"({one}, {other})" in err or f"({other}, {one})" in err
    assert meddistill("pick", f"sweep/{one}", "seed=1", "--to", "picked")[0] == 0


def test_a_student_of_a_basic_sweep_is_picked_too(meddistill):
    meddistill("distill", "-m", *QUICK, "seed=0,1", "hydra/sweeper=basic", "hydra.sweep.dir=sweep")
    assert meddistill("pick", "sweep", "seed=1", "--to", "one")[0] == 0
    assert yaml.safe_load(Path("one/config.yaml").read_text())["seed"] == 1
    code, _, err = meddistill("pick", "sweep", "seed=1", "--to", "one")
    assert code == 2
    assert "one is there already" in err


@pytest.mark.slow
def test_a_repeated_sweep_trains_only_the_chunks_that_are_missing(meddistill, monkeypatch):
    from meddistill.stack import chunks

    sweep = ("distill", "-m", *QUICK, *GRID, "stack.chunk=3", "hydra.sweep.dir=sweep")
    train, trained = chunks._train_chunk, []

    def killed_at_the_third(chunk, *given):
        if len(trained) == 2:
            raise KeyboardInterrupt
        trained.append(chunk.name)
        return train(chunk, *given)

    monkeypatch.setattr(chunks, "_train_chunk", killed_at_the_third)
    assert meddistill(*sweep)[0] == 130
    assert not jobs("sweep")

    def noted(chunk, *given):
        trained.append(chunk.name)
        return train(chunk, *given)

    monkeypatch.setattr(chunks, "_train_chunk", noted)
    code, out, _ = meddistill(*sweep)
    assert code == 0
    assert "of 8 students were trained before" in out
    assert len(trained) == len(set(trained)) == 3
    assert len(students("sweep")) == 8
    code, out, _ = meddistill(*sweep)
    assert code == 0
    assert len(trained) == 3
    assert Path("sweep").exists()


@pytest.mark.slow
def test_a_sweep_killed_outright_goes_on_to_the_same_weights_bit_for_bit(tmp_path):
    settings = [*SMALL_TEACHER, "trainer.max_epochs=120", "patience=120", "save_seconds=0.1"]
    axes = ["loss.alpha=0,0.3,0.6,1", "seed=range(0,10)", "stack.chunk=10"]
    command = [sys.executable, "-m", "meddistill", "distill", "-m", *settings, *axes]
    environment = {**os.environ, "MEDDISTILL_STORE": str(tmp_path / "store")}

    def start(name):
        return subprocess.Popen([*command, f"hydra.sweep.dir={name}"], cwd=tmp_path,
                                env=environment, stdout=subprocess.PIPE, text=True)  # fmt: skip

    whole = start("whole")
    whole.communicate()
    assert whole.returncode == 0
    killed = start("killed")
    while killed.poll() is None:
        time.sleep(0.01)
        killed.send_signal(signal.SIGSTOP)  # it stands still while it is looked at
        done = {path.stem for path in tmp_path.glob("killed/*/parts/*.ckpt")}
        begun = tmp_path.glob("killed/*/parts/*/checkpoints/last.ckpt")
        if done and {path.parents[1].name for path in begun} - done:
            break
        killed.send_signal(signal.SIGCONT)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert not list(tmp_path.glob("killed/*/metrics.csv"))
    again = start("killed")
    printed = again.communicate()[0]
    assert again.returncode == 0
    assert "of 40 students were trained before" in printed
    assert "resuming from" in printed
    (one,), (other,) = jobs(tmp_path / "whole"), jobs(tmp_path / "killed")
    with zipfile.ZipFile(one / "members.zip") as a, zipfile.ZipFile(other / "members.zip") as b:
        assert a.namelist() == b.namelist()
        for name in (name for name in a.namelist() if name.endswith(".ckpt")):
            assert a.read(name) == b.read(name), name


def test_what_does_not_stack_is_trained_one_by_one_with_the_reason_and_the_same_numbers(meddistill):
    code, out, _ = meddistill(
        "distill", "-m", *QUICK, "seed=0,1", "monitor=val/auroc", "hydra.sweep.dir=sweep"
    )
    assert code == 0
    assert "2 student(s) are trained one by one: a stack follows val/log_loss" in out
    meddistill("distill", *QUICK, "seed=1", "monitor=val/auroc", "hydra.run.dir=alone")
    (job,) = jobs("sweep")
    np.testing.assert_allclose(probabilities(job, 1), probabilities(Path("alone")), atol=1e-7)
    assert {path.name for path in job.iterdir()} == FILES


def test_a_wrong_value_on_an_axis_is_refused_before_anything_is_trained(meddistill):
    code, out, err = meddistill(
        "distill", "-m", *QUICK, "loss.alpha=0.5,1.5", "seed=0,1", "hydra.sweep.dir=sweep"
    )
    assert code == 2
    assert "loss.alpha=1.5: must be a number at least 0 and at most 1" in err
    assert "training member" not in out


@pytest.mark.parametrize(
    ("axes", "said"),
    [
        (("init=subset,scratch", "init.seed=0,1"), "init.seed: no such setting to make an axis of "
         "a stack (init=scratch has none: sweep it by a command without init.seed)"),
        (("loss=kd,ce", "loss.alpha=0,1"), "(loss=ce has none: sweep it by a command without "
         "loss.alpha)"),
    ],
)  # fmt: skip
def test_an_axis_that_a_choice_of_the_sweep_lacks_is_refused_before_the_first_job(
    axes, said, meddistill
):
    code, _, err = meddistill("distill", "-m", *QUICK, *axes, "hydra.sweep.dir=sweep")
    assert code == 2
    assert said in err
    assert not [*Path("sweep").glob("*/*"), *Path().glob("store")]


def test_a_member_that_diverges_fails_alone_whether_it_stacks_or_not(meddistill):
    wild = ("distill", "-m", *QUICK, "optimizer=sgd", "optimizer.lr=0.01,1e30", "seed=0,1")
    for number, more in enumerate([(), ("answers=live",)]):
        code, out, err = meddistill(*wild, *more, f"hydra.sweep.dir=sweep{number}")
        assert code == 0, err
        rows = students(f"sweep{number}")
        failed = rows[rows["status"] == "failed"]
        assert failed["optimizer.lr"].tolist() == [1e30, 1e30]
        assert failed["test/auroc"].isna().all()
        assert "2 students failed" in out
        assert "training diverged" in out


def test_where_every_member_diverges_the_job_fails(meddistill):
    code, _, err = meddistill(
        "distill", "-m", *QUICK, "optimizer=sgd", "optimizer.lr=1e30", "seed=0,1",
        "hydra.sweep.dir=sweep",
    )  # fmt: skip
    assert code == 2
    assert "training diverged in every member" in err


@pytest.mark.parametrize("most", ["0", "-3", "many"])
def test_a_wrong_number_of_members_per_job_is_refused(meddistill, most):
    code, _, err = meddistill("distill", "-m", *GRID, f"hydra.sweeper.members_per_job={most}")
    assert code == 2
    assert f"hydra.sweeper.members_per_job={most}: must be a whole number of at least 1" in err


def test_a_job_with_axes_needs_no_sweep(meddistill):
    code, out, _ = meddistill(
        "distill", *QUICK, "stack.axes=['seed=range(0,3)']", "hydra.run.dir=job"
    )
    assert code == 0
    assert {path.name for path in Path("job").iterdir()} == FILES
    assert "Choose on validation, look at test" in out
    code, out, _ = meddistill("report", "job")
    assert code == 0
    assert "Choose on validation, look at test" in out


def test_a_jobs_students_are_each_in_the_logger_that_is_asked_for(meddistill):
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    code, out, _ = meddistill(
        "distill", "loss=ce", "trainer.max_epochs=2", "logger=tensorboard",
        "stack.axes=['seed=0,1']", "hydra.run.dir=job",
    )  # fmt: skip
    assert code == 0
    assert "trained one by one: logger=tensorboard follows one student's training" in out
    measured = pd.read_csv("job/metrics.csv")["test/auroc"]
    for member in (0, 1):
        read = events.EventAccumulator(f"job/logs/member-{member}/logs/version_0")
        read.Reload()
        assert [each.step for each in read.Scalars("val/log_loss")] == [5, 11]
        (test,) = read.Scalars("test/auroc")
        assert test.value == pytest.approx(measured[member], abs=1e-6)


def test_single_steps_of_a_jobs_students_are_logged_where_that_is_asked_for(meddistill):
    code, _, _ = meddistill(
        "distill", "loss=ce", "trainer.max_epochs=2", "trainer.log_every_n_steps=1",
        "stack.axes=['seed=0,1']", "hydra.run.dir=job",
    )  # fmt: skip
    assert code == 0
    (file,) = Path("job/logs/member-1").rglob("metrics.csv")
    assert pd.read_csv(file)["train/loss_step"].notna().sum() == 12


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ("stack.axes=['student.breadth=1,2']", "student.breadth: no such setting"),
        ("stack.axes=['seed=range(']", "stack.axes=seed=range(: is no axis"),
        ("stack.axes=['seed=0,1'] stack.members=[0,3]", "is no part of the 2 members"),
        ("stack.axes=['seed=-1,1']", "seed=-1: must be a whole number of at least 0"),
    ],
)
def test_axes_that_make_no_members_are_refused(meddistill, axes, message):
    code, _, err = meddistill("distill", *QUICK, *axes.split(" "), "hydra.run.dir=job")
    assert code == 2
    assert message in err
    assert not Path("job").exists()


def test_the_report_of_a_sweep_is_made_again_from_its_folders(meddistill):
    meddistill("distill", "-m", *QUICK, *GRID, "hydra.sweep.dir=sweep")
    before = (Path("sweep/report.md").read_text(), Path("sweep/sweep.csv").read_text())
    for name in ("report.md", "sweep.csv"):
        Path("sweep", name).unlink()
    shutil.move("sweep", "elsewhere")
    code, out, _ = meddistill("report", "elsewhere")
    assert code == 0
    assert "Choose on validation, look at test" in out
    after = (Path("elsewhere/report.md").read_text(), Path("elsewhere/sweep.csv").read_text())
    assert after == before


def test_a_folder_without_results_has_no_report(meddistill):
    Path("empty").mkdir()
    for verb in ("report", "pick"):
        code, _, err = meddistill(verb, "empty")
        assert code == 2
        assert "empty is no folder of" in err


@pytest.mark.slow
def test_what_a_search_finds_is_written_down_and_trained(meddistill):
    search = ("loss=kd_auto", "loss.temperatures=[1,4]", "loss.alphas=[0,0.5]", "loss.seeds=2",
              "loss.epochs=1")  # fmt: skip
    code, out, _ = meddistill("distill", *QUICK, *search, "hydra.run.dir=one")
    assert code == 0
    found = json.loads(Path("one/metrics.json").read_text())["search"]
    assert found["settings"] == 3  # alpha 0 once
    assert "of 3 settings x 2 students" in out
    setting = [f"loss.{name}={value}" for name, value in found["setting"].items()]
    meddistill("distill", *QUICK, "loss=kd", *setting, "hydra.run.dir=by_hand")
    np.testing.assert_array_equal(probabilities(Path("one")), probabilities(Path("by_hand")))
    meddistill("distill", "-m", *QUICK, *search, "seed=0,1", "hydra.sweep.dir=sweep")
    rows = students("sweep")
    assert rows.loc[0, "search/alpha"] == found["setting"]["alpha"]
    (job,) = jobs("sweep")
    np.testing.assert_allclose(probabilities(job, 0), probabilities(Path("one")), atol=1e-5)


def test_a_student_is_picked_by_a_setting_that_is_null(meddistill):
    sweep = ("distill", "-m", *QUICK, "teacher.calibrate=null,temperature", "hydra.sweep.dir=sweep")
    assert meddistill(*sweep)[0] == 0
    _, _, err = meddistill("pick", "sweep")
    assert "teacher.calibrate=temperature, null" in err
    code, _, err = meddistill("pick", "sweep", "teacher.calibrate=null", "--to", "picked")
    assert code == 0, err
    assert yaml.safe_load(Path("picked/config.yaml").read_text())["teacher"]["calibrate"] is None


def test_a_repeated_job_with_a_shuffled_axis_keeps_each_seed_its_answers(meddistill):
    """A kill after the first part: what it finished is found again, by the same seeds."""
    job = ("distill", *QUICK, "monitor=val/auroc", "stack.axes=['seed=shuffle(range(1,4))']")
    assert meddistill(*job, "hydra.run.dir=whole")[0] == 0
    from meddistill.stack.folder import StackFolder

    save, saved = StackFolder.save_part, []

    def save_one(self, name, part):
        if saved:
            raise KeyboardInterrupt
        saved.append(name)
        save(self, name, part)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StackFolder, "save_part", save_one)
        assert meddistill(*job, "hydra.run.dir=killed")[0] == 130
    code, out, err = meddistill(*job, "hydra.run.dir=killed")
    assert code == 0, err
    assert "1 of 3 students were trained before" in out
    whole, again = (pd.read_csv(Path(name, "metrics.csv")) for name in ("whole", "killed"))
    assert whole["seed"].tolist() == again["seed"].tolist() != [1, 2, 3]
    assert whole["test/log_loss"].tolist() == again["test/log_loss"].tolist()
