"""A residual network for images (He et al. 2016, arXiv:1512.03385), sized for small pictures."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

from torch import Tensor, nn

from meddistill.errors import integer, number

LARGEST_FIRST_STAGE = 56
"""Pixels a side that the first stage reads at most, as in the paper: larger ones are halved."""


class ResNetImage(nn.Module):
    """A stem, stages of basic blocks with twice the channels each, and the mean over places.

    The first stage reads pictures of up to 56 pixels as they are, and larger ones halved until they
    are no larger, as the paper's stem does at 224.

    Args:
        in_shape: (channels, height, width).
        num_classes: Number of logits.
        width: Channels of the first stage, at least 1.
        stages: Number of stages, each but the first halves the picture; at least 1.
        depth: Blocks of a stage, at least 1.
        dropout: Probability that one of the last features is left out in training, at most 0.9.
    """

    reads: ClassVar[str] = "image"

    def __init__(
        self,
        in_shape: Sequence[int],
        num_classes: int,
        width: int = 32,
        stages: int = 4,
        depth: int = 1,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        integer("width", width, at_least=1)
        integer("stages", stages, at_least=1)
        integer("depth", depth, at_least=1)
        number("dropout", dropout, at_least=0, at_most=0.9)
        channels, *sides = in_shape
        self.stem = _stem(channels, width, max(sides))
        widths = [width, *(width * 2**stage for stage in range(stages))]
        self.stages = nn.Sequential(*(
            _stage(before, after, depth, stride=2 if number else 1)
            for number, (before, after) in enumerate(pairwise(widths))
        ))  # fmt: skip
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), *([nn.Dropout(dropout)] if dropout else []),
            nn.Linear(widths[-1], num_classes),
        )  # fmt: skip

    def forward(self, inputs: Tensor) -> Tensor:
        """[batch, channels, height, width] -> logits [batch, classes]."""
        logits: Tensor = self.head(self.stages(self.stem(inputs)))
        return logits


class BasicBlock(nn.Module):
    """Two convolutions beside a shortcut.

    Args:
        before: Channels of the inputs.
        after: Channels of the outputs.
        stride: 2 halves the picture.
    """

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            _convolution(before, after, 3, stride),
            nn.ReLU(inplace=True),
            _convolution(after, after, 3),
        )
        same = before == after and stride == 1
        self.shortcut = nn.Identity() if same else _convolution(before, after, 1, stride)

    def forward(self, inputs: Tensor) -> Tensor:
        """[batch, before, height, width] -> [batch, after, height / stride, width / stride]."""
        summed: Tensor = self.residual(inputs) + self.shortcut(inputs)
        return summed.relu_()


def _stem(channels: int, width: int, side: int) -> nn.Sequential:
    """One convolution, and as much pooling as a large picture needs."""
    halvings = max(0, -(-side // LARGEST_FIRST_STAGE) - 1).bit_length()
    size, stride = (7, 2) if halvings else (3, 1)
    pools = [nn.MaxPool2d(3, stride=2, padding=1) for _ in range(halvings - 1)]
    return nn.Sequential(
        _convolution(channels, width, size, stride), nn.ReLU(inplace=True), *pools
    )  # fmt: skip


def _stage(before: int, after: int, depth: int, stride: int) -> nn.Sequential:
    first = BasicBlock(before, after, stride)
    return nn.Sequential(first, *(BasicBlock(after, after, 1) for _ in range(depth - 1)))


def _convolution(before: int, after: int, size: int, stride: int = 1) -> nn.Sequential:
    """A convolution and its batch norm, which makes a bias idle."""
    return nn.Sequential(
        nn.Conv2d(before, after, size, stride, padding=size // 2, bias=False),
        nn.BatchNorm2d(after),
    )
