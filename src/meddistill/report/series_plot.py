"""Series as they were measured, with their missing cells, and what models say of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from meddistill.data.series.records import SeriesRecords
from meddistill.report.drawing import as_svg, drawing, style
from meddistill.report.writing import figure_text

WIDTH, LINE, CELL = 9.0, 1.8, 0.11
"""Inches: of the figure, of a signal drawn as a line, of a variable's row of cells."""
LONGEST_TITLE = 120
MOST_LINES = 3
"""Variables that are drawn as lines; more become rows of cells."""


def series_plot(name: str, records: SeriesRecords, titles: Sequence[str]) -> str:
    """An SVG with a panel a row: signals as lines, or of many variables as cells, blank if missing.

    Args:
        name: Of the figure.
        records: The rows.
        titles: [rows] above each.
    """
    variables = len(records.variables)
    as_lines = variables <= MOST_LINES
    height = LINE if as_lines else max(LINE, CELL * variables + 0.6)
    with drawing(WIDTH, height * len(records)) as (figure, axes):
        axes.remove()
        grid = figure.subplots(len(records), 1, squeeze=False)[:, 0]
        lengths = zip(grid, records.lengths.tolist(), titles, strict=True)
        for row, (axis, length, title) in enumerate(lengths):
            times, values = records.times[row, :length], records.values[row, :length]
            if as_lines:
                _lines(axis, times, values, records.variables)
            else:
                _cells(axis, times, _by_range(values, records.values), records.variables)
            axis.set_title(figure_text(title, LONGEST_TITLE), fontsize=8, loc="left")
        return as_svg(figure, name)


def _lines(
    axis: Axes, times: NDArray[np.float32], values: NDArray[np.float32], names: Sequence[str]
) -> None:
    """A line a variable, broken where a value is missing, with a mark below for each such step."""
    marker = "." if len(times) <= 100 else ""
    for place, name in enumerate(names):
        drawn = style(place)
        axis.plot(times, values[:, place], color=drawn.color, marker=marker, linewidth=0.8,
                  label=figure_text(name))  # fmt: skip
        gone = times[np.isnan(values[:, place])]
        axis.plot(gone, np.full(len(gone), 0.02 + 0.05 * place), "|", color=drawn.color,
                  transform=axis.get_xaxis_transform())  # fmt: skip
    axis.legend(fontsize=7, loc="upper right")


def _cells(
    axis: Axes, times: NDArray[np.float32], shares: NDArray[np.float32], names: Sequence[str]
) -> None:
    """A row of cells a variable, dark to light over its range; a missing one is blank."""
    axis.imshow(np.ma.masked_invalid(shares.T), aspect="auto", cmap="viridis", vmin=0, vmax=1,
                interpolation="nearest")  # fmt: skip
    axis.set_yticks(range(len(names)), [figure_text(name) for name in names], fontsize=6)
    chosen = np.unique(np.linspace(0, len(times) - 1, min(len(times), 9)).round().astype(int))
    axis.set_xticks(chosen, [f"{times[place]:g}" for place in chosen], fontsize=7)
    axis.grid(visible=False)


def _by_range(values: NDArray[np.float32], every: NDArray[np.float32]) -> NDArray[np.float32]:
    """[time, variables] from 0 to 1 over the range of a variable in all rows shown."""
    flat = every.reshape(-1, every.shape[-1])
    low = np.fmin.reduce(flat, axis=0, initial=np.nan)
    high = np.fmax.reduce(flat, axis=0, initial=np.nan)
    shares: NDArray[np.float32] = (values - low) / np.where(high > low, high - low, 1)
    return shares
