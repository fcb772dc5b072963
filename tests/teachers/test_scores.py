"""A file of probabilities as teacher: how it is read, and everything it may get wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from meddistill.errors import SettingError, UserError
from meddistill.inference.known_rows import read_known_rows
from meddistill.teachers.checkpoint import CheckpointTeacher
from meddistill.teachers.score_file import match_rows, read_column
from meddistill.teachers.scores import ScoresTeacher
from meddistill.teachers.targets import find_targets


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def named(cohort):
    """The cohort with ids of its own: p0, p1, ..."""
    return replace(cohort, row=np.array([f"p{k}" for k in range(569)], object), has_ids=True)


@pytest.fixture
def frame(named):
    risk = np.random.default_rng(0).uniform(0.01, 0.99, 569)
    return pd.DataFrame({"id": named.row, "p_benign": 1 - risk, "p_malignant": risk})


def answers(frame, cohort, path="scores.csv", **settings):
    """The probabilities of the teacher whose file is `frame`."""
    if path.endswith(".parquet"):
        frame.to_parquet(path, index=False)
    else:
        writing = {"separator": "sep", "decimal": "decimal", "encoding": "encoding"}
        options = {writing[k]: v for k, v in settings.items() if k in writing}
        frame.to_csv(path, index=False, **options)
    settings = {"id": "id", "column": "p_{class}", **settings}
    return np.exp(ScoresTeacher(path, **settings).answers(cohort, Path()))


def refused(frame, cohort, **settings):
    with pytest.raises(SettingError) as error:
        answers(frame, cohort, **settings)
    return str(error.value)


def with_cell(frame, row, column, value):
    changed = frame.astype({column: object})
    changed.loc[row, column] = value
    return changed


@pytest.mark.parametrize(
    "settings", [{"path": "s.parquet"}, {"path": "s.csv.gz"}, {"separator": ";", "decimal": ","}]
)
def test_each_form_of_file_gives_the_same_answers(settings, frame, named):
    assert np.allclose(answers(frame, named, **settings)[:, 1], frame["p_malignant"])


def test_lines_of_other_rows_are_left_out_whatever_they_hold(frame, named):
    other = pd.DataFrame({"id": ["stranger", None], "p_benign": ["?", 7], "p_malignant": [1, 2]})
    found = answers(pd.concat([other, frame]), named)
    assert np.allclose(found[:, 1], frame["p_malignant"])


def test_whole_numbers_are_the_same_ids_in_csv_and_parquet(frame, cohort):
    named = replace(cohort, has_ids=True)  # ids "0", "1", ...
    frame["id"] = np.arange(569.0)
    assert np.allclose(answers(frame, named, path="s.parquet")[:, 1], frame["p_malignant"])


def test_a_file_of_one_column_is_enough_for_two_classes(frame, cohort):
    found = answers(frame[["p_malignant"]], cohort, id=None, column="p_malignant")
    assert np.allclose(found[:, 1], frame["p_malignant"])


def test_a_file_of_one_column_is_read_as_any_other(cohort, tmp_path, frame):
    """A word for a missing value is a cell, no line to leave out; blank lines are none."""
    cells = [f"{value:.3f}".replace(".", ",") for value in frame["p_malignant"]]
    path = tmp_path / "one.csv"
    teacher = {"id": None, "column": "p", "decimal": ","}
    path.write_text("\n\n".join(["p", *cells]))
    found = ScoresTeacher(str(path), **teacher).answers(cohort, tmp_path)
    assert np.allclose(np.exp(found[:, 1]), frame["p_malignant"].clip(1e-6), atol=6e-4)
    path.write_text("\n".join(["p", "NA", *(cell.replace(",", ".") for cell in cells)]))
    with pytest.raises(UserError, match="has 570 rows, the data 569"):
        ScoresTeacher(str(path), None, "p").answers(cohort, tmp_path)


def test_a_refused_file_of_scores_is_not_said_to_be_made(meddistill, frame):
    frame.iloc[:50].to_csv("s.csv", index=False)
    code, out, err = meddistill("distill", "teacher=scores", "teacher.path=s.csv")
    assert (code, "made now" in out) == (2, False)
    assert "has 50 rows, the data 569" in err


def test_three_classes_are_normalised_within_rounding(cohort):
    three = replace(cohort, classes=("a", "b", "c"))
    frame = pd.DataFrame(np.tile([0.333, 0.333, 0.333], (569, 1)), columns=["a", "b", "c"])
    assert np.allclose(answers(frame, three, id=None, column="{class}"), 1 / 3)


def test_a_rounding_of_float32_beyond_one_is_no_mistake(frame, named):
    frame.loc[0, ["p_benign", "p_malignant"]] = [-1e-8, 1.0000001]
    assert answers(frame, named)[0, 1] == pytest.approx(1, abs=2e-6)


def test_zeros_are_finite_in_log_space(frame, named):
    frame.loc[0, ["p_benign", "p_malignant"]] = [0, 1]
    assert answers(frame, named)[0, 0] == pytest.approx(1e-6, rel=1e-3)


def test_the_same_content_elsewhere_is_the_same_teacher_and_another_is_not(frame):
    frame.to_csv("a.csv", index=False)
    frame.to_csv("b.csv", index=False)
    frame.iloc[1:].to_csv("c.csv", index=False)
    a, b, c = (ScoresTeacher(f"{name}.csv", id="id").identity() for name in "abc")
    assert a == b != c
    assert ScoresTeacher("a.csv", id="id", clamp=0.01).identity() != a
    assert ScoresTeacher("a.csv", id="id", decimal=",").identity() != a


def test_an_absent_file_is_refused(meddistill):
    code, _, err = meddistill("distill", "teacher=scores", "teacher.path=none.csv")
    assert code == 2
    assert "teacher.path=none.csv: no such file" in err


def test_a_path_must_be_given(meddistill):
    code, _, err = meddistill("distill", "teacher=scores")
    assert code == 2
    assert "teacher.path is not set" in err


def test_a_wrong_separator_is_said_in_the_teachers_own_settings(frame):
    frame.to_csv("scores.csv", index=False, sep=";")
    with pytest.raises(UserError, match=r"set teacher\.separator=") as error:
        ScoresTeacher("scores.csv")
    assert "data." not in str(error.value)


def test_an_absent_column_is_refused_with_close_ones(frame, named):
    said = refused(frame, named, column="prob_{class}")
    assert said.startswith("teacher.column=prob_benign: no such column in scores.csv")
    assert "did you mean p_benign?" in said
    assert "It has id, p_benign, p_malignant" in said


def test_an_absent_column_of_ids_is_refused(frame, named):
    assert refused(frame, named, id="ids").startswith("teacher.id=ids: no such column")


def test_one_column_for_more_than_two_classes_is_refused(frame, named):
    three = replace(named, classes=("a", "b", "c"))
    said = refused(frame, three, column="p_malignant")
    assert said == (
        "teacher.column=p_malignant: must hold {class}: there are 3 classes, a column each"
    )


def test_rows_without_scores_are_counted_and_named(frame, named):
    said = refused(frame.drop(index=[3, 5, 8, 13]), named)
    assert said.startswith(
        "teacher.path=scores.csv: column 'id' lacks 4 of the data's 569 ids, first 'p3', 'p5', 'p8'"
    )
    assert "its own begin with 'p0', 'p1', 'p2'" in said


def test_an_id_that_stands_twice_is_refused_with_its_row(frame, named):
    said = refused(pd.concat([frame, frame.iloc[[4]]]), named)
    assert "'p4' more than once, again in row 571 (1 such rows)" in said


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("high", "'high' is no number: mend it (1 such cells)"),
        (None, "'' is empty: fill it in (1 such cells)"),
        (1.5, "'1.5' is no probability"),
        (-0.5, "'-0.5' is no probability"),
        ("inf", "'inf' is no probability"),
    ],
)
def test_a_cell_that_is_no_probability_is_refused_with_its_place(cell, said, frame, named):
    message = refused(with_cell(frame, 7, "p_malignant", cell), named)
    assert message.startswith("teacher.path=scores.csv: column 'p_malignant', row 9: " + said)


def test_percent_is_refused_with_the_mend(frame, named):
    said = refused(frame.assign(p_benign=frame["p_benign"] * 100), named)
    assert "percent / 100" in said


def test_a_row_that_does_not_sum_to_one_is_refused_with_its_place(frame, named):
    frame.loc[2, ["p_benign", "p_malignant"]] = [0.5, 0.52]
    said = refused(frame, named)
    assert "row 4: the columns p_benign, p_malignant sum to 1.02, not to 1 (1 such rows)" in said


def test_rows_matched_by_order_must_be_as_many(frame, cohort):
    said = refused(frame.iloc[:-1], cohort, id=None)
    assert said.startswith("teacher.path=scores.csv: has 568 rows, the data 569")


def test_ids_are_not_matched_with_row_numbers(frame, cohort):
    said = refused(frame, cohort)
    assert said.startswith("teacher.id=id: the data have no ids to match: set data.id")


def test_data_with_ids_are_not_matched_by_order(frame, named):
    assert "name the column of scores.csv" in refused(frame, named, id=None)


@pytest.mark.parametrize("clamp", [0, -1, 0.5])
def test_a_clamp_out_of_range_is_refused(clamp, frame, named):
    assert refused(frame, named, clamp=clamp).startswith(f"clamp={clamp}: must be")


def test_a_folder_of_scores_cannot_teach_other_rows(frame, named, split, tmp_path):
    frame.to_csv("scores.csv", index=False)
    teacher = ScoresTeacher("scores.csv", id="id", column="p_{class}")
    targets = find_targets(teacher, named, split, tmp_path / "store", {})
    assert read_known_rows(targets.folder) == []
    assert targets.model().parts() == []
    with pytest.raises(UserError, match="can't be asked for others"):
        find_targets(CheckpointTeacher(str(targets.folder)), named, split, tmp_path / "store", {})


def write_table(frame, cohort, separator=","):
    """The cohort, its diagnosis and its scores in one file."""
    dx = np.array(cohort.classes)[cohort.target]
    table = pd.concat([frame.rename(columns={"id": "patient"}), cohort.records.frame], axis=1)
    table.assign(dx=dx).to_csv("table.csv", index=False, sep=separator)


TABLE = ("data=table", "data.path=table.csv", "data.target=dx", "data.drop=[p_benign,p_malignant]",
         "teacher=scores", "teacher.path=table.csv", 'teacher.column="p_{class}"',
         "trainer.max_epochs=1", "hydra.run.dir=run")  # fmt: skip


@pytest.mark.parametrize("more", [(), ("data.id=patient",), ("data.separator=';'",)])
def test_the_datas_own_file_may_hold_the_scores(more, frame, cohort, meddistill):
    write_table(frame, cohort, ";" if "data.separator=';'" in more else ",")
    code, out, err = meddistill("distill", *TABLE, *more)
    assert code == 0, err
    row = next(line for line in out.splitlines() if " teacher " in line)
    assert row.replace("│", "|").split("|")[2].strip() == "-"  # it has no parameters
    card = json.loads(Path("run/model.json").read_text())
    assert not any(name.startswith("p_") for name in card["schema"]["numeric"])


def test_a_live_file_is_refused(frame, cohort, meddistill):
    write_table(frame, cohort)
    code, _, err = meddistill("distill", *TABLE, "answers=live")
    assert code == 2
    assert "answers=stored" in err


def test_the_verb_teacher_judges_a_file_of_scores(frame, cohort, meddistill):
    write_table(frame, cohort)
    code, _, err = meddistill("teacher", *TABLE[:-2], "hydra.run.dir=run")
    assert code == 0, err
    found = pd.read_parquet("run/predictions.parquet")
    assert np.allclose(found["p_malignant"], frame["p_malignant"], atol=1e-5)


@pytest.mark.parametrize("cells", [[[1.0], [2.0]], [{"a": 1}, {"a": 2}]], ids=["lists", "mappings"])
def test_scores_in_cells_that_hold_many_values_are_refused_by_row(cells, tmp_path):
    path = tmp_path / "scores.parquet"
    pd.DataFrame({"id": ["a", "b"], "p": cells}).to_parquet(path)
    scores = ScoresTeacher(str(path), id="id", column="p")
    with pytest.raises(UserError, match=r"column 'p', row 1: .* is no number"):
        read_column(scores.frame, "p", path)
    pd.DataFrame({"id": cells, "p": [0.1, 0.2]}).to_parquet(path)
    scores = ScoresTeacher(str(path), id="id", column="p")
    with pytest.raises(UserError, match="column 'id', row 1"):
        match_rows(scores.frame, "id", ["a"], path)
