"""Names of columns and classes can't write markup or escapes: terminal, Markdown, HTML, figures."""

from __future__ import annotations

import logging
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from markdown_it import MarkdownIt

from meddistill.report import plots
from meddistill.report.page import DataTable, Page, Section, Text, render
from meddistill.report.tables import Table
from meddistill.report.writing import figure_text
from meddistill.runs.logfile import Visible

NASTY = [
    r"$\frac$", "a|b", "[red]x[/red]", "[/]", "<script>alert(1)</script>", "**b** _i_ `c`",
    "![x](y)", "&lt;", "~~s~~", "back\\", "_hidden", "#0a0000", 'id="x', "font-family: x",
    "\x1b[31mred", "bell\x07", "two\nlines", "nul\x00", "rtl\u202eevil", "\ud800", "--> ]]>",
]  # fmt: skip
UNSEEN = "\x1b\x07\x00\u202e\ud800"
names = pytest.mark.parametrize("name", NASTY, ids=map(ascii, NASTY))


def spelled(name):
    return "".join(c.encode("unicode_escape").decode() if c in UNSEEN + "\n" else c for c in name)


@names
def test_a_terminal_shows_it_and_obeys_nothing(name, capsys):
    Table(name, ["arm", name], [[name, name]], [name]).show()
    out = capsys.readouterr().out
    assert not set(UNSEEN) & set(out)
    assert out.count(spelled(name)) == 5  # title, head, two cells, note


@names
def test_markdown_is_that_very_text(name):
    written = Table(name, ["arm", name], [["x", name]], [name]).markdown()
    parsed = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(written)
    inline = [token for token in parsed if token.type == "inline"]
    kinds = {child.type for token in inline for child in token.children}
    texts = ["".join(child.content for child in token.children) for token in inline]
    assert kinds <= {"text", "text_special"}
    assert texts.count(spelled(name)) == 4
    assert "html_block" not in {token.type for token in parsed}


@names
def test_html_is_that_very_text(name):
    shown = render(
        Page(name, name, [Section(name, [Text(name), DataTable([name], [[name]], [name])])], [])
    )
    assert not set(UNSEEN) & set(shown)
    assert "<script>alert" not in shown
    shown.encode()


@names
def test_a_figure_shows_it_as_text(name):
    values = np.array([[0.1, 0.2]])
    drawn = [
        plots.classes_plot("f", [name, "b"], [(name, 0, np.array([0.9, 0.8]))], "x"),
        plots.surface_plot("f", [name, "b"], [name], values, values > 0.1, (name, name),
                           lower_is_better=True),
        plots.forest_plot("f", [(name, 0.1, 0.0, 0.2, "BETTER")], 0.01, True, "x"),
    ]  # fmt: skip
    for svg in drawn:
        assert not set(UNSEEN) & set(svg)
        found = ["".join(each.itertext()) for each in ET.fromstring(svg).iter()
                 if each.tag.endswith("text")]  # fmt: skip
        assert figure_text(name) in found


def test_a_figure_cuts_what_is_too_long_for_it():
    assert len(figure_text("x" * 5000)) == 40


@names
def test_a_line_of_the_log_steers_no_terminal(name):
    record = logging.LogRecord("meddistill", logging.INFO, "f", 1, "columns %s", (name,), None)
    assert not set(UNSEEN) & set(Visible("%(message)s").format(record))


def test_a_run_on_such_a_table_is_reported(meddistill, tmp_path):
    random = np.random.default_rng(0)
    classes = np.array([r"$\frac{$", "<script>|[red]", "# **b**"])
    target = random.integers(0, 3, 120)
    frame = pd.DataFrame({name: random.normal(size=120) + target for name in NASTY[:8]})
    frame["[bold]t|"] = classes[target]
    frame.to_csv("nasty.csv", index=False)
    code, _, err = meddistill(
        "distill", "data=table", "data.path=nasty.csv", "data.target='[bold]t|'", "loss=ce",
        "student=logistic", "trainer.max_epochs=2", "logger=none", "hydra.run.dir=r",
    )  # fmt: skip
    assert code == 0, err
    code, _, err = meddistill("report", "r")
    assert code == 0, err
    page = (tmp_path / "r" / "report.html").read_text()
    assert "<script>|" not in page
    assert "&lt;script&gt;|[red]" in page
    assert r"$\frac{$" in page
