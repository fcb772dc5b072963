"""A sweep's students: each is one, however many jobs trained it."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from meddistill.sweeps.jobs import add_row, read_rows
from meddistill.sweeps.students import collect, members


def job(sweep, name, students, content="a", overrides=("loss=ce",)):
    """A finished job with many students, as a command's first."""
    (sweep / name).mkdir()
    facts = {"name": "student alone", "monitor": "val/log_loss", "rows/train": 300}
    rows = [{"member": k, "seconds": 0.1, **facts, **own} for k, own in enumerate(students)]
    pd.DataFrame(rows).to_csv(sweep / name / "metrics.csv", index=False)
    record = {"identity": {"seed": 0, "content of data.path": content}}
    (sweep / name / "job.json").write_text(json.dumps(record))
    line = {"job": 0, "status": "completed", "folder": name, "seed": 0, "error": ""}
    add_row(sweep / "jobs.csv", line | {"overrides": json.dumps(overrides)})


def student(seed, temperature, score=0.5, status="completed"):
    return {"seed": seed, "loss.temperature": temperature, "score": score, "val/log_loss": score,
            "status": status}  # fmt: skip


def found(sweep):
    frame, text = collect(sweep)
    assert len(text.splitlines()) == len(frame) + 1
    return list(zip(frame["folder"], frame["seed"], frame["loss.temperature"], strict=True))


def test_the_same_student_in_two_jobs_is_one_as_the_first_has_it(tmp_path, caplog):
    job(tmp_path, "one", [student(0, 2), student(1, 2)])
    # Rounding may differ between jobs of other sizes, and the type of an axis's column too.
    job(tmp_path, "two", [student(1, 2.0, 0.5 + 1e-9), student(1, 0.5)])
    assert found(tmp_path) == [("one", 0, 2), ("one", 1, 2), ("two", 1, 0.5)]
    assert "there twice, with the same settings: 1;" in caplog.text


def test_of_a_student_that_failed_once_the_finished_one_is_kept(tmp_path):
    job(tmp_path, "one", [student(0, 2, None, "failed"), student(1, 2)])
    job(tmp_path, "two", [student(0, 2)])
    assert found(tmp_path) == [("one", 1, 2), ("two", 0, 2)]


@pytest.mark.parametrize("other", [{"content": "b"}, {"overrides": ("loss=kd",)}])
def test_students_of_other_data_or_settings_are_others(tmp_path, other, caplog):
    job(tmp_path, "one", [student(0, 2)])
    job(tmp_path, "two", [student(0, 2)], **other)
    assert len(found(tmp_path)) == 2
    assert not caplog.text


def test_jobs_that_failed_as_a_whole_are_never_one(tmp_path):
    job(tmp_path, "one", [student(0, 2)])
    for name in ("two", "three"):
        line = {"job": 0, "status": "failed", "folder": name, "seed": 0, "error": "No memory."}
        add_row(tmp_path / "jobs.csv", line | {"overrides": '["loss=ce"]'})
    assert collect(tmp_path)[0]["folder"].tolist() == ["one", "two", "three"]


def test_an_axis_that_names_a_value_twice_makes_one_student(tmp_path):
    job(tmp_path, "one", [student(0, 2), student(0, 2), student(1, 2)])
    assert members(tmp_path / "one")["member"].tolist() == [0, 2]


def test_jobs_of_several_commands_have_numbers_of_their_own(tmp_path):
    for name in ("one", "two", "one"):  # each the first job of its command; the first repeated
        line = {"job": 0, "status": "completed", "folder": name, "seed": 0, "overrides": "[]"}
        add_row(tmp_path / "jobs.csv", line | {"error": ""})
    numbers = {row["folder"]: row["job"] for row in read_rows(tmp_path / "jobs.csv")}
    assert numbers == {"one": "0", "two": "1"}
