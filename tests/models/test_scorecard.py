"""A card is whole points of few columns, chosen by the loss it was trained with."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from meddistill.errors import SettingError, UserError
from meddistill.models.scorecard import ScoreCard
from meddistill.models.whole_points import Points, whole_points

COLUMNS, BANDS, ROWS = 10, 6, 800
TRUE = {1: [-3, 0, 2, 4, 0, 0], 4: [0, 2, 0, -4, 0, 0], 7: [4, -2, 0, 0, 0, 2]}
"""Points of a known card by column, half a unit of log-odds each."""


def truth():
    """[columns, bands] log-odds of the known card."""
    log_odds = torch.zeros(COLUMNS, BANDS)
    for column, points in TRUE.items():
        log_odds[column] = torch.tensor(points) / 2.0
    return log_odds


@pytest.fixture(scope="module")
def rows():
    """Inputs, and log-odds that a known card of three columns gives them."""
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(BANDS, (ROWS, COLUMNS), generator=generator)
    inputs = functional.one_hot(codes, BANDS).float()
    return inputs, (inputs * truth()).sum((1, 2))


def objective_of(log_odds):
    """The loss of logits [..., rows, 2] against a teacher that knows all."""
    share = log_odds.sigmoid()

    def objective(logits):
        answers = logits.log_softmax(-1)
        return -(share * answers[..., 1] + (1 - share) * answers[..., 0]).mean(-1)

    return objective


def trained(rows, **settings):
    """A card whose real points are near the truth, with noise in all columns."""
    card = ScoreCard((COLUMNS, BANDS), 2, **settings)
    generator = torch.Generator().manual_seed(2)
    noise = 0.05 * torch.randn(COLUMNS, BANDS, generator=generator)
    level = torch.randn(COLUMNS, 1, generator=generator)  # a training leaves it anywhere
    with torch.no_grad():
        card.points.copy_(truth() + level + noise)
        card.offset.copy_(-level.sum())
    return card


def finished(rows, **settings):
    card = trained(rows, **settings)
    card.finish(rows[0], objective_of(rows[1]), ROWS)
    return card


def test_the_columns_and_points_of_a_known_card_are_found(rows):
    card = finished(rows, most_columns=3)
    assert card.points.abs().sum(1).nonzero().flatten().tolist() == list(TRUE)
    learned = card.scale * (card.points[list(TRUE)] - card.points[list(TRUE)].mean(1, keepdim=True))
    true = torch.tensor(list(TRUE.values())) / 2.0
    assert torch.allclose(learned, true - true.mean(1, keepdim=True), atol=0.3)


@pytest.mark.parametrize("most_columns", [1, 8])
@pytest.mark.parametrize("most_points", [1, 3])
@pytest.mark.parametrize("rounding", ["descent", "plain"])
def test_no_card_has_more_columns_or_larger_points_and_all_are_whole(
    rows, most_columns, most_points, rounding
):
    card = finished(rows, most_columns=most_columns, most_points=most_points, rounding=rounding)
    assert torch.equal(card.points, card.points.round())
    assert 0 < card.points.abs().max() <= most_points
    assert 0 < (card.points != 0).any(1).sum() <= most_columns
    assert card.scale > 0


@pytest.mark.parametrize("most_points", [2, 3])
def test_points_moved_by_the_loss_cost_less_than_rounded_ones(rows, most_points):
    inputs, generator = rows[0], torch.Generator().manual_seed(1)
    log_odds = (inputs * torch.randn(COLUMNS, BANDS, generator=generator)).sum((1, 2))
    real = trained((inputs, log_odds))
    card = Points.of(inputs, real.points, real.offset, ROWS)

    def loss(given):
        return objective_of(log_odds)(torch.stack([torch.zeros_like(given), given], -1))

    costs = [
        whole_points(card, loss, COLUMNS, most_points, descent).cost(loss)
        for descent in (True, False)
    ]
    assert costs[0] < costs[1] - 1e-4


def test_a_risk_depends_on_the_sum_alone_and_the_usual_row_has_none(rows):
    card, (inputs, _) = finished(rows), rows
    sums = (inputs * card.points).sum((1, 2))
    logits = card(inputs)
    for each in sums.unique():
        assert len(logits[sums == each, 1].unique()) == 1
    usual = inputs.sum(0).argmax(1)
    assert (card.points.gather(1, usual[:, None]) == 0).all()


def test_a_band_that_no_training_row_is_in_has_no_points(rows):
    inputs, log_odds = rows
    seen = inputs[:, 0, 2] == 0
    card = trained(rows, most_columns=COLUMNS)
    with torch.no_grad():
        card.points[0, 2] = 5
    card.finish(inputs[seen], objective_of(log_odds[seen]), int(seen.sum()))
    assert card.points[0, 2] == 0


def test_a_column_that_says_nothing_at_all_leaves_a_card_of_no_points():
    inputs = functional.one_hot(torch.zeros(9, 2, dtype=torch.long), BANDS).float()
    card = ScoreCard((2, BANDS), 2)
    card.finish(inputs, objective_of(torch.zeros(9)), 9)
    assert (card.points == 0).all()
    assert card(inputs).isfinite().all()


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"most_columns": 0}, "most_columns"),
        ({"most_columns": 31}, "most_columns"),
        ({"most_points": 10}, "most_points"),
        ({"rounding": "up"}, "rounding"),
    ],
)
def test_what_no_card_has_is_refused(settings, named):
    with pytest.raises(SettingError, match=named):
        ScoreCard((3, BANDS), 2, **settings)


def test_three_classes_are_refused_with_the_reason():
    with pytest.raises(UserError, match="one class, and there are 3"):
        ScoreCard((3, BANDS), 3)
