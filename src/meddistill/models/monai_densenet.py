"""A densely connected network for images by MONAI, which is an extra of this package."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from meddistill.errors import SettingError, UserError, integer, number
from meddistill.models.resnet_image import LARGEST_FIRST_STAGE


class MonaiDenseNet(nn.Module):
    """MONAI's DenseNet (Huang et al. 2017, arXiv:1608.06993).

    Pictures of up to 56 pixels a side are read by a convolution of 3 pixels, as the paper reads
    those of 32; the first layers for larger ones would leave 7 x 7 places of 28 x 28.

    Args:
        in_shape: (channels, height, width).
        num_classes: Number of logits.
        width: Channels of the first convolution, at least 1.
        growth: Channels that each layer adds, at least 1.
        blocks: Layers of each dense block; the picture is halved between two.
        dropout: Probability that a layer's channel is left out in training, at most 0.9.

    Raises:
        UserError: MONAI is not installed.
    """

    reads: ClassVar[str] = "image"

    def __init__(
        self,
        in_shape: Sequence[int],
        num_classes: int,
        width: int = 32,
        growth: int = 16,
        blocks: Sequence[int] = (6, 6, 6),
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        channels, *sides = in_shape
        self.network = _nets().DenseNet(
            spatial_dims=2,
            in_channels=channels,
            out_channels=num_classes,
            init_features=integer("width", width, at_least=1),
            growth_rate=integer("growth", growth, at_least=1),
            block_config=_layers(blocks, min(sides)),
            dropout_prob=number("dropout", dropout, at_least=0, at_most=0.9),
        )
        if max(sides) <= LARGEST_FIRST_STAGE:
            self.network.features.conv0 = nn.Conv2d(channels, width, 3, padding=1, bias=False)
            self.network.features.pool0 = nn.Identity()

    @staticmethod
    def check_installed() -> None:
        """Refuse the package's absence before any data are read.

        Raises:
            UserError: The package is not installed.
        """
        _nets()

    def forward(self, inputs: Tensor) -> Tensor:
        """[batch, channels, height, width] -> logits [batch, classes]."""
        logits: Tensor = self.network(inputs)
        return logits


def _layers(blocks: Sequence[int], side: int) -> tuple[int, ...]:
    """Layers of each block; between two the picture is halved, beside 2 times in a large one."""
    if isinstance(blocks, str) or not isinstance(blocks, Sequence) or not blocks:
        raise SettingError("blocks", blocks, "must be a list of layers a block, as [6,6,6]")
    layers = tuple(integer("blocks", block, at_least=1) for block in blocks)
    halvings = len(layers) - 1 + (2 if side > LARGEST_FIRST_STAGE else 0)
    most = side.bit_length() - 1
    if halvings > most:
        raise SettingError(
            "blocks", list(layers), f"{len(layers)} blocks halve the picture {halvings} times; one "
            f"of {side} pixels can be halved {most} times",
        )  # fmt: skip
    return layers


def _nets() -> Any:
    try:
        return importlib.import_module("monai.networks.nets")
    except ImportError as error:
        raise UserError(
            "this network is MONAI's, which is not installed: pip install 'meddistill[monai]'"
        ) from error
