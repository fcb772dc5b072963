"""From a trained card of real points to one of few columns and whole points.

What is kept of the trained points is chosen, rounded and scaled by the loss that they were trained
with. Columns leave by recursive elimination (Guyon et al. 2002); points are rounded at several
scales, then moved one by one as long as the loss falls, as FasterRisk does for the logistic loss
(Liu et al. 2022, arXiv:2210.05846).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

Objective = Callable[[Tensor], Tensor]
"""From log-odds [..., rows] to the loss [...]."""
SPREAD = 0.3
"""Standard deviation, in log-odds, of how far a band's points may be from the trained ones: its
prior, without which a band of few rows is told by chance."""
ITERATIONS = 50
SWEEPS = 20
SHARES = (1.5, 1.3, 1.15, 1.0, 0.85, 0.7, 0.5, 0.35)
"""Of the most points: how large the largest would be, were it neither rounded nor cut off."""
TRIED = 3
"""Roundings that are the best before points are moved, and go on to that."""
LEAST = 1e-6
"""The largest log-odds that are told from none."""
STEPS = (-2, -1, 1, 2)
"""By how much a point is moved at once."""


@dataclass(frozen=True)
class Points:
    """A card's numbers: log-odds = offset + scale x the sum of a row's points.

    Attributes:
        inputs: [rows, inputs] 0 and 1: the bands of the columns that are left, but each one's most
            frequent, which has 0 points, and those that no row is in.
        column: [inputs] each one's column.
        band: [inputs] and band.
        points: [inputs].
        trained: [inputs] log-odds of the trained card, from which the prior counts.
        scale: [] log-odds a point.
        offset: [] log-odds at a sum of 0.
        weight: Of the prior beside a loss that is a mean over rows.
    """

    inputs: Tensor
    column: Tensor
    band: Tensor
    points: Tensor
    trained: Tensor
    scale: Tensor
    offset: Tensor
    weight: float

    @staticmethod
    def of(inputs: Tensor, points: Tensor, offset: Tensor, labels: int) -> Points:
        """A trained card's.

        Args:
            inputs: [rows, columns, bands] of 0 and 1.
            points: [columns, bands].
            offset: [] log-odds at a sum of 0.
            labels: Labelled rows, which the prior is weighed against.
        """
        counts = inputs.sum(0, dtype=torch.float64)
        usual = counts.argmax(1, keepdim=True)
        trained = points.detach().double()
        level = trained.gather(1, usual)
        column, band = ((counts > 0).scatter(1, usual, False)).nonzero(as_tuple=True)
        own = (trained - level)[column, band]
        return Points(
            inputs[:, column, band].double(), column, band, own, own,
            torch.ones((), dtype=torch.float64), offset.detach().double() + level.sum(),
            1 / (2 * SPREAD**2 * labels),
        )  # fmt: skip

    def log_odds(self) -> Tensor:
        """[rows]."""
        return self.offset + self.scale * (self.inputs @ self.points)

    def cost(self, objective: Objective) -> Tensor:
        """The loss and what the prior adds to it."""
        return objective(self.log_odds()) + self.prior(self.points)

    def prior(self, points: Tensor) -> Tensor:
        """[...] of points [..., inputs]."""
        return self.weight * (self.scale * points - self.trained).square().sum(-1)

    def fitted(self, objective: Objective, whole: bool = False) -> Points:
        """The same with the offset and the points of least cost, or, of whole points, the scale."""
        own = (self.scale if whole else self.points).clone().requires_grad_()
        offset = self.offset.clone().requires_grad_()
        optimizer = torch.optim.LBFGS(
            [own, offset], max_iter=ITERATIONS, line_search_fn="strong_wolfe"
        )

        def closure() -> Tensor:
            optimizer.zero_grad()
            cost = self._with(own, offset, whole).cost(objective)
            torch.autograd.backward(cost)
            return cost

        optimizer.step(closure)  # type: ignore[no-untyped-call]
        return self._with(own.detach(), offset.detach(), whole)

    def _with(self, own: Tensor, offset: Tensor, whole: bool) -> Points:
        if whole:
            return replace(self, scale=own, offset=offset)
        return replace(self, points=own, offset=offset)

    @property
    def columns(self) -> Tensor:
        """Those that are left."""
        return self.column.bincount().nonzero().flatten()

    def without(self, columns: Tensor) -> Points:
        """The same without some columns."""
        left = ~torch.isin(self.column, columns)
        return replace(
            self, inputs=self.inputs[:, left], column=self.column[left], band=self.band[left],
            points=self.points[left], trained=self.trained[left],
        )  # fmt: skip


def whole_points(
    card: Points, objective: Objective, most_columns: int, most_points: int, descent: bool
) -> Points:
    """The card with few columns and whole points.

    Args:
        card: As it was trained.
        objective: The loss on training rows that it was trained with.
        most_columns: Columns that are left at most.
        most_points: Largest point, of either sign.
        descent: Whether points are moved by the loss once they are rounded, and their scale is
            chosen by it; they are rounded at the finest scale otherwise.
    """
    card = few_columns(card, objective, most_columns)
    if not descent:
        return rounded(card, objective, most_points)

    def cost(each: Points) -> float:
        return float(each.cost(objective))

    tried = (rounded(card, objective, most_points, share) for share in SHARES)
    best = sorted(tried, key=cost)[:TRIED]
    return min((moved(each, objective, most_points) for each in best), key=cost)


def few_columns(card: Points, objective: Objective, most: int) -> Points:
    """Take away, half of the excess at a time, the columns whose absence costs least; fit again."""
    while (excess := len(card.columns) - most) > 0:
        columns, cost = _absences(card, objective)
        card = card.without(columns[cost.argsort()[: max(1, excess // 2)]]).fitted(objective)
    return card


def _absences(card: Points, objective: Objective) -> tuple[Tensor, Tensor]:
    """Columns, and the loss without each of them where its rows have its mean instead."""
    columns = card.columns
    share = (columns[:, None] == card.column) * (card.scale * card.points)
    parts = share @ card.inputs.T
    without = card.log_odds() - parts + parts.mean(1, keepdim=True)
    return columns, torch.stack([objective(each) for each in without])


def rounded(card: Points, objective: Objective, most: int, share: float = 1.0) -> Points:
    """Whole points of at most `most`, and the scale that then fits.

    Args:
        card: Of any points.
        objective: The loss.
        most: Largest point, of either sign.
        share: Of it, to which the largest of the card's own is scaled before it is cut off.
    """
    points = card.scale * card.points
    scale = torch.cat([points.abs(), points.new_tensor([LEAST])]).max() / (share * most)
    whole = (points / scale).round().clamp(-most, most)
    return replace(card, points=whole, scale=scale).fitted(objective, whole=True)


def moved(card: Points, objective: Objective, most: int) -> Points:
    """Move points, one after the other, as long as the cost falls."""
    for _ in range(SWEEPS):
        points, log_odds = card.points.clone(), card.log_odds()
        for place in range(len(points)):
            steps = torch.tensor([0, *STEPS], dtype=torch.float64)
            steps = steps[(points[place] + steps).abs() <= most]
            tried = points.repeat(len(steps), 1)
            tried[:, place] += steps
            answers = log_odds + card.scale * steps[:, None] * card.inputs[:, place]
            best = int((objective(answers) + card.prior(tried)).argmin())
            points, log_odds = tried[best], answers[best]
        if torch.equal(points, card.points):
            break
        card = replace(card, points=points).fitted(objective, whole=True)
    return card
