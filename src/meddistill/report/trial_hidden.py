"""How a trial's arms do with further cells of test rows hidden: figures and plots."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from meddistill.evaluation.verdict import NAMES
from meddistill.measures import lower_is_better
from meddistill.report.page import DataTable, Plot, Section, Text
from meddistill.report.plots import levels_plot
from meddistill.report.tables import Table
from meddistill.report.trial_tables import plain, signed
from meddistill.trial.hidden import MEASURES

HOW = (
    "Further cells of the test rows were hidden in the patterns in which training rows lack "
    "theirs; a column that hardly any training row lacks is hidden by itself. Every arm answered "
    "the same rows. Brackets and whiskers: 95 % intervals of the corrected resampled t-test; "
    "differences are paired by split."
)
LEVELS, DIFFERENCES = "levels", "differences"


def hidden_sections(setting: Mapping[str, Any], summary: Mapping[str, Any]) -> list[Section]:
    """A section of the page, where the trial has hidden cells."""
    if "hidden" not in setting:
        return []
    parts: list[Any] = [_plot(setting, summary, measure) for measure in MEASURES]
    for kind in (LEVELS, DIFFERENCES):
        for measure in MEASURES:
            heads, rows = _lines(setting, summary, measure, kind)
            parts.append(DataTable(heads, rows, (), _caption(measure, kind, summary), fixed=True))
    return [Section(f"{setting['title']}: with further cells hidden", [*parts, Text(HOW)])]


def hidden_tables(setting: Mapping[str, Any], summary: Mapping[str, Any]) -> list[Table]:
    """The same for the terminal, without the differences."""
    if "hidden" not in setting:
        return []
    return [
        Table(f"{setting['title']}: {_caption(measure, LEVELS, summary)}",
              *_lines(setting, summary, measure, LEVELS), [HOW])
        for measure in MEASURES
    ]  # fmt: skip


def _caption(measure: str, kind: str, summary: Mapping[str, Any]) -> str:
    said = f"{_name(measure)} on test rows by the share of known cells that is hidden"
    main = summary["arms"][summary["main"]]["label"]
    return said if kind == LEVELS else f"{said}: difference to the {main}"


def _name(measure: str) -> str:
    return NAMES.get(measure, measure)


def _lines(
    setting: Mapping[str, Any], summary: Mapping[str, Any], measure: str, kind: str
) -> tuple[list[str], list[list[str]]]:
    """Heads, and a row a share: means and intervals of each arm."""
    own = setting["hidden"][kind][measure]
    arms = [arm for arm in own if kind == LEVELS or arm != summary["main"]]
    shown = plain if kind == LEVELS else signed
    rows = [
        [
            f"{share:.0%}",
            *(
                f"{shown(v['mean'])} [{shown(v['low'])}, {shown(v['high'])}]"
                for v in (own[arm][place] for arm in arms)
            ),
        ]
        for place, share in enumerate(summary["hide"]["shares"])
    ]
    return ["hidden", *(str(summary["arms"][arm]["label"]) for arm in arms)], rows


def _plot(setting: Mapping[str, Any], summary: Mapping[str, Any], measure: str) -> Plot:
    order, shares = list(summary["arms"]), 100 * np.array(summary["hide"]["shares"])
    arms = []
    for arm, levels in setting["hidden"][LEVELS][measure].items():
        mean, *ends = (np.array([each[key] for each in levels]) for key in ("mean", "low", "high"))
        arms.append((str(summary["arms"][arm]["label"]), order.index(arm), mean, np.stack(ends)))
    name, better = _name(measure), "lower" if lower_is_better(measure) else "higher"
    labels = "known cells of a test row that are hidden, %", f"{name} ({better} is better)"
    svg = levels_plot(f"hidden-{setting['number']}-{measure}", arms, None, shares, labels)
    said = "; ".join(
        f"{label}: " + ", ".join(f"{m:.4f} at {p:g} %" for m, p in zip(mean, shares, strict=True))
        for label, _, mean, _ in arms
    )
    return Plot(svg, f"{name} against the {labels[0]}. {said}.",
                f"{name} against the share of known cells that is hidden.")  # fmt: skip
