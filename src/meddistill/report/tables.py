"""The result tables: in a terminal, in a log file, and as Markdown."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from meddistill.errors import listed
from meddistill.evaluation.thresholds import rule_of
from meddistill.measures import BENT
from meddistill.report.writing import line, markdown, one_line

log = logging.getLogger(__name__)

WIDTH = 160
"""Columns of a table that goes into a file or a pipe."""
TOLD = (
    "Told: the share of the teacher's answers (the variance of their log-probabilities) to "
    "validation rows that an additive model of a column tells, by itself or with the columns taken "
    "before it. At each step the column that adds most was taken."
)
SEVERAL = 20
"""Names of columns in a note, at most."""
SHOWN = {
    "auroc": "AUROC",
    "accuracy": "accuracy",
    "log_loss": "log loss",
    "calibration_error": "calibration error",
}


class Table:
    """Rows of cells under a title, shown in three ways.

    Args:
        title: What the table holds.
        columns: Heads of the columns; the first holds names, the others numbers.
        rows: Cells, as text.
        notes: Lines below it.
    """

    def __init__(
        self,
        title: str,
        columns: Sequence[str],
        rows: Sequence[Sequence[str]],
        notes: Sequence[str],
    ) -> None:
        self.title, self.columns, self.rows, self.notes = title, columns, rows, notes

    def show(self) -> None:
        """Print it, and write it to the log file in plain lines."""
        from rich.console import Console
        from rich.table import Table as RichTable
        from rich.text import Text  # no markup is read in it

        shown = RichTable(title=Text(line(self.title)), title_justify="left", title_style="bold")
        for number, column in enumerate(self.columns):
            shown.add_column(
                Text(line(column)),
                justify="right" if number else "left",
                no_wrap=not number,
                overflow="fold",
            )
        for row in self.rows:
            shown.add_row(*(Text(line(cell)) for cell in row))
        console = Console(width=None if Console().is_terminal else WIDTH)
        console.print(shown)
        for note in self.notes:
            console.print(Text(one_line(note)))
        for written in self.markdown().splitlines():
            log.debug(written)  # the console's handler leaves debug lines to the file

    def markdown(self) -> str:
        """As Markdown."""
        lines = [f"## {markdown(self.title)}", "", _line(self.columns), _rule(len(self.columns))]
        lines += [_line(row) for row in self.rows]
        return "\n".join([*lines, "", *(f"- {markdown(note)}" for note in self.notes), ""])


def run_table(metrics: Mapping[str, Any]) -> Table:
    """Teacher and student of one run on the test rows."""
    data = metrics["data"]
    models = [metrics[name] for name in ("teacher", "student") if metrics.get(name)]
    return Table(
        title=f"Test rows of {data['name']} ({data['rows']['test']} rows)",
        columns=["model", "parameters", *SHOWN.values()],
        rows=[model_row(model) for model in models],
        notes=[
            meaning(data["positive"], len(data["classes"]), metrics["threshold"]),
            *columns_said(metrics),
            *rows_said(metrics),
            *_undefined(models),
            *_unchecked(metrics),
            *bent_said(metrics),
        ],
    )


def bent_said(metrics: Mapping[str, Any]) -> list[str]:
    """That the student's probabilities are of another prior, where they are."""
    if not any(metrics.get("imbalance", {}).get("left", ())):
        return []
    return [f"{metrics['student']['name']}: {BENT}."]


def rows_said(metrics: Mapping[str, Any]) -> list[str]:
    """How many rows that nobody labelled the student learned from, where it did."""
    data = metrics["data"]
    if "added" not in data:
        return []
    added = " and ".join(f"{count:,} {kind}" for kind, count in data["added"].items())
    return [
        f"The student learned from {added} rows too, which the teacher alone answered, beside the "
        f"{data['rows']['train']:,} training rows."
    ]


def columns_said(metrics: Mapping[str, Any]) -> list[str]:
    """Which columns the student reads, where these are not all."""
    if "columns" not in metrics:
        return []
    names, cost = metrics["columns"]["columns"], metrics["columns"]["cost"]
    every = f" of {len(found)}" if (found := metrics["columns"]["alone"]) else ""
    by = metrics["columns"].get("by", "teacher")
    chosen = f", chosen by {by} in training rows" if metrics["columns"].get("scores") else ""
    priced = f", which cost {cost:g}" if metrics["columns"]["costs"] else ""
    said = f"{len(names)}{every} column(s){chosen}{priced}"
    return [f"The student reads {said}: {listed(names, SEVERAL)}."]


def _undefined(models: Sequence[Mapping[str, Any]]) -> list[str]:
    """What a dash in the table stands for, where there is one."""
    shown = [model["test"].get(name) for model in models for name in SHOWN]
    if all(value is not None and value == value for value in shown):
        return []
    return ["A dash: not defined by these rows, of which all are of one class."]


def _unchecked(metrics: Mapping[str, Any]) -> list[str]:
    """That nobody knows which rows the teacher has seen, where its folder didn't say."""
    if (metrics.get("teacher") or {}).get("test_rows_checked", True):
        return []
    return [
        "The teacher's folder doesn't say which rows it was trained on: if test rows are among "
        "them, these figures are too good."
    ]


def run_line(metrics: Mapping[str, Any]) -> str:
    """A finished run in one line."""
    model = metrics.get("student") or metrics["teacher"]
    test = ", ".join(f"{head} {number(model['test'].get(name))}" for name, head in SHOWN.items())
    return f"  {model['name']}: {metrics['monitor']} {number(metrics['score'])}; test: {test}"


def model_row(model: Mapping[str, Any]) -> list[str]:
    """Name, parameters and the shown measures on test."""
    return [
        model["name"],
        f"{model['parameters']:,}" if model["parameters"] else "-",  # a file of scores has none
        *(number(model["test"].get(name)) for name in SHOWN),
    ]


def meaning(positive: str | None, classes: int, threshold: float | str) -> str:
    """Which class is positive, or which averages the measures are."""
    if positive is not None:
        return (
            f"Positive class: {positive}. AUROC and calibration error are of its probability; "
            f"accuracy calls a row positive {rule_of(threshold).words}."
        )
    return (
        f"{classes} classes. AUROC is the mean of one class against the rest; accuracy counts rows "
        "(micro); calibration error is of the most probable class."
    )


def number(value: float | None, digits: int = 4) -> str:
    """A measure as text; a dash where it is undefined."""
    return "-" if value is None or value != value else f"{value:.{digits}f}"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(map(markdown, cells)) + " |"


def _rule(columns: int) -> str:
    return "| " + " | ".join(["---"] * columns) + " |"
