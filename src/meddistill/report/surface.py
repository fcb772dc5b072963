"""A sweep as tables: its settings, what choosing among them gives, and two axes as a matrix."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from meddistill.evaluation.choice import ALONE, Line
from meddistill.evaluation.resampling import Estimate
from meddistill.evaluation.surface import Surface, find_axes, finished, scores, surface
from meddistill.report.surface_notes import (
    cell,
    choice_notes,
    failure_notes,
    head,
    matrix_notes,
    settings_notes,
)
from meddistill.report.tables import SHOWN, Table, number

DATA = ("data", "data.path", "data.target")
"""Axes whose values are other patients or another question: a surface each."""
MOST = 40
"""Settings shown in a terminal."""
MOST_TEACHERS = 3
MOST_COLUMNS = 12
"""Of a matrix: what fits a terminal."""
NOT_TOLD = "not told"


@dataclass(frozen=True)
class Part:
    """The students of one data set.

    Args:
        label: Ends titles; empty where the sweep is on one data set.
        surface: Their settings; None where no student finished with a score.
        grid: The surface over two numbers, where it is one.
        tables: What is shown of them.
    """

    label: str
    surface: Surface | None
    grid: Grid | None
    tables: Sequence[Table]


@dataclass(frozen=True)
class Grid:
    """Settings over two numeric axes, the one with more values down.

    Args:
        down: Axis of the rows.
        across: Axis of the columns.
        lines: Of the surface's table, those that have both.
    """

    down: str
    across: str
    lines: pd.DataFrame

    def wide(self, column: str) -> pd.DataFrame:
        """A column of the lines as a matrix; NaN where there is no setting."""
        return self.lines.pivot(index=self.down, columns=self.across, values=column)


def surface_tables(frame: pd.DataFrame, most: int = MOST) -> list[Table]:
    """The tables of a sweep, for each of its data sets."""
    return [table for part in surface_parts(frame, most) for table in part.tables]


def surface_parts(frame: pd.DataFrame, most: int = MOST) -> list[Part]:
    """A sweep's data sets, each with its tables.

    Args:
        frame: Of `sweep.csv`, a row a student.
        most: Settings to show; the others are in the file alone.
    """
    return [_part(label, rows, most) for label, rows in _data_sets(frame)]


def _part(label: str, rows: pd.DataFrame, most: int) -> Part:
    if finished(rows).empty or scores(rows)[1].isna().all():
        notes = ["No student finished with a validation score.", *failure_notes(rows)]
        return Part(label, None, None, [Table(f"Settings{label}", ["model"], [], notes)])
    found = surface(rows)
    grid = _grid(found, most)
    tables = [_settings(found, rows, label, most), _choice(found, label)]
    return Part(label, found, grid, [*tables, *([_matrix(found, grid, label)] if grid else [])])


def _data_sets(frame: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """The rows of each data set, with words for a title; no words where there is one."""
    axes = [axis for axis in find_axes(frame)[0] if axis in DATA]
    if not axes:
        yield "", frame
        return
    for values, part in frame.groupby(axes, dropna=False, sort=False):
        named = zip(axes, values, strict=True)
        yield ", " + ", ".join(f"{axis}={cell(value)}" for axis, value in named), part


def _settings(found: Surface, frame: pd.DataFrame, label: str, most: int) -> Table:
    """Teachers, then each setting's means."""
    score = ["students", head(found.monitor), "standard error"]
    lines = found.table.head(most).to_dict("records")
    rows = [_setting(place, line, found) for place, line in enumerate(lines)]
    return Table(
        f"Settings: validation score, and measures on the test rows{label}",
        ["model", *_short(found.settings), *score, *SHOWN.values(), "told from best?"],
        [*_teachers(finished(frame), found), *rows],
        settings_notes(found, frame, most),
    )


def _short(axes: Sequence[str]) -> list[str]:
    """The last parts of the axes' names where that tells them apart: rows stay on one line."""
    last = [axis.rpartition(".")[2] for axis in axes]
    return [name if last.count(name) == 1 else axis for axis, name in zip(axes, last, strict=True)]


def _teachers(done: pd.DataFrame, found: Surface) -> list[list[str]]:
    """A row a teacher, unless there are many."""
    if "teacher/key" not in done:
        return []
    teachers = done.dropna(subset="teacher/key").drop_duplicates("teacher/key")
    if len(teachers) > MOST_TEACHERS:
        return []
    return [
        [
            cell(row.get("teacher/name")),
            *(cell(row[axis]) if _is_teachers(axis) else "" for axis in found.settings),
            "",
            number(row.get(f"teacher/{found.monitor}")),
            "",
            *(number(row.get(f"teacher/test/{name}")) for name in SHOWN),
            "",
        ]
        for row in teachers.to_dict("records")
    ]


