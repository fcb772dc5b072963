"""The command line as a person meets it."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch

import meddistill as package
from conftest import SMALL_TEACHER

QUICK = (*SMALL_TEACHER, "trainer.max_epochs=3")
COMMAND = [sys.executable, "-m", "meddistill"]


def sweep_rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "sweep.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_help_names_every_verb_and_choice_and_imports_nothing_heavy():
    code = (
        "import sys; sys.argv = ['meddistill', '--help']\n"
        "from meddistill.cli import main; main()\n"
        "heavy = {'torch', 'lightning', 'hydra', 'pandas', 'numpy', 'sklearn', 'omegaconf'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for word in ("teacher", "distill", "mlp_ensemble", "mlp_tiny", "breast_cancer", "table", "kd"):
        assert word in done.stdout


@pytest.mark.parametrize("verb", ["teacher", "distill"])
def test_each_verbs_help_shows_its_choices_and_settings(meddistill, verb):
    code, out, _ = meddistill(verb, "--help")
    assert code == 0
    assert re.search(r"data +breast_cancer, ", out)
    assert "split_seed: 0" in out
    assert re.search(r"student +cnn", out)
    assert ("optimizer    adam, adamw, sgd" in out) == (verb == "distill")


def test_an_unknown_verb_names_the_verbs(meddistill):
    code, _, err = meddistill("destill")
    assert code == 2
    assert "'destill' is no verb; there are teacher, distill" in err


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("loss.temperature=0", "loss.temperature=0: must be a number above 0"),
        ("loss.temperature=-1", "loss.temperature=-1: must be a number above 0"),
        ("loss.temperature=hot", "loss.temperature=hot: must be a number above 0"),
        ("loss.alpha=1.5", "loss.alpha=1.5: must be a number at least 0 and at most 1"),
        ("loss.alpha=-0.1", "loss.alpha=-0.1: must be a number at least 0"),
        ("student.width=0", "student.width=0: must be a whole number of at least 1"),
        ("student.width=2.5", "student.width=2.5: must be a whole number of at least 1"),
        ("teacher.network.width=0", "teacher.network.width=0: must be a whole number"),
        ("teacher.members=0", "teacher.members=0: must be a whole number of at least 1"),
        ("loss.temprature=3", "loss.temprature: no such setting; did you mean loss.temperature?"),
        ("+loss.warmth=3", "loss.warmth=3: no such setting; there are temperature, alpha"),
        ("colour=red", "colour: no such setting"),
        ("loss=unknown", "loss=unknown: no such choice; there are "),
        ("data=table", "data.path is not set: give it as data.path=..."),
        ("data.labels=0", "data.labels=0: must be a number above 0 and at most 1"),
        ("data.test=0.9", "data.test=0.9: must be a number above 0 and at most 0.8"),
        ("data.split_seed=-1", "data.split_seed=-1: must be a whole number of at least 0"),
        ("seed=x", "seed=x: must be a whole number of at least 0"),
        ("seed=null", "seed=null: must be a whole number of at least 0"),
        ("batch_size=0", "batch_size=0: must be a whole number of at least 1"),
        ("patience=0", "patience=0: must be a whole number of at least 1"),
        ("threshold=2", "threshold=2: must be a number above 0 and at most 1"),
        ("monitor=val/f1", "monitor=val/f1: must be one of val/log_loss, val/auroc, val/accuracy"),
        ("optimizer.lr=-1", "optimizer: Invalid learning rate: -1"),
        ("trainer.max_epoch=3", "did you mean trainer.max_epochs?"),
        ("teacher.trees=5", "teacher.trees: no such setting with the choices at hand, it is one"),
        ("teacher.network={breadth: 9}", "teacher.network: it has no such key inside"),
        ("trainer.max_epochs=0", "trainer.max_epochs=0: must be a whole number of at least 1"),
        ("+trainer.callbacks=[]", "trainer.callbacks=[]: can't be set here"),
        ("trainer.precision=3", "trainer.precision=3: would round"),
        ("threads=0", "threads=0: must be a whole number of at least 1"),
        ("teacher=checkpoint", "teacher.path is not set"),
        ("loss", "loss"),
    ],
)
def test_a_mistake_is_one_message_with_exit_code_2_before_any_training(
    meddistill, monkeypatch, override, message
):
    def train(*_, **__):
        raise AssertionError("training began")

    monkeypatch.setattr("lightning.pytorch.Trainer.fit", train)
    code, _, err = meddistill("distill", override)
    assert code == 2
    assert err.startswith("meddistill: error: ")
    assert message in err
    assert "Traceback" not in err
    assert len(err.strip().splitlines()) == 1
    assert not list(Path().glob("outputs/distill-*")), "a refused run leaves no folder"


def test_a_missing_gpu_is_a_message(meddistill):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    code, _, err = meddistill("distill", "accelerator=gpu")
    assert code == 2
    assert "trainer.accelerator=gpu" in err


def test_a_run_folder_explains_itself(meddistill):
    code, out, _ = meddistill("distill", *QUICK)
    assert code == 0
    (folder,) = Path("outputs").glob("distill-*")
    assert f"Report: {folder}/report.md" in out
    assert "Positive class: malignant" in out
    names = {path.name for path in folder.iterdir()}
    assert names >= {"config.yaml", "environment.txt", "metrics.json", "predictions.parquet",
                     "model.json", "preprocessing.json", "checkpoints", "report.md"}  # fmt: skip
    assert "torch: 2" in (folder / "environment.txt").read_text()
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["student"]["name"] == "distilled student"
    assert metrics["student"]["parameters"] == 30 * 32 + 32 + 32 * 2 + 2
    table = pd.read_parquet(folder / "predictions.parquet")
    assert len(table) == 569
    assert set(table["split"]) == {"train", "validation", "test"}
    log = (folder / "distill.log").read_text()
    assert "| distilled student |" in log
    assert "\x1b" not in log
    assert torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    rows = pd.DataFrame(package.load_model(folder).preprocessing.schema.columns)[0]
    assert len(rows) == 30


def test_a_run_folder_answers_for_raw_rows_as_its_predictions_say(meddistill, cohort):
    meddistill("distill", *QUICK)
    (folder,) = Path("outputs").glob("distill-*")
    answers = package.predict(folder, cohort.records.frame)
    table = pd.read_parquet(folder / "predictions.parquet")
    assert abs(answers["malignant"].to_numpy() - table["p_malignant"].to_numpy()).max() < 1e-12


def test_repeating_a_finished_command_shows_its_result_without_training(meddistill, monkeypatch):
    _, first, _ = meddistill("distill", *QUICK)

    def work(*_):
        raise AssertionError("worked again")

    monkeypatch.setattr("meddistill.tasks._work", work)
    code, second, _ = meddistill("distill", *QUICK)
    assert code == 0
    assert first[first.index("Test rows") :] == second


def test_settings_without_effect_find_the_same_folder(meddistill):
    meddistill("distill", *QUICK)
    meddistill("distill", *QUICK, "trainer.enable_progress_bar=false")
    assert len(list(Path("outputs").glob("distill-*"))) == 1


def test_a_folder_made_by_another_config_is_refused_with_the_differences(meddistill):
    meddistill("distill", *QUICK, "hydra.run.dir=mine")
    before = {path: path.read_bytes() for path in Path("mine").rglob("*") if path.is_file()}
    code, _, err = meddistill(
        "distill", *QUICK, "hydra.run.dir=mine", "loss.alpha=0.25", "student=mlp_tiny"
    )
    assert code == 2
    assert "loss.alpha: 0.5 there, 0.25 now" in err
    assert "student.width: 32 there, 8 now" in err
    assert err.count(" there, ") == 2
    assert all(path.read_bytes() == content for path, content in before.items())


def test_a_refused_run_takes_nothing_away_from_the_folder_it_was_given(meddistill):
    folder = Path("mine")
    folder.mkdir()
    for name in ("notes.log", "distill.log"):
        (folder / name).write_text("my own")
    assert meddistill("distill", "loss.temperature=0", "hydra.run.dir=mine")[0] == 2
    assert {path.name for path in folder.iterdir()} == {"notes.log", "distill.log"}
    assert (folder / "notes.log").read_text() == "my own"


def test_a_folder_with_a_config_of_another_program_is_refused(meddistill):
    Path("config.yaml").write_text("mine: true")
    code, _, err = meddistill("distill", *QUICK, "hydra.run.dir=.")
    assert code == 2
    assert "config.yaml that no run wrote" in err
    assert Path("config.yaml").read_text() == "mine: true"


def test_two_processes_never_work_in_one_folder_at_once(meddistill):
    from filelock import FileLock

    Path("mine").mkdir()
    with FileLock("mine/.lock"):
        code, _, err = meddistill("distill", *QUICK, "hydra.run.dir=mine")
    assert code == 2
    assert "another process is at work in this folder" in err


def test_a_data_file_that_changed_is_another_run(meddistill, cohort):
    table = cohort.records.frame.iloc[:, :4].assign(target=cohort.target)
    table.to_csv("mine.csv", index=False)
    arguments = (*QUICK, "data=table", "data.path=mine.csv", "data.target=target")
    meddistill("distill", *arguments, "hydra.run.dir=mine")
    table.iloc[1:].to_csv("mine.csv", index=False)
    code, _, err = meddistill("distill", *arguments, "hydra.run.dir=mine")
    assert code == 2
    assert "content of data.path" in err


def test_alpha_zero_and_ce_are_the_same_student_alone(meddistill):
    meddistill("distill", *QUICK, "loss=ce", "hydra.run.dir=ce")
    meddistill("distill", *QUICK, "loss.alpha=0", "hydra.run.dir=kd")
    results = [json.loads(Path(name, "metrics.json").read_text()) for name in ("ce", "kd")]
    assert results[0]["student"] == results[1]["student"]
    assert results[0]["student"]["name"] == "student alone"
    assert results[0]["teacher"] is None


def test_a_live_teacher_and_its_stored_answers_train_the_same_student(meddistill):
    meddistill("distill", *QUICK, "hydra.run.dir=stored")
    meddistill("distill", *QUICK, "answers=live", "hydra.run.dir=live")
    tables = [pd.read_parquet(Path(name, "predictions.parquet")) for name in ("stored", "live")]
    assert abs(tables[0]["p_malignant"] - tables[1]["p_malignant"]).max() < 1e-5


def test_a_teachers_run_folder_can_teach_and_is_refused_where_it_saw_the_test_rows(meddistill):
    code, out, _ = meddistill("teacher", *SMALL_TEACHER, "hydra.run.dir=t")
    assert code == 0
    assert "teacher" in out
    taught = ("distill", "teacher=checkpoint", "teacher.path=t", "trainer.max_epochs=2")
    assert meddistill(*taught)[0] == 0
    code, _, err = meddistill(*taught, "data.split_seed=1")
    assert code == 2
    assert "rows that are test rows now" in err


def test_the_teacher_verb_and_distill_share_one_teacher(meddistill, monkeypatch):
    meddistill("teacher", *SMALL_TEACHER)
    monkeypatch.setattr(
        "meddistill.teachers.neural.NeuralTeacher.fit", lambda *_: pytest.fail("trained again")
    )
    assert meddistill("distill", *QUICK)[0] == 0


def test_fewer_labels_leave_the_rest_as_rows_that_the_teacher_answers(meddistill):
    meddistill("distill", *QUICK, "data.labels=0.1", "teacher.labels=1", "hydra.run.dir=few")
    table = pd.read_parquet("few/predictions.parquet")
    share = table.groupby("split")["labelled"].mean()
    assert share["test"] == 1
    assert 0.08 < share["train"] < 0.12
    assert "labels: 1" in Path("few/config.yaml").read_text()


@pytest.mark.slow
def test_a_basic_sweep_trains_one_teacher_and_writes_a_table_of_its_students(meddistill):
    code, out, _ = meddistill(
        "distill", "-m", *QUICK, "loss.temperature=1,4", "loss.alpha=0,0.5", "seed=0,1",
        "hydra/sweeper=basic", "hydra.sweep.dir=sweep",
    )  # fmt: skip
    assert code == 0
    rows = sweep_rows(Path("sweep"))
    assert len(rows) == 8
    assert {row["loss.temperature"] for row in rows} == {"1", "4"}
    assert {row["seed"] for row in rows} == {"0", "1"}
    assert len({row["teacher/key"] for row in rows if row["teacher/key"]}) == 1
    assert out.count("training member") == 1
    for row in rows:
        metrics = json.loads((Path("sweep") / row["folder"] / "metrics.json").read_text())
        assert float(row["score"]) == metrics["score"]
        assert float(row["test/auroc"]) == metrics["student"]["test"]["auroc"]


def test_a_failed_job_takes_neither_the_others_nor_the_table_with_it(meddistill):
    code, out, err = meddistill(
        "distill", "-m", *QUICK, "loss.temperature=1,-1,2", "hydra/sweeper=basic",
        "hydra.sweep.dir=sweep",
    )  # fmt: skip
    assert code == 2
    assert "loss.temperature=-1: must be a number above 0" in err
    rows = {row["loss.temperature"]: row for row in sweep_rows(Path("sweep"))}
    assert [rows[t]["status"] for t in ("1", "-1", "2")] == ["completed", "failed", "completed"]
    assert "must be a number above 0" in rows["-1"]["error"]
    assert "job 1 failed" in out


@pytest.mark.slow
def test_a_repeated_sweep_does_only_what_is_missing(meddistill, monkeypatch):
    sweep = ("distill", "-m", *QUICK, "loss.temperature=1,2", "hydra/sweeper=basic")
    meddistill(*sweep)
    (folder,) = Path("outputs").glob("distill-sweep-*")
    shutil.rmtree(folder / sweep_rows(folder)[1]["folder"])
    from meddistill import tasks

    done = []
    work = tasks._work
    monkeypatch.setattr(tasks, "_work", lambda *given: done.append(1) or work(*given))
    assert meddistill(*sweep)[0] == 0
    assert len(done) == 1
    assert len(sweep_rows(folder)) == 2


def test_a_job_returns_the_monitored_score(meddistill, monkeypatch):
    from meddistill.cli import app

    scores = []
    task = app.task
    monkeypatch.setattr(app, "task", lambda config: scores.append(task(config)) or scores[-1])
    meddistill("distill", *QUICK, "hydra.run.dir=one", "monitor=val/auroc")
    metrics = json.loads(Path("one/metrics.json").read_text())
    assert scores == [metrics["score"]]
    assert metrics["score"] == pytest.approx(metrics["student"]["validation"]["auroc"], abs=1e-6)


def test_users_configs_come_in_by_config_dir(meddistill):
    folder = Path("mine", "student")
    folder.mkdir(parents=True)
    (folder / "wide.yaml").write_text("_target_: meddistill.models.mlp.MLP\nwidth: 48\n")
    code, _, _ = meddistill("distill", "--config-dir", "mine", "student=wide", *QUICK,
                            "hydra.run.dir=run")  # fmt: skip
    assert code == 0
    assert json.loads(Path("run/metrics.json").read_text())["student"]["parameters"] == 48 * 33 + 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("distill", "-m", "hydra/sweeper=basic", "seed=0,1"), "jobs each take one device"),
        (("distill", "-m", "seed=0,1"), "side by side take one device a job"),
        (("distill", "stack.axes=['seed=0,1']"), "side by side take one device a job"),
        (("trial",), "side by side take one device a job"),
    ],
)
def test_several_devices_are_refused_where_a_job_takes_one(meddistill, arguments, says):
    code, _, err = meddistill(*arguments, "accelerator=ddp")
    assert code == 2
    assert f"trainer.strategy=ddp: {'a sweep' if 'jobs' in says else 'students'}" in err
    assert says in err
    assert not Path("outputs/store").exists()


@pytest.mark.slow
def test_a_run_killed_outright_resumes_to_bit_identical_weights(tmp_path):
    settings = [*SMALL_TEACHER, "student.dropout=0.1", "trainer.max_epochs=250", "patience=250",
                "save_seconds=0.2"]  # fmt: skip
    command = [*COMMAND, "distill", *settings]
    environment = {**os.environ, "MEDDISTILL_STORE": str(tmp_path / "store")}

    def start(name):
        return subprocess.Popen([*command, f"hydra.run.dir={name}"], cwd=tmp_path, env=environment,
                                stdout=subprocess.PIPE, text=True)  # fmt: skip

    whole = start("whole")
    assert whole.communicate()[0]
    assert whole.returncode == 0
    killed, last = start("killed"), tmp_path / "killed" / "checkpoints" / "last.ckpt"
    while killed.poll() is None and not last.exists():
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert last.exists()
    assert not (tmp_path / "killed" / "metrics.json").exists()
    again = start("killed")
    assert "resuming from" in again.communicate()[0]
    best = [tmp_path / name / "checkpoints" / "best.ckpt" for name in ("whole", "killed")]
    assert best[0].read_bytes() == best[1].read_bytes()
    assert not last.exists()


def test_null_among_a_sweeps_values_is_written_as_null(meddistill):
    swept = ("data.validation_labels=null,0.5", "loss.label_smoothing=0,0.1")
    code, *_ = meddistill(
        "distill", "-m", "loss=ce", "trainer.max_epochs=1", *swept, "hydra.sweep.dir=s"
    )
    assert code == 0
    rows = [line for line in Path("s", "report.md").read_text().splitlines() if "alone" in line]
    assert [row.split("|")[2].strip() for row in rows[:4]].count("null") == 2, rows
