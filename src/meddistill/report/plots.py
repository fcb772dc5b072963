"""The plots of a report, each an inline SVG from plain numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import NDArray

from meddistill.report.drawing import GRID, INK, SERIES, SHADE, as_svg, drawing, style
from meddistill.report.writing import figure_text

Numbers = NDArray[np.float64]
Curve = tuple[str, int, Numbers, Numbers]
"""Name, number of the arm (its style), x and y."""
GOOD, BAD, OPEN = SERIES[4], SERIES[1], INK
SQUARE = 3.6
FAR_APART = 15
"""The last of some places over the first, from which they are drawn by their logarithm."""
COLOURS = {"BETTER": GOOD, "WORSE": BAD}


def forest_plot(
    name: str,
    rows: Sequence[tuple[str, float, float, float, str]],
    margin: float,
    lower_is_better: bool,
    label: str,
) -> str:
    """Differences to the baseline with their intervals.

    Args:
        name: Of the figure.
        rows: Arm, mean, low, high and verdict, from top to bottom.
        margin: Of practical equivalence, shaded.
        lower_is_better: Which side is the better one.
        label: Of the axis.
    """
    with drawing(6.4, 0.9 + 0.34 * len(rows)) as (figure, axes):
        axes.axvspan(-margin, margin, color=SHADE, linewidth=0)
        axes.axvline(0, color=INK, linewidth=0.8)
        for place, (_, mean, low, high, word) in enumerate(rows):
            colour = COLOURS.get(word, OPEN)
            axes.plot([low, high], [place, place], color=colour, linewidth=1.8)
            axes.plot([mean], [place], marker="s", color=colour, markersize=6)
        axes.set_yticks(range(len(rows)), [figure_text(row[0]) for row in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.grid(axis="y", visible=False)
        better, worse = "better", "worse"
        sides = (better, worse) if lower_is_better else (worse, better)
        gap = "\N{NO-BREAK SPACE}" * 6
        axes.set_xlabel(f"← {sides[0]}{gap}{label}{gap}{sides[1]} →")
        return as_svg(figure, name)


def curves_plot(
    name: str, curves: Sequence[Curve], x_label: str, y_label: str, *, diagonal: bool = False,
    level: float | None = None, steps: bool = False,
) -> str:  # fmt: skip
    """Curves in the unit square, such as ROC and precision-recall.

    Args:
        name: Of the figure.
        curves: What is drawn.
        x_label: Of the axis.
        y_label: Of the axis.
        diagonal: Whether chance is the diagonal.
        level: Height of a line for chance, or None.
        steps: Whether values hold until the next.
    """
    with drawing(SQUARE + 0.6, SQUARE + 0.9) as (figure, axes):
        if diagonal:
            axes.plot([0, 1], [0, 1], color=GRID, linewidth=1)
        if level is not None:
            axes.axhline(level, color=GRID, linewidth=1)
        for label, number, x, y in curves:
            own = style(number)
            axes.plot(x, y, color=own.color, linestyle=own.linestyle, label=figure_text(label),
                      drawstyle="steps-post" if steps else "default")  # fmt: skip
        _unit_square(axes, x_label, y_label)
        _legend_below(figure)
        return as_svg(figure, name)


def reliability_plot(
    name: str, series: Sequence[tuple[str, int, Numbers, Numbers, Numbers, Numbers]]
) -> str:
    """Observed share against mean probability given, with intervals.

    Args:
        name: Of the figure.
        series: Name, number of the arm, mean probability, share, low and high of each bin.
    """
    with drawing(SQUARE + 0.6, SQUARE + 0.9) as (figure, axes):
        axes.plot([0, 1], [0, 1], color=GRID, linewidth=1)
        for label, number, mean, share, low, high in series:
            own = style(number)
            axes.vlines(mean, low, high, color=own.color, linewidth=1, alpha=0.6)
            axes.plot(mean, share, color=own.color, linestyle=own.linestyle, marker=own.marker,
                      markersize=4.5, label=figure_text(label))  # fmt: skip
        _unit_square(axes, "probability given", "share that came true")
        _legend_below(figure)
        return as_svg(figure, name)


def decision_plot(
    name: str, thresholds: Numbers, curves: Sequence[tuple[str, int, Numbers]], treat_all: Numbers
) -> str:
    """Net benefit against the threshold probability; acting on nobody is 0.

    Args:
        name: Of the figure.
        thresholds: [thresholds].
        curves: Name, number of the arm and net benefit [thresholds].
        treat_all: [thresholds] of acting on everybody.
    """
    with drawing(SQUARE + 0.6, SQUARE + 0.9) as (figure, axes):
        axes.axhline(0, color=INK, linewidth=0.8, label="act on nobody")
        axes.plot(thresholds, treat_all, color=GRID, linewidth=1.5, label="act on everybody")
        for label, number, benefit in curves:
            own = style(number)
            axes.plot(
                thresholds,
                benefit,
                color=own.color,
                linestyle=own.linestyle,
                label=figure_text(label),
            )
        top = max(float(np.nanmax(treat_all)), *(float(np.nanmax(c[2])) for c in curves), 0.01)
        axes.set_ylim(-0.15 * top, 1.1 * top)
        axes.set_xlabel("threshold probability at which one would act")
        axes.set_ylabel("net benefit per patient")
        _legend_below(figure)
        return as_svg(figure, name)


def pareto_plot(
    name: str, points: Sequence[tuple[str, int, float, float, float, float]], x_label: str
) -> str:
    """Log loss against cost; the arms that none beats in both are joined.

    Args:
        name: Of the figure.
        points: Name, number of the arm, cost (above 0), mean log loss, low and high.
        x_label: What the cost is.
    """
    with drawing(6.4, 4.2) as (figure, axes):
        front = pareto_front([(point[2], point[3]) for point in points])
        ordered = sorted((points[k] for k in front), key=lambda point: point[2])
        axes.plot([p[2] for p in ordered], [p[3] for p in ordered], color=GRID, linewidth=1.5,
                  drawstyle="steps-post", zorder=1)  # fmt: skip
        for label, number, cost, mean, low, high in points:
            own = style(number)
            axes.vlines([cost], [low], [high], color=own.color, linewidth=1, alpha=0.6)
            axes.plot([cost], [mean], color=own.color, marker=own.marker, markersize=7,
                      linestyle="none", label=figure_text(label))  # fmt: skip
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel(x_label)
        axes.set_ylabel("log loss on test rows")
        _legend_below(figure)
        return as_svg(figure, name)


def levels_plot(
    name: str, arms: Sequence[tuple[str, int, Numbers, Numbers]], level: tuple[str, float] | None,
    places: Numbers, labels: tuple[str, str],
) -> str:  # fmt: skip
    """How good arms are in each of several places, with intervals, beside one level for all.

    Args:
        name: Of the figure.
        arms: Name, number of the arm, means [places] and ends of their intervals [2, places].
        level: Name and height of a line, if there is one.
        places: [places] on the x axis, ascending; by their logarithm where they are far apart.
        labels: Of the axes.
    """
    with drawing(6.4, 4.2) as (figure, axes):
        apart = 0.012 * (places[-1] - places[0])
        wide = places[0] > 0 and places[-1] > FAR_APART * places[0]
        for k, (label, number, mean, ends) in enumerate(arms):
            own, shift = style(number), k - (len(arms) - 1) / 2
            x = places * 1.03**shift if wide else places + apart * shift
            axes.vlines(x, *ends, color=own.color, linewidth=1.4, alpha=0.6)
            axes.plot(x, mean, color=own.color, linestyle=own.linestyle, marker=own.marker,
                      markersize=6, label=figure_text(label))  # fmt: skip
        if level is not None:
            name_of, height = figure_text(level[0]), level[1]
            axes.axhline(height, color=INK, linewidth=1, linestyle=":", label=name_of)
        if wide:
            axes.set_xscale("log")
            axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xticks(places, [f"{place:g}" for place in places.round(1)])
        axes.set_xlabel(labels[0])
        axes.set_ylabel(labels[1])
        _legend_below(figure)
        return as_svg(figure, name)


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Numbers of the points that no other beats in one coordinate and equals in the other."""
    return [
        k
        for k, (x, y) in enumerate(points)
        if not any(a <= x and b <= y and (a, b) != (x, y) for a, b in points)
    ]


