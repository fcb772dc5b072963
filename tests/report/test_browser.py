"""The page in headless Chromium: no script error, tables sort, nothing wider than a phone."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from test_page import FIGURES

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

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs Chromium (apt install chromium)")
QUIET = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update",
         "--disable-sync")  # fmt: skip
ERRORS = "<script>addEventListener('error', e => document.body.dataset.error = e.message);</script>"
CLICKS = """<script>addEventListener("load", () => {
  const body = document.body;
  body.dataset.hints = [...document.querySelectorAll(".scrolls")].map(p => !p.hidden).join();
  body.dataset.wide = document.documentElement.scrollWidth > innerWidth;
  const head = document.querySelectorAll("thead button")[1];
  const rows = document.querySelector("tbody").rows;
  const order = () => [...rows].map(row => row.cells[0].textContent).join("");
  head.click(); body.dataset.up = order();
  head.click(); body.dataset.down = order();
  body.dataset.sort = head.parentElement.getAttribute("aria-sort");
});</script>"""


def whole_page():
    table = DataTable(["name", "number"], [["a", ("10", 10.0)], ["b", ("9", 9.0)],
                                           ["c", ("-", float("nan"))]])  # fmt: skip
    broad = DataTable([f"a long head {k}" for k in range(9)], [["x"] * 9])
    figures = [Plot(draw(name), f"{name} in words", name) for name, draw in FIGURES.items()]
    verdicts = Verdicts("title", "summary", [("AUROC", "BETTER", "sentence " * 20)])
    parts = [verdicts, Notice("a", "b"), Text("c"), table, broad]
    return render(
        Page("title", "lead", [Section("one", parts), Section("two", figures, True)], ["x"])
    )


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser")
    page = whole_page().replace("<body>", f"<body>{ERRORS}").replace("</body>", f"{CLICKS}</body>")
    (folder / "page.html").write_text(page)
    command = [BROWSER, *QUIET, f"--user-data-dir={folder}/profile", "--window-size=390,800",
               "--dump-dom", f"file://{folder}/page.html"]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def data(rendered, name):
    found = re.search(rf'<body[^>]* data-{name}="([^"]*)"', rendered)
    return found and found[1]


def test_no_script_fails(rendered):
    assert data(rendered, "sort") is not None  # the scripts ran to their end
    assert data(rendered, "error") is None


def test_a_click_sorts_by_number_and_another_the_other_way_with_the_undefined_last(rendered):
    assert data(rendered, "up") == "bac"
    assert data(rendered, "down") == "abc"
    assert data(rendered, "sort") == "descending"


def test_the_page_is_no_wider_than_a_phone(rendered):
    assert data(rendered, "wide") == "false"


def test_every_figure_is_drawn(rendered):
    assert rendered.count("<svg") == len(FIGURES)
    assert rendered.count("</svg>") == len(FIGURES)


def test_a_table_that_goes_on_to_the_right_says_so_and_another_does_not(rendered):
    assert data(rendered, "hints") == "false,true"
