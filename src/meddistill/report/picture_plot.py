"""Pictures in rows, each with maps of where models look beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from meddistill.data.images.pixels import Pixels, as_floats
from meddistill.report.drawing import as_svg, drawing
from meddistill.report.writing import figure_text

INCHES = 2.0
BRIGHTEST = 99.0
"""Percentile of a map from which on it is white: a single pixel would leave the rest dark."""


@dataclass(frozen=True)
class Panel:
    """What one model says of the pictures.

    Attributes:
        name: Of the model.
        maps: [pictures, height, width] at least 0.
        log_probabilities: [pictures, classes].
    """

    name: str
    maps: NDArray[np.float32]
    log_probabilities: NDArray[np.float64]


def pictures_plot(
    name: str,
    pictures: Pixels,
    titles: Sequence[str],
    panels: Sequence[Panel],
    target: NDArray[np.int64],
) -> str:
    """An SVG with a row a picture: it, then each model's map with the true class's probability.

    Args:
        name: Of the figure.
        pictures: [pictures, channels, height, width].
        titles: [pictures] above each.
        panels: What models say.
        target: [pictures] class numbers.
    """
    count, columns = len(pictures), 1 + len(panels)
    with drawing(INCHES * columns, (INCHES + 0.3) * count) as (figure, axes):
        axes.remove()
        grid = figure.subplots(count, columns, squeeze=False)
        for row, (picture, title) in enumerate(zip(pictures, titles, strict=True)):
            shown = np.moveaxis(as_floats(picture), 0, -1)
            _show(grid[row, 0], shown.squeeze(-1) if shown.shape[-1] == 1 else shown, "gray", title)
            for axis, panel in zip(grid[row, 1:], panels, strict=True):
                said = float(np.exp(panel.log_probabilities[row, target[row]]))
                _show(axis, panel.maps[row], "magma", f"{panel.name}: {said:.2f}")
        return as_svg(figure, name)


def _show(axes: Axes, values: NDArray[np.float32], colours: str, title: str) -> None:
    brightest = 1.0 if colours == "gray" else float(np.percentile(values, BRIGHTEST)) or 1.0
    axes.imshow(values, cmap=colours, vmin=0, vmax=brightest, interpolation="nearest")
    axes.set_title(figure_text(title), fontsize=8)
    axes.set_axis_off()
