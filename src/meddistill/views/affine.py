"""Pictures shifted, turned, scaled and lit at random, a batch at once on its device."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import affine_grid, grid_sample

from meddistill.errors import SettingError, number

MOST_DEGREES, MOST_SHARE = 180.0, 0.9


class Affine(nn.Module):
    """Each picture of a batch seen otherwise, as a radiographer might have taken it.

    Random numbers come from torch's global generator of the CPU, whatever the device, which is
    seeded by (seed, epoch): a resumed epoch draws them again. Pixels that come from outside are
    those of the nearest edge.

    Args:
        shift: Greatest shift to each side, as a share of the picture's.
        rotate: Greatest turn to each side, in degrees.
        scale: Greatest change of size: 0.1 is from 0.9 to 1.1.
        intensity: Greatest change of contrast (0.1 is from 0.9 to 1.1, about the picture's mean)
            and of brightness (0.1 is from -0.1 to 0.1 of the whole range).
        flip_left_right: Whether half of the pictures are mirrored. It moves a heart to the right:
            only for what has no sides.
        flip_up_down: Whether half of the pictures stand on their heads.

    Raises:
        SettingError: A setting is out of its range, or all of them together change nothing.
    """

    reads: ClassVar[str] = "images"

    def __init__(
        self,
        shift: float = 0.08,
        rotate: float = 10.0,
        scale: float = 0.1,
        intensity: float = 0.1,
        flip_left_right: bool = False,
        flip_up_down: bool = False,
    ) -> None:
        super().__init__()
        self.shift = number("shift", shift, at_least=0, at_most=MOST_SHARE)
        self.rotate = number("rotate", rotate, at_least=0, at_most=MOST_DEGREES)
        self.scale = number("scale", scale, at_least=0, at_most=MOST_SHARE)
        self.intensity = number("intensity", intensity, at_least=0, at_most=MOST_SHARE)
        self.flip_left_right = _truth("flip_left_right", flip_left_right)
        self.flip_up_down = _truth("flip_up_down", flip_up_down)
        moves = self.shift, self.rotate, self.scale, flip_left_right, flip_up_down
        self._moves = any(moves)
        if not self._moves and not self.intensity:
            raise SettingError(
                "intensity", intensity, "with nothing else above 0 the view changes no picture: "
                "set shift, rotate, scale or intensity, or leave the view out (view=none)",
            )  # fmt: skip

    def forward(self, pictures: Tensor) -> Tensor:
        """[batch, channels, height, width] float in 0..1 -> the same."""
        if self._moves:
            count, _, height, width = pictures.shape
            places = self._draw_places(count, height, width).to(pictures)
            grid = affine_grid(places, list(pictures.shape), align_corners=False)
            pictures = grid_sample(pictures, grid, padding_mode="border", align_corners=False)
        if self.intensity:
            pictures = self._light(pictures)
        return pictures

    def _draw_places(self, count: int, height: int, width: int) -> Tensor:
        """[count, 2, 3] from places of the view to those of the picture, both from -1 to 1."""
        angle = _draw(count) * math.radians(self.rotate)
        size = 1 + _draw(count) * self.scale
        cosine, sine = angle.cos() / size, angle.sin() / size
        across, down = _signs(count, self.flip_left_right), _signs(count, self.flip_up_down)
        shift = 2 * self.shift * _draw(2 * count).view(2, count)
        rows = [
            torch.stack([cosine * across, -sine * down * height / width, shift[0]], dim=1),
            torch.stack([sine * across * width / height, cosine * down, shift[1]], dim=1),
        ]
        return torch.stack(rows, dim=1)

    def _light(self, pictures: Tensor) -> Tensor:
        shape = len(pictures), 1, 1, 1
        contrast, brightness = (
            (_draw(len(pictures)) * self.intensity).to(pictures).view(shape) for _ in range(2)
        )
        mean = pictures.mean(dim=(1, 2, 3), keepdim=True)
        return ((pictures - mean) * (1 + contrast) + mean + brightness).clamp(0, 1)


def _draw(count: int) -> Tensor:
    """[count] evenly from -1 to 1."""
    return torch.rand(count) * 2 - 1


def _signs(count: int, flips: bool) -> Tensor:
    """[count] -1 for half of the pictures, where they are mirrored at all."""
    return torch.ones(count) - 2.0 * (torch.rand(count) < 0.5) if flips else torch.ones(count)


def _truth(key: str, value: bool) -> bool:
    if not isinstance(value, bool):
        raise SettingError(key, value, "must be true or false")
    return value
