"""A model that is handed on names none of its patients, and answers as before."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pandas as pd
import pytest

import meddistill as package
from meddistill.errors import UserError
from meddistill.inference.known_rows import read_known_rows

SMALL = ("trainer.max_epochs=3", "teacher.trainer.max_epochs=3", "teacher.network.width=8")
TABLE = ("data=table", "data.path=clinic.csv", "data.target=dx", "data.id=person")
RARE = ("Kuru", "Wilson-Konovalov")


@pytest.fixture
def clinic(tmp_path, monkeypatch):
    """A table with ids and two diagnoses that hardly anyone has, in the folder of the run."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    count = 120
    history = random.choice(["asthma", "diabetes", "none"], count).astype(object)
    history[:3], history[3:4] = RARE[0], RARE[1]
    frame = pd.DataFrame(
        {
            "person": [f"PATIENT-{number:05d}" for number in random.permutation(count)],
            "age": random.normal(60, 9, count).round(1),
            "history": history,
        }
    )
    frame["dx"] = np.where(frame["age"] + random.normal(0, 5, count) > 60, "ill", "well")
    frame.to_csv("clinic.csv", index=False)
    return frame


def contents(folder):
    """All bytes of a folder's files, those inside archives unpacked."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            found[path] = path.read_bytes()
            if zipfile.is_zipfile(path):
                with zipfile.ZipFile(path) as archive:
                    found |= {path / name: archive.read(name) for name in archive.namelist()}
    return found


def run(meddistill, *arguments):
    code, out, err = meddistill(*arguments)
    assert code == 0, out + err
    return out


@pytest.mark.parametrize("teacher", ["mlp", "forest", "several"])
def test_an_exported_model_names_no_patient_and_answers_alike(
    meddistill, clinic, tmp_path, teacher
):
    sizes = {"mlp": SMALL[1:], "forest": ("teacher.trees=3",)}
    networks = "teacher.of.mlp_ensemble"
    several = (
        f"{networks}.members=2",
        f"{networks}.trainer.max_epochs=2",
        "teacher.of.forest.trees=3",
    )
    run(
        meddistill, "teacher", *TABLE, f"teacher={teacher}", *sizes.get(teacher, several),
        f"hydra.run.dir={tmp_path}/run",
    )  # fmt: skip
    run(meddistill, "export", "run", "--to", "handed/on")
    keys = [key.encode() for key in read_known_rows(tmp_path / "run")]
    assert len(keys) > 60
    secret = [b"PATIENT-", str(tmp_path).encode(), *keys]
    for path, content in contents(tmp_path / "handed").items():
        assert not [each for each in secret if each in content], path
    expected = package.predict("run", clinic)
    pd.testing.assert_frame_equal(package.predict("handed/on", clinic), expected)


def test_a_student_is_exported_without_anything_of_its_run(meddistill, clinic, tmp_path):
    run(meddistill, "distill", *TABLE, "teacher=mlp", *SMALL, f"hydra.run.dir={tmp_path}/run")
    run(meddistill, "export", "run", "--to", "on")
    files = {path.relative_to(tmp_path / "on").as_posix() for path in contents(tmp_path / "on")}
    there = {name for name in files if (tmp_path / "on" / name).is_file()}
    assert {"README.md", "model.json", "checkpoints/best.ckpt"} < there
    assert len(there) == 4
    said = (tmp_path / "on" / "README.md").read_text()
    assert "ill, well" in said or "well, ill" in said
    assert "age" in said


def test_a_model_that_was_handed_on_teaches_only_where_the_user_answers_for_it(
    meddistill, clinic, tmp_path
):
    run(meddistill, "teacher", *TABLE, "teacher=forest", "teacher.trees=3",
        f"hydra.run.dir={tmp_path}/run")  # fmt: skip
    run(meddistill, "export", "run", "--to", "on")
    student = ("distill", *TABLE, "teacher=checkpoint", "teacher.path=on", SMALL[0])
    code, _, err = meddistill(*student)
    assert code == 2
    assert "nobody can check" in err
    assert "teacher.trust_unseen=true" in err
    out = run(meddistill, *student, "teacher.trust_unseen=true")
    assert "nobody can check" in out
    assert "these figures are too good" in out


def test_a_model_that_is_made_of_rows_is_exported_only_on_demand(meddistill, clinic, tmp_path):
    neighbours = "teacher.estimator._target_=sklearn.neighbors.KNeighborsClassifier"
    run(meddistill, "teacher", *TABLE, "teacher=estimator", neighbours,
        f"hydra.run.dir={tmp_path}/run")  # fmt: skip
    code, _, err = meddistill("export", "run", "--to", "on")
    assert code == 2
    assert "_fit_X" in err
    assert "--with-rows" in err
    assert not (tmp_path / "on").exists()
    run(meddistill, "export", "run", "--to", "on", "--with-rows")


def test_a_model_that_fills_cells_by_rows_is_exported_only_on_demand(
    meddistill, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    run(meddistill, "distill", "loss=ce", "teacher=boosting", "missing=knn", "missing.most_rows=50",
        "trainer.max_epochs=1", "hydra.run.dir=filled")  # fmt: skip
    code, _, err = meddistill("export", "filled", "--to", "model")
    assert code == 2
    assert "missing=knn" in err
    code, _, err = meddistill("export", "filled", "--to", "model", "--with-rows")
    assert code == 0, err
    readme = (tmp_path / "model" / "README.md").read_text()
    assert "rows of training patients" in readme
    assert "no row," not in readme


def test_what_can_not_be_exported_is_refused_in_words(meddistill, tmp_path):
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / "jobs.csv").write_text("job\n")
    code, _, err = meddistill("export", "sweep", "--to", "on")
    assert (code, "meddistill pick" in err) == (2, True)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "model.json").write_text(json.dumps({}))
    code, _, err = meddistill("export", "run", "--to", "run")
    assert (code, "choose another --to" in err) == (2, True)
    code, _, err = meddistill("export", "run", "--to", "on")
    assert (code, "no finished model" in err) == (2, True)


@pytest.mark.parametrize("verb", ["export", "predict"])
def test_a_folder_that_is_not_there_is_told_so(meddistill, verb):
    if verb == "export":
        code, _, said = meddistill("export", "nowhere", "--to", "out")
        assert code == 2
    else:
        with pytest.raises(UserError) as caught:
            package.predict("nowhere", pd.DataFrame({"a": [1]}))
        said = str(caught.value)
    assert "nowhere: there is no such folder" in said
    assert "model" not in said
