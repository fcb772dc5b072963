"""A sweep's tables: what they print, and what they never print."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from meddistill.evaluation.surface import surface
from meddistill.report.surface import surface_tables
from meddistill.report.tables import number
from sweep_frames import by_split, failed, grid, noisy, student, sweep


def row(table, name):
    """The cells of the only line of that name, by head."""
    lines = [line for line in table.rows if line[0] == name]
    assert len(lines) == 1
    return dict(zip(table.columns, lines[0], strict=True))


def notes(table):
    return "\n".join(table.notes)


@pytest.fixture(scope="module")
def tables():
    return surface_tables(grid())


def test_every_line_has_a_cell_a_column(tables):
    for table in tables:
        assert all(len(line) == len(table.columns) for line in table.rows)
        assert all(isinstance(cell, str) for line in table.rows for cell in line)


def test_the_settings_by_hand():
    table = surface_tables(by_split({1: [0.1, 0.2, 0.3], 2: [0.4, 0.4, 0.7]}))[0]
    assert table.columns == [
        "model", "lr", "students", "val log loss", "standard error",
        "AUROC", "accuracy", "log loss", "calibration error", "told from best?",
    ]  # fmt: skip
    assert table.rows[0] == ["distilled student", "1", "3", "0.2000", "0.0816", "0.8000",
                             "0.9000", "0.2000", "0.0200", "best"]  # fmt: skip
    assert table.rows[1][-1] == "not told"


def test_a_setting_that_is_told_from_the_best_has_no_mark():
    rng = np.random.default_rng(0)
    base = rng.normal(0.3, 0.05, 8)
    far = base + 0.2 + rng.normal(0, 0.01, 8)
    near = base + rng.normal(0.005, 0.02, 8)
    table = surface_tables(by_split({1: list(base), 2: list(far), 3: list(near)}))[0]
    assert [line[-1] for line in table.rows] == ["best", "not told", ""]
    assert "1 of the 2 other settings can't be told" in notes(table)


def test_axes_that_share_their_last_name_keep_the_whole():
    rows = [student(0.1 * w, student__width=w, teacher__width=v) for w in (1, 2) for v in (1, 2)]
    assert surface_tables(sweep(rows))[0].columns[1:3] == ["student.width", "teacher.width"]


def test_the_notes_say_what_is_averaged_and_what_the_error_covers(tables):
    text = notes(tables[0])
    assert "mean over 4 splits of the patients with 5 students each (differing in seed)" in text
    assert "over 4 splits, students of a split averaged first" in text
    assert "Nadeau and Bengio 2003" in text
    assert "too good to expect again" in text
    assert "Positive class: malignant." in text
    assert "one split" not in text.replace("in one split", "")


def test_one_split_is_said_to_tell_nothing_of_other_patients():
    tables = surface_tables(grid(splits=1))
    for table in tables[:2]:
        assert "nothing here tells how results vary with other patients" in notes(table)
    assert "covers 5 values of seed alone" in notes(tables[0])
    assert "Nadeau" not in notes(tables[0]) + notes(tables[1])
    assert "(" not in row(tables[1], "chosen on validation")["AUROC"]
    assert not any("minus" in line[0] for line in tables[1].rows)


def test_a_single_student_a_setting_still_gives_tables():
    tables = surface_tables(grid(seeds=1, splits=1))
    assert "Each setting is one student." in notes(tables[0])
    assert "There is no standard error" in notes(tables[0])
    assert "No setting can be told from another." in notes(tables[0])
    assert {line[tables[0].columns.index("standard error")] for line in tables[0].rows} == {"-"}
    assert len(tables[0].rows) == 13
    assert tables[2].title == "Mean val log loss"
    assert "(" not in tables[2].rows[0][1]


def test_one_setting_chooses_nothing():
    rows = [student(s, seed=k % 2, data__split_seed=k // 2)
            for k, s in enumerate((0.1, 0.2, 0.4, 0.6))]  # fmt: skip
    first, second = surface_tables(sweep(rows))
    assert [line[0] for line in second.rows] == ["the only setting"]
    assert "nothing was chosen" in notes(second)
    assert "too good" not in notes(first)
    assert len(first.rows) == 1


def test_the_choice_by_hand():
    frame = by_split({1: [0.1, 0.5], 2: [0.2, 0.4]}, {1: [0.31, 0.9], 2: [0.8, 0.35]})
    table = surface_tables(frame)[1]
    # 0.31 and 0.35: mean 0.33, s = 0.0283, times sqrt(1/2 + 1/3)
    assert row(table, "chosen on validation")["log loss"] == "0.3300 (0.0258)"
    assert row(table, "taken blindly")["log loss"] == "0.5900 (0.0452)"
    assert "The 2 splits chose 2 different settings." in table.notes
    assert len(table.rows) == 2


def test_the_difference_to_the_student_alone():
    rows = [student(0.1, test, loss="kd", data__split_seed=k) for k, test in enumerate((0.2, 0.3))]
    rows += [student(0.3, test, loss="ce", data__split_seed=k, name="student alone")
             for k, test in enumerate((0.5, 0.5))]  # fmt: skip
    table = surface_tables(sweep(rows))[1]
    # -0.3 and -0.2: s = 0.0707, times sqrt(5/6), times t = 12.706
    expected = "-0.2500 [-1.0702, +0.5702]"
    assert row(table, "distilled student minus student alone")["log loss"] == expected
    assert row(table, "chosen minus student alone")["log loss"] == expected
    assert row(table, "student alone")["log loss"] == "0.5000 (0.0000)"
    assert "'Chosen' may be a student alone: it was in 0 of 2 splits." in table.notes
    assert "(chosen)" not in notes(table)


def test_the_winners_own_score_is_no_expectation():
    rng = np.random.default_rng(3)
    for _ in range(20):
        frame = noisy(rng, settings=12, splits=4)
        best = surface(frame).table.iloc[0]
        settings, choice = surface_tables(frame)[:2]
        own = [number(best["score"]), number(best["test/log_loss"])]
        own += [number(score) for score in frame.loc[frame["optimizer.lr"] == 0, "score"]]
        own.append(number(frame["score"].min()))
        printed = set(re.findall(r"\d\.\d{4}", " ".join(cell for r in choice.rows for cell in r)))
        assert own[0] not in printed
        assert own[-1] not in printed
        assert not re.search(r"\d\.\d{3}", notes(settings) + notes(choice))


def test_the_mean_over_splits_is_the_only_score_of_the_winner_in_sight(tables):
    frame = grid()
    lowest = number(frame["score"].min())
    assert all(lowest not in table.markdown() for table in tables)


def test_failures_are_grouped_by_their_error():
    rows = [student(0.1, optimizer__lr=1), student(0.2, optimizer__lr=2)]
    rows += [failed(optimizer__lr=3) for _ in range(7)] + [failed("No memory.", optimizer__lr=4)]
    table = surface_tables(sweep(rows))[0]
    assert "7 jobs failed (jobs 2, 3, 4, 5, 6, ...): The loss is not a number." in table.notes
    assert "1 job failed (job 9): No memory." in table.notes
    assert len(table.rows) == 2


def test_a_student_that_failed_in_its_job_is_no_failed_job():
    rows = [student(0.1, seed=0), {**failed(seed=1), "member": 1}]
    assert "1 student failed (job 1): The loss is not a number." in notes(
        surface_tables(sweep(rows))[0]
    )


def test_teachers_are_told_apart_by_their_settings():
    rows = [
        {**student(0.1 + 0.1 * (name == "mlp"), teacher=name, **{"loss": "kd"}),
         "teacher/name": "teacher", "teacher/key": name, "teacher/val/log_loss": 0.1}
        for name in ("forest", "mlp")
    ]  # fmt: skip
    table = surface_tables(sweep(rows))[0]
    assert [line[:2] for line in table.rows[:2]] == [["teacher", "forest"], ["teacher", "mlp"]]


def test_students_without_a_score_are_counted():
    table = surface_tables(sweep([student(0.1, seed=0), student(np.nan, 0.3, seed=1)]))[0]
    assert "1 student finished without a score (job 1)." in table.notes
    assert row(table, "distilled student")["students"] == "1"


def test_a_sweep_of_failures_says_why():
    tables = surface_tables(sweep([failed(seed=0), failed(seed=1)]))
    assert len(tables) == 1
    assert tables[0].notes[0] == "No student finished with a validation score."
    assert "2 jobs failed (jobs 0, 1): The loss is not a number." in tables[0].notes
    tables[0].show()


def test_settings_that_lack_splits_are_named():
    table = surface_tables(by_split({1: [0.1, 0.2, 0.9], 2: [0.15, 0.27, None]}))[0]
    assert [line[1] for line in table.rows] == ["1", "2"]
    assert "1 setting without all splits at the end (1 not run with all)" in notes(table)


def test_settings_that_lack_failed_students_are_told_from_those_never_run():
    rows = [student(0.1, seed=seed, loss="kd", loss__temperature=2) for seed in (0, 1, 2)]
    rows += [student(0.2, seed=seed, loss="kd", loss__temperature=4) for seed in (0, 1)]
    rows += [student(0.3, seed=seed, loss="kd", loss__temperature=8) for seed in (0, 1)]
    rows += [student(0.4, seed=seed, loss="ce") for seed in (0, 1)]
    rows += [failed(seed=2, loss="kd", loss__temperature=8)]
    text = notes(surface_tables(sweep(rows))[0])
    assert "with up to 3 students each (differing in seed)" in text
    assert "3 settings without all seeds at the end (1 with failed students, 2 not run with" in text
    rows += [failed()]  # a job, of whose students nothing is known
    assert "at the end (3 with failed students)" in notes(surface_tables(sweep(rows))[0])


def test_more_settings_than_asked_for_are_in_the_file():
    table = surface_tables(grid(), most=5)[0]
    assert len(table.rows) == 5
    assert table.notes[0] == "8 more settings in sweep.csv."
    assert "of the 12 other settings" in notes(table)


def test_few_teachers_come_first_and_many_do_not():
    def taught(count):
        return surface_tables(sweep([
            student(0.1 + k, data__split_seed=k, optimizer__lr=lr) | {
                "teacher/name": "teacher", "teacher/key": f"key{k}",
                "teacher/val/log_loss": 0.05 + k, "teacher/test/auroc": 0.99}
            for k in range(count) for lr in (1, 2)
        ]))[0]  # fmt: skip

    assert [line[0] for line in taught(3).rows] == ["teacher"] * 3 + ["distilled student"] * 2
    assert taught(3).rows[0] == ["teacher", "", "", "0.0500", "", "0.9900", "-", "-", "-", ""]
    assert [line[0] for line in taught(4).rows] == ["distilled student"] * 2


def test_the_matrix_has_the_longer_axis_down(tables):
    found = surface(grid())
    matrix = tables[2]
    assert matrix.title == "Mean val log loss (standard error)"
    assert matrix.columns == ["loss.temperature \\ loss.alpha", "0.1", "0.5", "0.9"]
    assert [line[0] for line in matrix.rows] == ["1", "2", "4", "8"]
    line = found.table[(found.table["loss.temperature"] == 4) & (found.table["loss.alpha"] == 0.5)]
    score, error, near = line[["score", "standard_error", "not_told_from_best"]].iloc[0]
    assert matrix.rows[2][2] == f"{number(score)} ({number(error)})" + "*" * bool(near)
    assert "1 setting without both axes not shown." in matrix.notes


def numbers(**axes):
    """A student for each combination."""
    frame = pd.MultiIndex.from_product(axes.values(), names=axes).to_frame(index=False)
    rows = frame.to_dict("records")
    return sweep([student(0.1 + 0.01 * k, **line) for k, line in enumerate(rows)])


@pytest.mark.parametrize(
    "frame",
    [
        numbers(a=[1, 2]),
        numbers(a=[1, 2], b=[1, 2], c=[1, 2]),
        numbers(a=[1, 2], b=[1, 2], c=["x", "y"]),
        numbers(a=[1, 2], b=["x", "y"]),
        numbers(a=[1, 2], b=[True, False]),
        numbers(a=range(13), b=range(13)),
        sweep([student(0.1 * k, a=k, b=10 - k) for k in range(1, 6)]),
    ],
    ids=["one", "three", "and a name", "a name", "a switch", "too wide", "a random search"],
)
def test_no_matrix_where_the_sweep_is_no_grid_of_two_numbers(frame):
    assert len(surface_tables(frame)) == 2


def test_a_grid_with_a_hole_is_a_grid():
    frame = numbers(a=[1, 2, 3], b=[1, 2])
    matrix = surface_tables(frame.drop(index=0))[2]
    assert matrix.rows[0][:2] == ["1", ""]


def test_data_sets_are_never_compared():
    rows = [student(s + base, optimizer__lr=s, data=data)
            for data, base in (("heart", 0.0), ("lung", 1.0)) for s in (0.1, 0.2)]  # fmt: skip
    tables = surface_tables(sweep(rows))
    assert [table.title.rpartition(", ")[2] for table in tables] == [
        "data=heart", "data=heart", "data=lung", "data=lung"
    ]  # fmt: skip
    assert tables[2].rows[0][3] == "1.1000"


def test_differing_monitors_are_said():
    rows = [student(0.3), student(0.4, seed=1), student(0.2, monitor="val/auroc", seed=1)]
    text = notes(surface_tables(sweep(rows))[0])
    assert "Monitors differ; all settings are compared by val log loss." in text


def test_more_classes_have_no_positive_one():
    rows = [student(s, positive="", classes=3, seed=s) for s in (1, 2)]
    assert "3 classes. AUROC is the mean of one class against the rest" in notes(
        surface_tables(sweep(rows))[0]
    )


def test_missing_sizes_are_said():
    tables = surface_tables(grid().drop(columns="rows/train"))
    assert all("no numbers of rows" in notes(table) for table in tables[:2])
    assert row(tables[1], "chosen minus student alone")["AUROC"] == "-"


def test_it_shows_and_goes_into_markdown(tables, capsys):
    for table in tables:
        table.show()
        assert table.markdown().startswith(f"## {table.title}")
    out = capsys.readouterr().out
    assert "Choose on validation, look at test" in out
    assert max(map(len, out.splitlines())) <= 160
