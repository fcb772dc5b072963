"""A small convolutional network for images: the student that fits a bedside device."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

from torch import Tensor, nn

from meddistill.errors import SettingError, integer, number


class CNN(nn.Module):
    """Blocks of convolution, batch norm, ReLU and pooling by 2; their mean over places is read.

    The channels double from block to block. Pictures of any size are taken that a block can halve
    as often as there are blocks.

    Args:
        in_shape: (channels, height, width).
        num_classes: Number of logits.
        width: Channels of the first block, at least 1.
        depth: Number of blocks, at least 1.
        depthwise: Whether all blocks but the first filter each channel by itself and mix them by a
            convolution of one pixel (Howard et al. 2017, arXiv:1704.04861), which takes about an
            eighth of the numbers.
        dropout: Probability that one of the last features is left out in training, at most 0.9.
    """

    reads: ClassVar[str] = "image"

    def __init__(
        self,
        in_shape: Sequence[int],
        num_classes: int,
        width: int = 16,
        depth: int = 3,
        depthwise: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        integer("width", width, at_least=1)
        number("dropout", dropout, at_least=0, at_most=0.9)
        if not isinstance(depthwise, bool):
            raise SettingError("depthwise", depthwise, "must be true or false")
        channels, height, across = in_shape
        most = min(height, across).bit_length() - 1
        if integer("depth", depth, at_least=1) > most:
            mend = f"pictures of {height} x {across} pixels can be halved {most} times at the most"
            raise SettingError("depth", depth, mend)
        widths = [channels, *(width * 2**block for block in range(depth))]
        self.blocks = nn.Sequential(*(
            _block(before, after, depthwise and number > 0)
            for number, (before, after) in enumerate(pairwise(widths))
        ))  # fmt: skip
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), *([nn.Dropout(dropout)] if dropout else []),
            nn.Linear(widths[-1], num_classes),
        )  # fmt: skip

    def forward(self, inputs: Tensor) -> Tensor:
        """[batch, channels, height, width] -> logits [batch, classes]."""
        logits: Tensor = self.head(self.blocks(inputs))
        return logits


def _block(before: int, after: int, depthwise: bool) -> nn.Sequential:
    """Halves the picture."""
    if depthwise:
        filters = [*_filter(before, before, 3, groups=before), *_filter(before, after, 1)]
    else:
        filters = _filter(before, after, 3)
    return nn.Sequential(*filters, nn.MaxPool2d(2))


def _filter(before: int, after: int, size: int, groups: int = 1) -> list[nn.Module]:
    """A convolution; batch norm makes a bias idle."""
    convolution = nn.Conv2d(before, after, size, padding=size // 2, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