def surface_plot(
    name: str, columns: Sequence[str], rows: Sequence[str], values: Numbers,
    marked: NDArray[np.bool_], labels: tuple[str, str], *, lower_is_better: bool,
) -> str:  # fmt: skip
    """A matrix of means, darker where better; `marked` cells are framed.

    Args:
        name: Of the figure.
        columns: Heads from left to right.
        rows: Heads from top to bottom.
        values: [rows, columns], NaN where there is none.
        marked: [rows, columns].
        labels: Of the columns and the rows.
        lower_is_better: Which values are dark.
    """
    merit = -values if lower_is_better else values
    low, high = float(np.nanmin(merit)), float(np.nanmax(merit))
    with drawing(1.6 + 0.72 * len(columns), 1.1 + 0.42 * len(rows)) as (figure, axes):
        for (row, column), value in np.ndenumerate(values):
            if value != value:
                continue
            strength = 0.08 + 0.5 * (merit[row, column] - low) / (high - low or 1)
            axes.bar(column, 0.92, bottom=row - 0.46, width=0.94, color=SERIES[0], alpha=strength,
                     linewidth=0)  # fmt: skip
            if marked[row, column]:
                axes.bar(column, 0.92, bottom=row - 0.46, width=0.94, fill=False, edgecolor=INK,
                         linewidth=1.4)  # fmt: skip
            axes.text(column, row, f"{value:.4f}", ha="center", va="center", fontsize=8.5)
        axes.set_xticks(range(len(columns)), list(map(figure_text, columns)))
        axes.set_yticks(range(len(rows)), list(map(figure_text, rows)))
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.grid(visible=False)
        axes.set_xlabel(figure_text(labels[0]))
        axes.set_ylabel(figure_text(labels[1]))
        return as_svg(figure, name)


