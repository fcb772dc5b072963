"""Views move pictures as they say, by chance and the same again, on any side."""

from __future__ import annotations

import math

import pytest
import torch

from meddistill.errors import SettingError
from meddistill.views.affine import Affine

NOTHING = {"shift": 0, "rotate": 0, "scale": 0, "intensity": 0}


def seen(pictures, seed=0, **settings):
    torch.manual_seed(seed)
    return Affine(**{**NOTHING, **settings})(pictures)


def dot(height=21, width=41, at=(5, 30)):
    picture = torch.zeros(1, 1, height, width)
    picture[0, 0, at[0] - 1 : at[0] + 2, at[1] - 1 : at[1] + 2] = 1.0
    return picture.repeat(200, 1, 1, 1)


def centre(pictures):
    """[batch] rows and columns of the middle of the light."""
    weight = pictures[:, 0]
    total = weight.sum(dim=(1, 2))
    rows = (weight.sum(2) * torch.arange(weight.shape[1])).sum(1) / total
    return rows, (weight.sum(1) * torch.arange(weight.shape[2])).sum(1) / total


def test_a_seed_draws_the_same_view_again():
    pictures = torch.rand(4, 3, 16, 16)
    once = seen(pictures, shift=0.1, rotate=20, scale=0.1, intensity=0.2)
    assert torch.equal(once, seen(pictures, shift=0.1, rotate=20, scale=0.1, intensity=0.2))
    assert not torch.equal(once, seen(pictures, 1, shift=0.1, rotate=20, scale=0.1, intensity=0.2))


def test_each_picture_of_a_batch_is_seen_otherwise():
    views = seen(torch.rand(1, 1, 16, 16).repeat(6, 1, 1, 1), shift=0.1, rotate=20)
    assert len({tuple(view.flatten().tolist()) for view in views}) == 6


def test_a_shift_reaches_as_far_as_it_says_and_no_farther():
    rows, columns = centre(seen(dot(at=(10, 20)), shift=0.1))
    assert 1.5 < (rows - 10).abs().max() <= 0.1 * 21 + 1e-3
    assert 3.0 < (columns - 20).abs().max() <= 0.1 * 41 + 1e-3


def test_a_turn_keeps_the_distance_to_the_middle_of_a_picture_that_is_no_square():
    rows, columns = centre(seen(dot(at=(10, 28)), rotate=45))
    radius = torch.hypot(rows - 10, columns - 20)
    angle = torch.atan2(rows - 10, columns - 20)
    assert torch.allclose(radius, torch.tensor(8.0), atol=0.2)
    assert math.pi / 5 < angle.abs().max() <= math.pi / 4 + 0.02


def test_a_scale_moves_a_dot_away_from_the_middle_or_towards_it():
    _, columns = centre(seen(dot(at=(10, 30)), scale=0.2))
    assert columns.min() < 28.5
    assert columns.max() > 31.5
    assert ((columns - 20) / 10).min() >= 0.8 - 0.01


def test_an_intensity_stays_within_0_and_1_and_keeps_the_order_of_shades():
    picture = torch.linspace(0, 1, 64).view(1, 1, 8, 8).repeat(50, 1, 1, 1)
    views = seen(picture, intensity=0.3)
    assert views.min() >= 0
    assert views.max() <= 1
    assert (views.flatten(1).diff(dim=1) >= 0).all()
    assert (views - picture).abs().amax() > 0.1


@pytest.mark.parametrize(("flip", "axis"), [("flip_left_right", 3), ("flip_up_down", 2)])
def test_a_flip_mirrors_about_half_of_the_pictures(flip, axis):
    pictures = torch.rand(100, 1, 6, 8)
    views = seen(pictures, **{flip: True})
    same = torch.isclose(views, pictures, atol=1e-5).flatten(1).all(1)
    mirrored = torch.isclose(views, pictures.flip(axis), atol=1e-5).flatten(1).all(1)
    assert (same ^ mirrored).all()
    assert 30 < mirrored.sum() < 70


def test_nothing_is_mirrored_unless_it_is_asked_for():
    view = Affine()
    assert (view.flip_left_right, view.flip_up_down) == (False, False)


def test_a_view_has_nothing_to_learn_and_keeps_the_type():
    view = Affine()
    assert not list(view.state_dict())
    assert view(torch.rand(2, 1, 8, 8, dtype=torch.bfloat16)).dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (NOTHING, "changes no picture"),
        ({"shift": -0.1}, "shift=-0.1: must be"),
        ({"shift": 1.0}, "shift=1.0: must be"),
        ({"rotate": 181}, "rotate=181: must be"),
        ({"scale": "a lot"}, "scale=a lot: must be"),
        ({"intensity": math.nan}, "intensity=nan: must be"),
        ({"flip_left_right": "yes"}, "flip_left_right=yes: must be true or false"),
    ],
)
def test_settings_out_of_range_and_a_view_that_changes_nothing_are_refused(settings, said):
    with pytest.raises(SettingError) as error:
        Affine(**settings)
    assert said in str(error.value)
