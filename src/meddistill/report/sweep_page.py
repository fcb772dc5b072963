"""The page of a sweep: what choosing gives, the surface over its axes, every setting."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from meddistill.evaluation.surface import Surface, finished
from meddistill.measures import lower_is_better
from meddistill.report.page import Cell, DataTable, Page, Plot, Section, Text
from meddistill.report.plots import scatter_plot, surface_plot
from meddistill.report.surface import Grid, Part, surface_parts
from meddistill.report.surface_notes import cell, counted, head
from meddistill.report.tables import Table
from meddistill.runs.runfolder import environment

MOST = 200
"""Settings in the page's table."""
NUMBER = re.compile(r"[+-]?\d[\d,]*(\.\d+)?(e[+-]?\d+)?")
RULES = (
    "The best of many settings owes part of its score to luck, and more of it the more were tried. "
    "So: scores are of validation rows, averaged over splits and seeds; settings that the data "
    "can't tell from the best are marked, and any of them may be taken; and what a chosen setting "
    "is worth is read off test rows that had no part in the choice. Whether the teacher was worth "
    "it at all, 'meddistill trial' says."
)


def sweep_page(name: str, frame: pd.DataFrame) -> Page:
    """The page of the students in `frame`, a row each, as `sweep.csv` has them."""
    parts = surface_parts(frame, MOST)
    sections = [section for k, part in enumerate(parts) for section in _sections(k, part)]
    sections.append(Section("How to read it", [Text(RULES)]))
    done = len(finished(frame))
    lead = f"{name}: {counted(len(frame), 'student')}, {done:,} finished."
    return Page("What this sweep found", lead, sections, environment()[1:])


def _sections(number: int, part: Part) -> Iterator[Section]:
    if part.surface is None:
        yield Section(f"Failed{part.label}", [as_data_table(table) for table in part.tables])
        return
    settings, choice, *matrix = map(as_data_table, part.tables)
    yield Section(f"What choosing gives{part.label}", [choice])
    plots = [_surface(number, part.surface, part.grid)] if part.grid else []
    plots += _validation_against_test(number, part.surface)
    if plots:
        yield Section(f"The surface{part.label}", plots, side_by_side=True)
    yield Section(f"The settings{part.label}", [*matrix, settings])


def _surface(number: int, found: Surface, grid: Grid) -> Plot:
    """Mean validation scores over the two axes."""
    score, marked = grid.wide("score"), grid.wide("not_told_from_best")
    columns, rows = ([cell(v) for v in axis] for axis in (score.columns, score.index))
    values = score.to_numpy(dtype=np.float64)
    near = marked.fillna(value=False).to_numpy(dtype=np.bool_)
    svg = surface_plot(
        f"surface-{number}", columns, rows, values, near, (grid.across, grid.down),
        lower_is_better=lower_is_better(found.monitor),
    )  # fmt: skip
    words = "; ".join(
        f"{grid.down} {row}: "
        + ", ".join(f"{c} {v:.4f}" for c, v in zip(columns, line, strict=True))
        for row, line in zip(rows, values.tolist(), strict=True)
    )
    return Plot(
        svg, f"Mean {head(found.monitor)} over {grid.across} and {grid.down}. {words}.",
        f"Mean {head(found.monitor)}, darker where better. Framed: the best setting and those that "
        "can't be told from it.",
    )  # fmt: skip


def _validation_against_test(number: int, found: Surface) -> list[Plot]:
    """How much the order of settings on validation says about their order on test."""
    name = found.monitor.partition("/")[2]
    lines = found.table.dropna(subset=["score", f"test/{name}"])
    if len(lines) < 3:
        return []
    x, y = (lines[c].to_numpy(dtype=np.float64) for c in ("score", f"test/{name}"))
    near = lines["not_told_from_best"].to_numpy(dtype=np.bool_)
    kind = name.replace("_", " ")
    labels = f"mean {kind}, validation rows", f"mean {kind}, test rows"
    order = float(pd.Series(x).corr(pd.Series(y), method="spearman"))
    return [
        Plot(
            scatter_plot(f"choice-{number}", x, y, near, 0, labels),
            f"Mean {kind} of {len(lines)} settings on test against validation rows; the rank "
            f"correlation is {order:.2f}.",
            f"Every setting's {kind} on test against validation rows (rank correlation "
            f"{order:.2f}): where the points make no line, the order of the settings is luck.",
        )
    ]


def as_data_table(table: Table) -> DataTable:
    """A terminal's table as the page's, its cells sorted by the number they begin with."""
    rows: Sequence[Sequence[Any]] = [[row[0], *map(_cell, row[1:])] for row in table.rows]
    return DataTable(table.columns, rows, table.notes, table.title)


def _cell(text: str) -> Cell:
    found = NUMBER.match(text)
    if found:
        return text, float(found[0].replace(",", ""))
    return text if text not in ("", "-") else (text, float("nan"))
