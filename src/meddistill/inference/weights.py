"""A network's weights in a file of their own, in which nothing but tensors is read."""

from __future__ import annotations

import io
from pathlib import Path

import torch
from torch import Tensor, nn

from meddistill.files.atomic import write_atomically
from meddistill.files.model_files import check_archive


def read_weights(content: bytes, name: str) -> dict[str, Tensor]:
    """The state dict in a checkpoint's bytes; nothing is unpickled but tensors and plain values.

    Raises:
        ValueError: It is no checkpoint of weights, or a weight is no finite number.
    """
    check_archive(content, name)
    try:
        loaded = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever its unpickler meets
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"{name!r} is damaged, or no checkpoint of weights: {reason}") from error
    weights = loaded.get("state_dict") if isinstance(loaded, dict) else None
    if not isinstance(weights, dict) or not all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in weights.items()
    ):
        raise ValueError(f"{name!r} holds no weights")
    for key, value in weights.items():
        if value.is_floating_point() and not value.isfinite().all():
            raise ValueError(f"{name!r}: {key} holds numbers that are not finite")
    return weights


def save_weights(weights: dict[str, Tensor], checkpoint: Path) -> None:
    """Write a network's state dict alone, loadable with `weights_only`."""
    buffer = io.BytesIO()
    torch.save({"state_dict": {key: value.cpu() for key, value in weights.items()}}, buffer)
    write_atomically(checkpoint, buffer.getvalue())


def load_weights(network: nn.Module, checkpoint: Path) -> None:
    """Put a checkpoint's weights into `network`; its keys and the network's must be the same."""
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
    network.load_state_dict(state, strict=True)
