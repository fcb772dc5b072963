"""The page and its plots: escaped, self-contained, with words for every picture."""

from __future__ import annotations

import re

import numpy as np
import pytest

from meddistill.report import plots
from meddistill.report.drawing import INK, SERIES, style
from meddistill.report.page import (
    DataTable,
    Notice,
    Page,
    Plot,
    Section,
    Text,
    Verdicts,
    render,
)

X = np.linspace(0, 1, 5)
EVIL = '<script>alert(1)</script> & "quoted"'
FIGURES = {
    "forest": lambda n: plots.forest_plot(
        n, [("a", 0.1, 0.0, 0.2, "BETTER"), ("b", 0.0, -0.1, 0.1, "INCONCLUSIVE")], 0.01, True, "x"
    ),
    "curves": lambda n: plots.curves_plot(n, [("a", 0, X, X)], "x", "y", diagonal=True, level=0.3),
    "reliability": lambda n: plots.reliability_plot(n, [("a", 0, X, X, X - 0.1, X + 0.1)]),
    "decision": lambda n: plots.decision_plot(n, X[:-1], [("a", 0, X[:-1])], 0.3 - X[:-1]),
    "pareto": lambda n: plots.pareto_plot(
        n, [("a", 0, 0.1, 0.2, 0.1, 0.3), ("b", 1, 1.0, 0.1, 0.0, 0.2)], "ms"
    ),
    "surface": lambda n: plots.surface_plot(
        n,
        ["1", "2"],
        ["0.5"],
        np.array([[0.1, np.nan]]),
        np.array([[True, False]]),
        ("T", "alpha"),
        lower_is_better=True,
    ),
    "scatter": lambda n: plots.scatter_plot(n, X, X[::-1], X > 0.5, 4, ("x", "y")),
    "classes": lambda n: plots.classes_plot(
        n, ["c", "d"], [("a", 0, np.array([0.9, np.nan]))], "x"
    ),
}


def page(*parts):
    return render(Page("title", "lead", [Section("section", parts)], ["footer"]))


def test_whatever_users_wrote_is_escaped():
    table = DataTable(["a", EVIL], [[EVIL, (EVIL, 1.0)]], [EVIL], EVIL)
    shown = page(Text(EVIL), Notice(EVIL, EVIL), Verdicts(EVIL, EVIL, [(EVIL, "BETTER", EVIL)]),
                 table, Plot("<svg></svg>", EVIL, EVIL))  # fmt: skip
    assert "<script>alert" not in shown
    assert shown.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 16


def test_a_cell_sorts_by_its_number_and_an_undefined_one_last():
    shown = page(DataTable(["a", "b"], [["x", ("1,000", 1000.0)], ["y", ("-", float("nan"))]]))
    assert 'data-key="1000.0">1,000<' in shown
    assert 'data-key="nan">-<' in shown


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_takes_the_pages_ink_and_brings_no_colour_of_its_own(name):
    svg = FIGURES[name]("figure")
    assert svg.startswith("<svg ")
    assert not re.search(r"#[0-9a-fA-F]{6}\b", svg)
    assert not re.search(r"(fill|stroke): ?(black|white|#000|#fff)\b", svg)
    assert "currentColor" in svg


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_the_same_every_time_and_shares_no_id_with_another(name):
    one, other = FIGURES[name]("one"), FIGURES[name]("other")
    assert one == FIGURES[name]("one")
    ids = [set(re.findall(r' id="([^"]+)"', svg)) for svg in (one, other)]
    assert ids[0]
    assert not ids[0] & ids[1]
    references = set(re.findall(r'href="#([^"]+)"', one)) | set(re.findall(r"url\(#([^)]+)\)", one))
    assert references <= ids[0]


def test_arms_differ_in_more_than_colour():
    styles = [style(number) for number in range(len(SERIES))]
    assert len({one.marker for one in styles}) == len({str(one.linestyle) for one in styles}) == 8
    assert INK not in SERIES


@pytest.mark.parametrize(
    ("points", "front"),
    [
        ([(1, 1), (2, 0.5), (3, 0.7)], [0, 1]),
        ([(1, 1), (1, 1)], [0, 1]),
        ([(2, 1), (1, 1)], [1]),
    ],
)
def test_the_front_holds_what_no_other_beats(points, front):
    assert plots.pareto_front(points) == front
