"""A card that is added up by hand, to print: its points, what the sum says, how that came true."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from meddistill.evaluation.calibration import wilson
from meddistill.report.curves import Answered
from meddistill.report.page import Cell, DataTable, Section, Text
from meddistill.report.tables import Table

CERTAIN = 0.01
"""A risk below it, or above 1 minus it, is not told apart further."""
RUNGS, LINES = 12, 10
"""Of the ladder; and lines of the table of all sums."""
ADD_UP = "Add up the points of the row's band in each column; the sum gives the risk of {positive}."


def card_table(card: Mapping[str, Any], positive: str) -> Table:
    """The card in a terminal and as Markdown."""
    rows = [[each["column"], *_points(each)] for each in card["columns"]]
    note = "; ".join(f"{sums}: {risk}" for sums, risk in risks(card))
    notes = [*_told(card, positive), f"Risk by sum: {note}"]
    columns, rows = _even(rows)
    return Table("The card", columns, rows, notes)


def card_section(card: Mapping[str, Any], test: Answered, positive: str) -> Section:
    """The card and its ladder, on a page of their own when printed."""
    columns, rows = _even([[each["column"], *_points(each)] for each in card["columns"]])
    parts: list[Text | DataTable] = [
        *map(Text, _told(card, positive)),
        DataTable(columns, rows, (), "Points", fixed=True),
        _lookup(card),
        _ladder(card, test, positive),
    ]
    return Section("The card", parts, own_page=True)


def _told(card: Mapping[str, Any], positive: str) -> list[str]:
    return [ADD_UP.format(positive=positive), *card.get("notes", [])]


def risks(card: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Every sum that can be reached, in order, with its risk; certain ones together."""
    sums, risk = _reachable(card)
    low, high = risk < CERTAIN, risk > 1 - CERTAIN
    sure = low | high
    found = [(str(at), _percent(each)) for at, each in zip(sums[~sure], risk[~sure], strict=True)]
    before = [(f"{sums[low].max()} or less", _percent(0))] if low.any() else []
    after = [(f"{sums[high].min()} or more", _percent(1))] if high.any() else []
    return [*before, *found, *after]


def _reachable(card: Mapping[str, Any]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """All sums between the smallest and the largest, and their risks, in ascending order."""
    points = [[points for _, points in each["bands"]] for each in card["columns"]]
    sums = np.arange(sum(map(min, points)), sum(map(max, points)) + 1)
    return sums, expit(card["offset"] + card["scale"] * sums)


def _points(column: Mapping[str, Any]) -> list[str]:
    return [f"{name}: {points:+d}" if points else f"{name}: 0" for name, points in column["bands"]]


def _even(rows: Sequence[Sequence[str]]) -> tuple[list[str], list[list[str]]]:
    """Heads and rows of equal length, what is not known in the last column of all."""
    width = max((len(row) for row in rows), default=2)
    even = [[*row[:-1], *[""] * (width - len(row)), row[-1]] for row in rows]
    return ["column", "points", *[""] * (width - 2)], even


def _lookup(card: Mapping[str, Any]) -> DataTable:
    """Sums and risks, read down one pair of columns after the other."""
    found = risks(card)
    lines = max(1, math.ceil(len(found) / math.ceil(len(found) / LINES)))
    pairs = [found[first : first + lines] for first in range(0, len(found), lines)]
    rows: list[list[Cell]] = [
        [cell for pair in pairs for cell in (pair[line] if line < len(pair) else ("", ""))]
        for line in range(lines)
    ]
    return DataTable(["sum", "risk"] * len(pairs), rows, (), "What the sum says", fixed=True)


def _ladder(card: Mapping[str, Any], test: Answered, positive: str) -> DataTable:
    """Sums in some rungs, and what became of the test rows on each."""
    sums, risk = _reachable(card)
    logits = np.log(test.probabilities[:, 1]) - np.log(test.probabilities[:, 0])
    own = np.rint((logits - card["offset"]) / (card["scale"] or 1.0))
    rows: list[list[Cell]] = []
    for first, last in _rungs(risk):
        on = (own >= sums[first]) & (own <= sums[last])
        rows.append([_span(sums[first], sums[last]), _between(risk[first], risk[last]),
                     *_came_true(test.target[on] == 1)])  # fmt: skip
    note = "95 % intervals are Wilson's: what other rows of the same sums could have come to."
    heads = ["sum", "risk by the card", "test rows", f"outcome {positive}", "share (95 % interval)"]
    return DataTable(heads, rows, [note], "The ladder on test rows", fixed=True)


def _rungs(risk: NDArray[np.float64]) -> list[tuple[int, int]]:
    """First and last places of sums in each rung: certain ones together, the others evenly."""
    between = np.flatnonzero((risk >= CERTAIN) & (risk <= 1 - CERTAIN))
    width = max(1, math.ceil(len(between) / RUNGS))
    starts = [0, *between[::width].tolist(), *([between[-1] + 1] if len(between) else [])]
    starts = sorted({start for start in starts if start < len(risk)})
    return list(zip(starts, [*(start - 1 for start in starts[1:]), len(risk) - 1], strict=True))


def _came_true(outcomes: NDArray[np.bool_]) -> list[Cell]:
    count, true = len(outcomes), int(outcomes.sum())
    if not count:
        return ["0", "-", "-"]
    low, high = wilson(np.array([true / count]), np.array([count]))
    share = f"{100 * true / count:.0f} % ({100 * low[0]:.0f} to {100 * high[0]:.0f})"
    return [f"{count:,}", f"{true:,}", share]


def _span(first: int, last: int) -> str:
    return str(first) if first == last else f"{first} to {last}"


def _between(first: float, last: float) -> str:
    low, high = _percent(first), _percent(last)
    return low if low == high else f"{low} to {high}"


def _percent(risk: float) -> str:
    if risk < CERTAIN:
        return f"under {100 * CERTAIN:.0f} %"
    if risk > 1 - CERTAIN:
        return f"over {100 - 100 * CERTAIN:.0f} %"
    return f"{100 * risk:.0f} %"
