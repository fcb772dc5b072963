"""What each column buys: a trial's arms against the columns that their students read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from meddistill.evaluation.verdict import NAMES
from meddistill.measures import lower_is_better
from meddistill.report.page import Cell, DataTable, Plot, Section, Text
from meddistill.report.plots import levels_plot
from meddistill.report.tables import TOLD, Table
from meddistill.report.trial_tables import plain, signed_interval

Found = Sequence[Mapping[str, Any]]
BOUGHT = (
    "Both students of a line read the same columns; the teacher reads all of them. Whiskers and "
    "brackets: 95 % intervals of the corrected resampled t-test. Two arms differ where the "
    "interval of their difference, which is paired by split, excludes zero, whether or not their "
    "own overlap. Told: what the columns say of the teacher's answers, on validation rows."
)
WHY = "Columns were chosen anew inside each split, with no test row; figures are means over splits."


def columns_sections(found: Found, summary: Mapping[str, Any]) -> list[Section]:
    """A section for each share of labels, where students read fewer columns than the teacher."""
    return [
        Section(
            f"What each column buys: {labels}",
            [
                *_plots(group, summary),
                *(_page_table(group, summary, measure) for measure in summary["margins"]),
                _read_table(group),
                Text(BOUGHT),
            ],
        )
        for labels, group in _by_labels(found).items()
    ]


def columns_tables(found: Found, summary: Mapping[str, Any]) -> list[Table]:
    """The same for the terminal."""
    return [
        Table(
            f"What each column buys: {labels}, {_name(measure)} on test rows",
            *_lines(group, summary, measure), [BOUGHT],
        )
        for labels, group in _by_labels(found).items()
        for measure in summary["margins"]
    ]  # fmt: skip


def _by_labels(found: Found) -> dict[str, list[Mapping[str, Any]]]:
    """Settings that differ in their columns alone, the fewest (the cheapest) first."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for setting in found:
        if "columns" in setting:
            groups.setdefault(setting["columns"]["labels"], []).append(setting)
    return {labels: sorted(group, key=_place) for labels, group in groups.items()}


def _place(setting: Mapping[str, Any]) -> float:
    """Where a setting stands on the x axis: at what its columns cost, or at their number."""
    own = setting["columns"]
    return float(own["count"] if own["cost"] is None else own["cost"])


def _name(measure: str) -> str:
    return NAMES.get(measure, measure)


def _arms(summary: Mapping[str, Any]) -> list[str]:
    """The two arms compared."""
    return [summary["baseline"], summary["main"]]


def _lines(
    group: Found, summary: Mapping[str, Any], measure: str
) -> tuple[list[str], list[list[str]]]:
    """Heads and rows of the two arms on one measure, a row a setting."""
    priced = group[0]["columns"]["cost"] is not None
    labels = [str(summary["arms"][arm]["label"]) for arm in _arms(summary)]
    heads = ["columns", *(["cost"] if priced else []), "told", *labels, "difference", "verdict"]
    rows = []
    for setting in group:
        own, difference = setting["columns"], setting["differences"][summary["main"]][measure]
        levels = [own["levels"][measure][arm] for arm in _arms(summary)]
        rows.append(
            [
                f"{own['count']:.3g}",
                *([f"{own['cost']:.4g}"] if priced else []),
                "-" if own["told"] is None else f"{own['told']:.0%}",
                *(f"{plain(v['mean'])} [{plain(v['low'])}, {plain(v['high'])}]" for v in levels),
                signed_interval(difference),
                difference["word"],
            ]
        )
    return heads, rows


def _page_table(group: Found, summary: Mapping[str, Any], measure: str) -> DataTable:
    heads, rows = _lines(group, summary, measure)
    return DataTable(heads, rows, (), f"{_name(measure)} on test rows by the columns read")


def _plots(group: Found, summary: Mapping[str, Any]) -> list[Plot]:
    """A plot a measure, where there is more than one place."""
    if len({_place(setting) for setting in group}) < 2:
        return []
    return [_plot(group, summary, measure) for measure in summary["margins"]]


def _plot(group: Found, summary: Mapping[str, Any], measure: str) -> Plot:
    order = list(summary["arms"])
    arms = []
    for arm in _arms(summary):
        own = [setting["columns"]["levels"][measure][arm] for setting in group]
        values = {key: np.array([each[key] for each in own]) for key in ("mean", "low", "high")}
        label, ends = str(summary["arms"][arm]["label"]), np.stack([values["low"], values["high"]])
        arms.append((label, order.index(arm), values["mean"], ends))
    cost = group[0]["columns"]["cost"] is not None
    x_label = f"{'cost of the ' if cost else ''}columns that the student reads"
    name, better = _name(measure), "lower" if lower_is_better(measure) else "higher"
    places = np.array([_place(setting) for setting in group])
    svg = levels_plot(f"columns-{group[0]['number']}-{measure}", arms, _teacher(group, measure),
                      places, (x_label, f"{name} ({better} is better)"))  # fmt: skip
    said = "; ".join(
        f"{label}: " + ", ".join(f"{m:.4f} at {p:g}" for m, p in zip(means, places, strict=True))
        for label, _, means, _ in arms
    )
    return Plot(
        svg,
        f"{name} against the {x_label}. {said}.",
        f"{name} against the {x_label}; dotted: the teacher, which reads all.",
    )


def _teacher(group: Found, measure: str) -> tuple[str, float]:
    """What the teacher reaches with every column; nowhere without such an arm."""
    own = group[0]["columns"]["levels"][measure].get("teacher", {"mean": float("nan")})
    return "teacher, all columns", float(own["mean"])


def _read_table(group: Found) -> DataTable:
    """In which share of the splits each column was read, and why."""
    known: dict[str, float] = {}
    for setting in group:
        known |= setting["columns"]["alone"]
    fewer = [setting for setting in group if setting["columns"]["alone"]] or group
    read = {name for setting in fewer for name in setting["columns"]["share"]}
    names = sorted(read, key=lambda name: -known.get(name, 0.0))
    rows: list[list[Cell]] = [
        [
            name,
            *([(f"{known[name]:.1%}", known[name])] if known else []),
            *(_share(setting["columns"]["share"].get(name, 0.0)) for setting in fewer),
        ]
        for name in names
    ]
    counts = [f"read, of {_place(setting):.3g}" for setting in fewer]
    heads = ["column", *(["told alone"] if known else []), *counts]
    return DataTable(
        heads, rows, [f"{TOLD} {WHY}"] if known else [], "Share of the splits that read a column"
    )


def _share(share: float) -> Cell:
    return f"{share:.0%}", share
