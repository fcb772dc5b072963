"""A card as plain values: what is added up, and what the sum says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from torch import Tensor

from meddistill.data.tables.bands import NOT_KNOWN, BandsPreprocessing
from meddistill.data.tables.cuts import Cuts
from meddistill.inference.model import Model
from meddistill.inference.network import MeanOfProbabilities, NetworkModel
from meddistill.models.scorecard import ScoreCard


def described(model: Model) -> dict[str, Any] | None:
    """The card that a model is, for `metrics.json`; None where it is none.

    Returns:
        `columns`, each with its `column` and `bands` (name and points, those of equal points that
        lie side by side as one); `scale` and `offset` of risk = sigmoid(offset + scale x sum).
    """
    card, bands = _card(model), model.preprocessing
    if card is None or not isinstance(bands, BandsPreprocessing):
        return None
    points = card.points.detach()
    return {
        "columns": [
            {"column": bands.schema.columns[place], "bands": list(_bands(bands, points, place))}
            for place in points.any(dim=1).nonzero().flatten().tolist()
        ],
        "scale": card.scale.item(),
        "offset": card.offset.item(),
    }


def _card(model: Model) -> ScoreCard | None:
    if not isinstance(model, NetworkModel):
        return None
    members = list(cast(MeanOfProbabilities, model.network).members)
    return members[0] if len(members) == 1 and isinstance(members[0], ScoreCard) else None


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
