"""A card as plain values: what is added up, and what the sum says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

from torch import Tensor

from meddistill.data.tables.bands import BandsPreprocessing
from meddistill.data.tables.cells import PLAIN
from meddistill.data.tables.cuts import NOT_KNOWN, Cuts, Groups
from meddistill.errors import columns_named
from meddistill.inference.model import Model
from meddistill.inference.network import MeanOfProbabilities, NetworkModel
from meddistill.models.scorecard import MOST_COLUMNS, ScoreCard


def described(model: Model) -> dict[str, Any] | None:
    """The card that a model is, for `metrics.json`; None where it is none.

    Returns:
        `columns`, each with its `column` and `bands` (name and points, those of equal points that
        lie side by side as one); `notes` on cells that are in none by their name; `scale` and
        `offset` of risk = sigmoid(offset + scale x sum).
    """
    card, bands = _card(model), model.preprocessing
    if card is None or not isinstance(bands, BandsPreprocessing):
        return None
    points = card.points.detach()
    places = points.any(dim=1).nonzero().flatten().tolist()
    return {
        "columns": [
            {"column": bands.schema.columns[place], "bands": list(_bands(bands, points, place))}
            for place in places
        ],
        "notes": _notes(bands, places),
        "scale": card.scale.item() / model.card.temperature,
        "offset": card.offset.item() / model.card.temperature,
    }


def _card(model: Model) -> ScoreCard | None:
    if not isinstance(model, NetworkModel):
        return None
    members = list(cast(MeanOfProbabilities, model.network).members)
    return members[0] if len(members) == 1 and isinstance(members[0], ScoreCard) else None


def _notes(bands: BandsPreprocessing, places: Sequence[int]) -> list[str]:
    """In which band of the columns at `places` a cell is whose band is not called by it."""
    of = {bands.schema.columns[place]: bands.columns[place] for place in places}
    found = {
        "a bound such as <5 counts as 5": [
            name for name in of if bands.schema.notation.get(name, PLAIN).bounds
        ],
        "a number between whole ones counts as the lower, 44.9 as 44": [
            name for name, column in of.items() if isinstance(column, Cuts) and column.whole
        ],
        f"a category that is not on the card counts as {NOT_KNOWN}": [
            name for name, column in of.items() if isinstance(column, Groups) and not column.others
        ],
    }
    return [
        f"In {columns_named(each, MOST_COLUMNS)} {what}." for what, each in found.items() if each
    ]


def _bands(bands: BandsPreprocessing, points: Tensor, column: int) -> Iterator[tuple[str, int]]:
    """Names and points of a column's bands, that of what is not known last."""
    own = [int(each) for each in points[column, : bands.columns[column].count].tolist()]
    if isinstance(bands.columns[column], Cuts):
        first = 0
        for band in range(len(own)):
            if band + 1 == len(own) or own[band + 1] != own[band]:
                yield bands.span(column, first, band), own[band]
                first = band + 1
    else:
        names = bands.band_names[column]
        for each in dict.fromkeys(own):
            yield ", ".join(n for n, p in zip(names, own, strict=True) if p == each), each
    yield NOT_KNOWN, int(points[column, -1])
