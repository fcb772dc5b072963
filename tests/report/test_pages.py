"""The pages of a run and of a sweep: what they show is what the files hold."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest

from conftest import SMALL_TEACHER
from meddistill.evaluation.surface import surface
from meddistill.report.classes import classes_table, per_class_auroc
from meddistill.report.page import DataTable, Plot, render
from meddistill.report.sweep_page import MOST, sweep_page
from meddistill.report.tables import number, run_table
from sweep_frames import failed, grid, noisy, student, sweep


def parts(page, kind):
    return [part for section in page.sections for part in section.parts if isinstance(part, kind)]


def titles(page):
    return [section.title for section in page.sections]


def test_a_grid_has_a_surface_whose_words_are_its_means():
    page, found = sweep_page("sweep", grid()), surface(grid())
    assert titles(page) == ["What choosing gives", "The surface", "The settings", "How to read it"]
    drawn = parts(page, Plot)[0]
    best = found.table.iloc[0]
    assert f"loss.temperature {best['loss.temperature']:g}: " in drawn.alternative
    for score in found.table.dropna(subset="loss.alpha")["score"]:
        assert number(score) in drawn.alternative


def test_the_surface_is_darkest_where_best_whichever_way_better_is():
    def darkest(monitor, scores):
        rows = [
            student(score, monitor=monitor, a=1 + k // 2, b=1 + k % 2)
            for k, score in enumerate(scores)
        ]
        svg = parts(sweep_page("s", sweep(rows)), Plot)[0].svg
        return np.argmax([float(v) for v in re.findall(r"opacity: ([\d.]+)", svg)])

    assert darkest("val/log_loss", [0.4, 0.1, 0.3, 0.2]) == 1
    assert darkest("val/auroc", [0.4, 0.1, 0.3, 0.2]) == 0


def test_no_surface_without_a_grid_and_a_page_all_the_same():
    page = sweep_page("s", noisy(np.random.default_rng(0), settings=5, splits=3))
    assert len(parts(page, Plot)) == 1  # validation against test
    assert "<svg" in render(page)


def test_order_on_validation_is_compared_with_order_on_test():
    rows = [student(s, t, a=k) for k, (s, t) in enumerate([(1, 3), (2, 2), (3, 1)])]
    assert "rank correlation is -1.00" in parts(sweep_page("s", sweep(rows)), Plot)[0].alternative


def test_a_sweep_of_failures_has_a_page_that_says_why():
    page = sweep_page("s", sweep([failed(seed=0), failed(seed=1)]))
    assert page.lead == "s: 2 students, 0 finished."
    assert "The loss is not a number." in render(page)


def test_a_page_shows_more_settings_than_a_terminal_and_says_what_it_hides():
    page = sweep_page("s", sweep([student(0.1 + k, lr=k) for k in range(MOST + 3)]))
    settings = parts(page, DataTable)[1]
    assert len(settings.rows) == MOST
    assert settings.notes[0] == "3 more settings in sweep.csv."


def test_cells_sort_by_the_number_they_begin_with():
    table = parts(sweep_page("s", grid()), DataTable)[0]
    shown = table.rows[0][1]
    assert shown[1] == float(shown[0].split(" ")[0])


@pytest.fixture
def folder(meddistill):
    code, _, err = meddistill("distill", *SMALL_TEACHER, "trainer.max_epochs=4", "hydra.run.dir=r")
    assert code == 0, err
    return "r"


def test_the_page_of_a_run(folder, meddistill, tmp_path):
    code, out, _ = meddistill("report", folder)
    assert code == 0
    assert "Page: r/report.html" in out
    text = (tmp_path / folder / "report.html").read_text()
    metrics = json.loads((tmp_path / folder / "metrics.json").read_text())
    for name in ("teacher", "student"):
        assert number(metrics[name]["test"]["log_loss"]) in text
    assert text.count("<svg") == 4
    assert "https://" not in re.sub(r"<svg.*?</svg>", "", text, flags=re.S)
    assert "meddistill trial" in text
    assert len(text) < 5_000_000


def test_the_end_of_a_run_names_the_command_for_its_page(meddistill):
    _, out, _ = meddistill("distill", "trainer.max_epochs=1", "loss=ce", "hydra.run.dir=r")
    assert "A page with plots: meddistill report r" in out


def test_a_sweep_and_its_job_have_pages(meddistill, tmp_path):
    code, out, err = meddistill(
        "distill", "-m", "loss=ce", "trainer.max_epochs=2", "optimizer.lr=0.001,0.01",
        "optimizer.weight_decay=0.0,0.1", "data.split_seed=0,1", "hydra.sweep.dir=s",
    )  # fmt: skip
    assert code == 0, err
    assert "A page with plots: meddistill report s" in out
    assert not (tmp_path / "s" / "report.html").exists()
    [job] = (path.parent for path in (tmp_path / "s").glob("*/job.json"))
    for place in ("s", f"s/{job.name}"):
        code, out, _ = meddistill("report", place)
        assert code == 0
        assert f"Page: {place}/report.html" in out
        assert (tmp_path / place / "report.html").read_text().count("<svg") == 2


def test_each_class_by_hand():
    p = np.array([[0.8, 0.1, 0.1], [0.3, 0.4, 0.3], [0.2, 0.5, 0.3], [0.1, 0.2, 0.7]])
    target = np.array([0, 0, 1, 2])
    table = classes_table("m", p, target, ["a", "b", "c"], "rows")
    by_name = {row[0]: [cell[1] for cell in row[1:]] for row in table.rows}
    assert by_name["a"] == [2, 1, 1, 0.5, 1]
    assert by_name["b"] == [1, 1, 1, 1, 0.5]
    assert by_name["c"] == [1, 1, 1, 1, 1]


def test_a_class_that_does_not_occur_has_no_measure():
    values = per_class_auroc(np.full((2, 3), 1 / 3), np.array([0, 1]))
    assert list(values[:2]) == [0.5, 0.5]
    assert np.isnan(values[2])
    table = classes_table("m", np.eye(3)[[0, 1]], np.array([0, 1]), ["a", "b", "c"], "rows")
    assert [cell[0] for cell in table.rows[2][1:]] == ["0", "-", "-", "-", "-"]


def test_predictions_of_a_page_are_read_by_class_name(tmp_path):
    from meddistill.report.run_page import _answered

    frame = pd.DataFrame({"split": ["test"] * 2, "label": ["ill", "well"],
                          "p_well": [0.1, 0.9], "p_ill": [0.9, 0.1]})  # fmt: skip
    found = _answered(frame, "test", ["well", "ill"], "m")
    assert found.target.tolist() == [1, 0]
    assert found.probabilities.tolist() == [[0.1, 0.9], [0.9, 0.1]]


def test_a_dash_in_a_runs_table_is_explained():
    data = {"name": "x", "rows": {"test": 5}, "positive": "yes", "classes": ["no", "yes"]}
    test = {"auroc": None, "accuracy": 1.0, "log_loss": 0.1, "calibration_error": 0.1}
    student = {"name": "s", "parameters": 3, "test": test}
    metrics = {"data": data, "threshold": 0.5, "student": student}
    assert any(note.startswith("A dash: not defined") for note in run_table(metrics).notes)
    metrics["student"]["test"] = test | {"auroc": 0.5}
    assert not any(note.startswith("A dash") for note in run_table(metrics).notes)
