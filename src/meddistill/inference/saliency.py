"""Where in a picture a network looks: gradients of its answer (Smilkov et al. 2017)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from meddistill.data.records import Records
from meddistill.inference.model import Model
from meddistill.inference.network import NetworkModel

COPIES, NOISE = 16, 0.1
"""Noisy copies of a picture whose gradients are averaged, and the noise's spread (shades: 0 to 1);
gradients of the picture alone change from pixel to pixel (SmoothGrad, arXiv:1706.03825)."""


def saliency(
    model: Model, records: Records, target: NDArray[np.int64]
) -> NDArray[np.float32] | None:
    """[rows, height, width] how much each pixel moves the log-probability of the row's class.

    Args:
        model: The same rows and seed give the same numbers.
        records: [rows] pictures.
        target: [rows] class numbers.

    Returns:
        None where there is no network to ask, as of trees.
    """
    if not isinstance(model, NetworkModel):
        return None
    read = model.preprocessing.read(records)
    memory = torch.from_numpy(np.asarray(model.preprocessing(read)))
    shades = memory.float() / 255 if memory.dtype == torch.uint8 else memory
    generator = torch.Generator().manual_seed(0)
    summed = torch.zeros_like(shades)
    for _ in range(COPIES):
        noisy = shades + NOISE * torch.randn(shades.shape, generator=generator)
        noisy.requires_grad_()
        answers = model.network(model.preprocessing.front(noisy))
        of_class = answers.gather(1, torch.from_numpy(target)[:, None]).sum()
        (gradient,) = torch.autograd.grad(of_class, noisy)
        summed += gradient
    found: NDArray[np.float32] = (summed / COPIES).abs().sum(dim=1).numpy()
    return found
