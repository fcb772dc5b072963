"""Which of a teacher's units a student takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meddistill.errors import SettingError
from meddistill.seeding import derive

WAYS = ("random", "uniform", "largest")


@dataclass(frozen=True)
class Chooser:
    """Chooses some of many, in their order.

    Args:
        way: `random`; `uniform`, evenly spaced; or `largest`, by norm.
        seed: Of `random`.

    Raises:
        SettingError: There is no such way.
    """

    way: str
    seed: int = 0

    def __post_init__(self) -> None:
        if self.way not in WAYS:
            raise SettingError("choose", self.way, f"must be one of {', '.join(WAYS)}")

    def __call__(
        self, count: int, norms: Sequence[float] | NDArray[np.float64], *stream: str | int
    ) -> NDArray[np.int64]:
        """Numbers of `count` of those whose norms are given, ascending.

        Args:
            count: How many are chosen.
            norms: Of all.
            stream: Names the choice: each has random numbers of its own.
        """
        among = len(norms)
        if self.way == "random":
            random = np.random.default_rng(derive(self.seed, *stream))
            chosen = random.choice(among, count, replace=False)
        elif self.way == "uniform":
            chosen = (np.arange(count) * among + among // 2) // max(1, count)
        else:
            chosen = np.argsort(-np.asarray(norms), kind="stable")[:count]
        return np.sort(chosen).astype(np.int64)