def _is_teachers(axis: str) -> bool:
    """Whether a setting is of the teacher, not of the student that learns from it."""
    return axis.partition(".")[0] == "teacher"


def _setting(place: int, line: dict[Any, Any], found: Surface) -> list[str]:
    mark = NOT_TOLD if line["not_told_from_best"] else ""
    return [
        cell(line["name"]),
        *(cell(line[axis]) for axis in found.settings),
        str(line["students"]),
        number(line["score"]),
        number(line["standard_error"]),
        *(number(line[f"test/{name}"]) for name in SHOWN),
        mark if place else "best",
    ]


def _choice(found: Surface, label: str) -> Table:
    """What choosing on validation gives on test, beside its alternatives."""
    choice, names = found.choice, found.table["name"]
    others = names[names != ALONE]
    other = cell(others.iloc[0]) if others.nunique() == 1 else "other models"
    chosen = "chosen on validation" if len(names) > 1 else "the only setting"
    means: dict[str, Line | None] = {
        chosen: choice.chosen,
        "taken blindly": choice.anything if len(names) > 1 else None,
        _among(other, len(others)): choice.distilled,
        _among(ALONE, len(names) - len(others)): choice.alone,
    }
    gaps = {
        f"chosen minus {ALONE}": choice.chosen_minus_alone,
        f"{other} minus {ALONE}": choice.distilled_minus_alone,
    }
    rows = [[name, *_cells(line, _mean)] for name, line in means.items() if line]
    if found.splits > 1:
        rows += [[name, *_cells(line, _interval)] for name, line in gaps.items() if line]
    title = f"Choose on validation, look at test{label}"
    return Table(title, ["test rows", *SHOWN.values()], rows, choice_notes(found))


def _among(name: str, settings: int) -> str:
    return name if settings == 1 else f"{name} (chosen)"


def _cells(line: Line, shown: Callable[[Estimate], str]) -> list[str]:
    return [shown(line[f"test/{name}"]) for name in SHOWN]


def _mean(value: Estimate) -> str:
    return with_error(value.mean, value.error)


def _interval(value: Estimate) -> str:
    if value.count < 2 or value.low != value.low:
        return "-"
    return f"{value.mean:+.4f} [{value.low:+.4f}, {value.high:+.4f}]"


def with_error(mean: float, error: float) -> str:
    """A mean with its standard error in brackets, where there is one."""
    return f"{number(mean)} ({number(error)})" if error == error else number(mean)


def _grid(found: Surface, most: int) -> Grid | None:
    """The two numeric axes that the sweep is a grid over, if there are such, and it fits."""
    axes = _two_numbers(found)
    if axes is None:
        return None
    lines = found.table.dropna(subset=list(axes))
    down, across = sorted(axes, key=lambda axis: lines[axis].nunique(), reverse=True)
    rows, columns = lines[down].nunique(), lines[across].nunique()
    if rows > most or columns > MOST_COLUMNS or 2 * len(lines) < rows * columns:
        return None
    return Grid(down, across, lines)


def _matrix(found: Surface, grid: Grid, label: str) -> Table:
    """Mean validation scores over two numeric axes."""
    lines = grid.lines
    texts = pd.Series(map(with_error, lines["score"], lines["standard_error"]), index=lines.index)
    texts += lines["not_told_from_best"].map({True: "*", False: ""})
    wide = Grid(grid.down, grid.across, lines.assign(text=texts)).wide("text").fillna("")
    error = " (standard error)" if lines["standard_error"].notna().any() else ""
    return Table(
        title=f"Mean {head(found.monitor)}{error}{label}",
        columns=[f"{grid.down} \\ {grid.across}", *map(cell, wide.columns)],
        rows=[[cell(value), *line] for value, *line in wide.itertuples(name=None)],
        notes=matrix_notes(found, len(lines)),
    )


def _two_numbers(found: Surface) -> tuple[str, str] | None:
    """The only two numeric axes, if every other axis has one value where both are set."""
    table = found.table
    axes = [
        axis
        for axis in found.settings
        if is_numeric_dtype(table[axis]) and not is_bool_dtype(table[axis])
        if table[axis].nunique() > 1
    ]
    if len(axes) != 2:
        return None
    grid = table.dropna(subset=axes)
    rest = [axis for axis in found.settings if axis not in axes]
    if (grid[rest].nunique(dropna=False) > 1).any() or (grid[axes].nunique() < 2).any():
        return None
    return axes[0], axes[1]
