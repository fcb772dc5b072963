"""A card that is added up by hand: whole points for bands of a few columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from meddistill.errors import SettingError, UserError, integer
from meddistill.models.whole_points import Points, whole_points

MOST_COLUMNS, MOST_POINTS = 30, 9
"""Of a card that anybody adds up."""
ROUNDINGS = ("descent", "plain")


class ScoreCard(nn.Module):
    """Points for the band of each column's cell; their sum gives the risk of the positive class.

    It is trained with real points for all columns. `finish` then makes it a card, by the same loss:
    few columns are left, points are whole, and the risk is sigmoid(offset + scale x sum). `narrow`
    has it read these columns alone.

    Args:
        in_shape: (columns, bands), the last band being that of what is not known.
        num_classes: Two.
        most_columns: Columns with points, from 1 to 30.
        most_points: Largest point, of either sign, from 1 to 9.
        rounding: How points become whole: `descent`, by the loss, or `plain`, to the nearest.
    """

    reads: ClassVar[str] = "bands"

    def __init__(
        self,
        in_shape: Sequence[int],
        num_classes: int,
        most_columns: int = 8,
        most_points: int = 9,
        rounding: str = "descent",
    ) -> None:
        super().__init__()
        self.most_columns = _within("most_columns", most_columns, MOST_COLUMNS)
        self.most_points = _within("most_points", most_points, MOST_POINTS)
        if rounding not in ROUNDINGS:
            raise SettingError("rounding", rounding, f"must be one of {', '.join(ROUNDINGS)}")
        if num_classes != 2:
            raise UserError(
                f"a scorecard's sum is the risk of one class, and there are {num_classes} classes: "
                "take another student, or make two classes of them"
            )
        self.rounding = rounding
        self.points = nn.Parameter(torch.zeros(*in_shape))
        self.offset = nn.Parameter(torch.zeros(()))
        self.scale: Tensor
        self.register_buffer("scale", torch.ones(()))

    def forward(self, inputs: Tensor) -> Tensor:
        """[batch, columns, bands] of 0 and 1 -> logits [batch, 2]."""
        risk = self.offset + self.scale * (inputs * self.points).sum((-2, -1))
        return torch.stack([torch.zeros_like(risk), risk], dim=-1)

    def finish(self, inputs: Tensor, objective: Callable[[Tensor], Tensor], labels: int) -> None:
        """Make a card of what was trained.

        Args:
            inputs: [rows, columns, bands] the training rows.
            objective: Their logits [..., rows, 2] -> the loss [...].
            labels: How many of them are labelled.
        """

        def loss(log_odds: Tensor) -> Tensor:
            return objective(torch.stack([torch.zeros_like(log_odds), log_odds], dim=-1))

        card = whole_points(
            Points.of(inputs, self.points, self.offset, labels), loss,
            self.most_columns, self.most_points, self.rounding == "descent",
        )  # fmt: skip
        more = -1.0 if card.scale < 0 else 1.0  # points are more risk, whatever chance has fitted
        with torch.no_grad():
            self.points.zero_()
            self.points[card.column, card.band] = more * card.points.float()
            self.scale.copy_(more * card.scale)
            self.offset.copy_(card.offset)

    def narrow(self) -> list[int]:
        """Forget columns without points -> places of the others; of none with any the first."""
        places = self.points.any(dim=1).nonzero().flatten().tolist() or [0]
        self.points = nn.Parameter(self.points.detach()[places])
        return places


def _within(key: str, value: int, most: int) -> int:
    if integer(key, value, at_least=1) > most:
        raise SettingError(key, value, f"must be a whole number from 1 to {most}")
    return value