def scatter_plot(
    name: str, x: Numbers, y: Numbers, marked: NDArray[np.bool_], best: int, labels: tuple[str, str]
) -> str:
    """Points, a few of them filled, one of them ringed.

    Args:
        name: Of the figure.
        x: [points].
        y: [points].
        marked: [points] which are filled.
        best: Number of the ringed one.
        labels: Of x and y.
    """
    with drawing(SQUARE + 0.9, SQUARE + 0.4) as (figure, axes):
        own = style(0)
        for filled, label in ((False, "told from the best"), (True, "not told from the best")):
            shown = marked == filled
            if shown.any():
                axes.plot(x[shown], y[shown], linestyle="none", marker=own.marker, markersize=5,
                          color=own.color, label=label, alpha=0.8,
                          markerfacecolor=own.color if filled else "none")  # fmt: skip
        axes.plot(x[[best]], y[[best]], linestyle="none", marker="o", markersize=11, color=INK,
                  markerfacecolor="none", label="best on validation")  # fmt: skip
        axes.set_xlabel(figure_text(labels[0]))
        axes.set_ylabel(figure_text(labels[1]))
        _legend_below(figure)
        return as_svg(figure, name)


def classes_plot(
    name: str, classes: Sequence[str], arms: Sequence[tuple[str, int, Numbers]], label: str
) -> str:
    """A measure of each class for several arms.

    Args:
        name: Of the figure.
        classes: From top to bottom.
        arms: Name, number of the arm and value [classes].
        label: Of the axis.
    """
    with drawing(SQUARE + 0.9, 1.6 + 0.36 * len(classes)) as (figure, axes):
        for arm, number, values in arms:
            own = style(number)
            axes.plot(values, range(len(classes)), color=own.color, marker=own.marker,
                      linestyle="none", markersize=6, label=figure_text(arm))  # fmt: skip
        axes.set_yticks(range(len(classes)), list(map(figure_text, classes)))
        axes.set_ylim(len(classes) - 0.4, -0.6)
        axes.set_xlabel(label)
        _legend_below(figure)
        return as_svg(figure, name)


def _unit_square(axes: Any, x_label: str, y_label: str) -> None:
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_aspect("equal")
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)


def _legend_below(figure: Any) -> None:
    handles, labels = figure.axes[0].get_legend_handles_labels()
    columns = 2 if max(map(len, labels), default=0) > 14 or figure.get_figwidth() < 5 else 3
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, fontsize=9)
