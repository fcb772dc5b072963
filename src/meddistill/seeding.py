"""Independent random streams from one seed, the same on every machine."""

from __future__ import annotations

import numpy as np
import torch


def derive(seed: int, *stream: str | int) -> int:
    """A seed of its own for each named stream of `seed` (0 is a seed like any other).

    Streams are independent (numpy's SeedSequence), so first weights, batch order and dropout
    never share random numbers, and any epoch's stream is known without running those before it.
    """
    words = [word if isinstance(word, int) else int.from_bytes(word.encode()) for word in stream]
    return int(np.random.SeedSequence([seed, *words]).generate_state(1, np.uint64)[0]) >> 1


def seed_torch(seed: int, device: torch.device) -> None:
    """Seed torch on the CPU and on `device`; `torch.manual_seed` takes milliseconds longer."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)
