"""Networks for tables by their authors' own package, `rtdl_revisiting_models`."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import ClassVar

import torch
from torch import Tensor, nn

from meddistill.errors import SettingError, UserError, integer, number


class Published(nn.Module):
    """A network of that package, which is an extra of this one."""

    reads: ClassVar[str] = "vector"

    @staticmethod
    def check_installed() -> None:
        """Refuse the package's absence before any data are read.

        Raises:
            UserError: The package is not installed.
        """
        _package()


class ResNet(Published):
    """The ResNet of Gorishniy et al. 2021 (arXiv:2106.11959, section 3.2).

    Args:
        in_shape: (features,).
        num_classes: Number of logits.
        width: Units of a block's input and output.
        depth: Number of blocks.
        hidden_multiplier: Units inside of a block for each of its input.
        dropout: Probability that a unit inside of a block is left out in training.

    Raises:
        UserError: The package is not installed.
    """

    def __init__(
        self,
        in_shape: Sequence[int],
        num_classes: int,
        width: int = 192,
        depth: int = 2,
        hidden_multiplier: float = 2.0,
        dropout: float = 0.15,
    ) -> None:
        super().__init__()
        self.network = _package().ResNet(
            d_in=in_shape[0],
            d_out=num_classes,
            n_blocks=integer("depth", depth, at_least=1),
            d_block=integer("width", width, at_least=1),
            d_hidden_multiplier=number("hidden_multiplier", hidden_multiplier, at_least=1),
            dropout1=number("dropout", dropout, at_least=0, at_most=0.9),
            dropout2=0.0,
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """[batch, features] -> logits [batch, classes]."""
        if self.training and len(inputs) == 1:  # batch norm has no variance of one row
            inputs = torch.cat([inputs, inputs])
            return self._logits(inputs)[:1]
        return self._logits(inputs)

    def _logits(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.network(inputs)
        return logits


class FTTransformer(Published):
    """The FT-Transformer of Gorishniy et al. 2021 (arXiv:2106.11959, section 3.3).

    Each input, a category's indicators among them, is a token. Widths and dropout are the authors'
    defaults for the depth. No parameter is spared weight decay, as the authors' groups would.

    Args:
        in_shape: (features,).
        num_classes: Number of logits.
        depth: Number of blocks, at most 6.

    Raises:
        UserError: The package is not installed.
    """

    def __init__(self, in_shape: Sequence[int], num_classes: int, depth: int = 1) -> None:
        super().__init__()
        if integer("depth", depth, at_least=1) > 6:
            raise SettingError("depth", depth, "the authors give defaults for at most 6 blocks")
        kind = _package().FTTransformer
        settings = kind.get_default_kwargs(n_blocks=depth)
        del settings["_is_default"]  # it would demand an optimizer made in the authors' own way
        self.network = kind(
            n_cont_features=in_shape[0], cat_cardinalities=[], d_out=num_classes,
            linformer_kv_compression_ratio=None, linformer_kv_compression_sharing=None, **settings,
        )  # fmt: skip

    def forward(self, inputs: Tensor) -> Tensor:
        """[batch, features] -> logits [batch, classes]."""
        logits: Tensor = self.network(inputs, None)
        return logits


def _package() -> ModuleType:
    try:
        import rtdl_revisiting_models
    except ImportError as error:
        raise UserError(
            "this network is rtdl_revisiting_models', which is not installed: "
            "pip install 'meddistill[tabular]'"
        ) from error
    package: ModuleType = rtdl_revisiting_models
    return package
