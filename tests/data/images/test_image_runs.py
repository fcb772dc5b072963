"""Pictures through the command line: taught, streamed, answered, handed on, shown, or refused."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import made_pictures
import meddistill as package
from made_pictures import save_folder, save_npz

SMALL = (
    "teacher=resnet_image", "teacher.network.width=2", "teacher.network.stages=2",
    "teacher.trainer.max_epochs=1", "student=cnn_tiny", "student.depth=2", "trainer.max_epochs=2",
    "hydra.run.dir=run",
)  # fmt: skip


@pytest.fixture
def run(meddistill):
    """A small run on made pictures in ./run: its exit code, stdout and stderr."""

    def distill(*arguments, source=save_npz):
        return meddistill("distill", *source(Path.cwd()), *SMALL, *arguments)

    return distill


def answers(folder="run"):
    table = pd.read_parquet(Path(folder, "predictions.parquet"))
    return table[[column for column in table.columns if column.startswith("p_")]].to_numpy()


def test_a_student_taught_live_under_a_view_answers_as_it_was_scored_wherever_it_goes(
    run, meddistill
):
    code, out, err = run("answers=live", "view=affine")
    assert code == 0, err
    assert "80 rows, 12 x 12 pixels, grey" in out
    code, _, err = meddistill("export", "run", "--to", "alone")
    assert code == 0, err
    assert "Pictures: 12 x 12 pixels, grey" in Path("alone", "README.md").read_text()
    with np.load("pictures.npz") as archive:
        pictures = np.concatenate([archive[f"{part}_images"] for part in ("train", "val", "test")])
    for folder in ("run", "alone"):
        assert np.allclose(package.predict(folder, pictures), answers(), atol=1e-6)
    Path("new").mkdir()
    Image.fromarray(pictures[7]).save("new/seven.png")
    of_folder = package.predict("alone", "new")
    assert list(of_folder.index) == ["new/seven.png"]
    assert np.allclose(of_folder, answers()[7:8], atol=1e-6)


def test_pictures_read_from_their_files_train_the_same_student_to_the_last_bit(run):
    made_pictures.folder(Path("more"), 9, seed=7)
    settings = "answers=live", "view=affine", "data.unlabelled=more"
    code, _, err = run(*settings, source=save_folder)
    assert code == 0, err
    said = "The student learned from 9 unlabelled rows too, which the teacher alone answered"
    assert said in Path("run/report.md").read_text()
    held = answers()
    code, _, err = run(*settings, "data.in_memory=false", "hydra.run.dir=other", source=save_folder)
    assert code == 0, err
    assert np.array_equal(answers("other"), held)


@pytest.mark.parametrize(
    "settings",
    [
        ("loss=attention_transfer", "loss.student_layer=blocks.0", "loss.teacher_layer=stages.1"),
        ("loss=fitnets", "loss.student_layer=blocks.0", "loss.teacher_layer=stages.0"),
    ],
)
def test_losses_of_features_have_positions_and_fit_any_shapes(run, settings):
    code, _, err = run("answers=live", *settings)
    assert code == 0, err


def test_positions_of_other_numbers_are_refused_with_the_mend(run):
    layers = "loss.student_layer=blocks.1", "loss.teacher_layer=stages.0"
    code, _, err = run("answers=live", "loss=attention_transfer", *layers)
    assert code == 2
    assert "9 positions and the teacher's 144; name layers of one size" in err


def test_trees_teach_a_network_of_pictures_from_lists_of_the_same_pixels(meddistill):
    code, _, err = meddistill(
        "distill", *save_npz(Path.cwd()), "teacher=forest", "teacher.trees=5",
        "preprocessing@teacher.preprocessing=flat", "student=cnn_tiny", "trainer.max_epochs=1",
    )  # fmt: skip
    assert code == 0, err


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            ("student=mlp_tiny", "~student.depth"),
            "reads lists of numbers, and the rows here are images",
        ),
        (("view=affine",), "set answers=live"),
        (("loss=ce", "view=affine", "view.shift=2"), "shift=2: must be"),
        (("data.size=2", "student.depth=2"), "can be halved 1 times at the most"),
        (("data.split=fair",), "data.split=fair: must be random or official"),
        (("data.test=0.3",), "the parts are the official ones"),
        (("synthetic=munge",), "makes rows of tables, and these are images"),
    ],
)
def test_what_does_not_fit_pictures_is_refused_by_name(run, settings, said):
    code, _, err = run(*settings)
    assert code == 2, err
    assert said in err
    assert "Traceback" not in err


def test_a_page_shows_patients_pictures_where_it_is_asked_to_alone(run, meddistill):
    run()
    code, _, err = meddistill("report", "run")
    assert code == 0, err
    assert "data:image/png" not in Path("run", "report.html").read_text()
    code, _, err = meddistill("report", "run", "--examples", "3")
    assert code == 0, err
    page = Path("run", "report.html").read_text()
    assert len(re.findall('xlink:href="data:image/png', page)) == 9  # picture, teacher, student
    assert "This page holds pictures of 3 patients" in page
    np.savez(
        "pictures.npz", **{name: array[::-1] for name, array in np.load("pictures.npz").items()}
    )
    code, _, err = meddistill("report", "run", "--examples", "3")
    assert code == 2
    assert "is not what the run was made of any more" in err


def test_examples_of_a_table_are_refused(meddistill):
    meddistill("distill", "loss=ce", "trainer.max_epochs=1", "hydra.run.dir=run")
    code, _, err = meddistill("report", "run", "--examples", "3")
    assert code == 2
    assert "and the run's rows are tables" in err
