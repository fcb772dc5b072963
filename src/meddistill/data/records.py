"""Raw rows of one kind (tables, images, series), before any preprocessing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Positions = NDArray[np.int64]


class Records(ABC):
    """Raw rows of one kind; what is done to them is a `Preprocessing`'s.

    Attributes:
        kind: The name of its room, a folder of `meddistill.data`.
        workers: Processes that read ahead what does not lie in memory.
    """

    kind: ClassVar[str]
    workers: int = 0

    @abstractmethod
    def __len__(self) -> int:
        """Number of rows."""

    @abstractmethod
    def take(self, positions: Positions) -> Self:
        """The rows at `positions`, in this order."""

    @abstractmethod
    def hashes(self) -> NDArray[np.uint64]:
        """[rows] A hash of each row's content; equal for exact copies."""

    @property
    @abstractmethod
    def spec(self) -> dict[str, Any]:
        """How raw rows are read, in plain values: what a model's folder says of its inputs."""

    @abstractmethod
    def raw(self) -> Any:
        """The rows as `predict` is given them, such as a frame or an array."""

    @abstractmethod
    def describe(self) -> str:
        """What a row is, in a few words: `30 columns`."""

    @property
    def columns(self) -> Sequence[str]:
        """Names of what can be left out of a row; nothing where a row is one whole."""
        return ()

    def only(self, columns: Sequence[str]) -> Self:
        """The rows as who reads these columns alone reads them."""
        raise NotImplementedError(f"{self.kind} have no columns")

    @property
    def known(self) -> NDArray[np.bool_]:
        """[rows, columns] which of their cells are filled."""
        raise NotImplementedError(f"{self.kind} have no columns")

    def emptied(self, hidden: NDArray[np.bool_]) -> Records:
        """The rows without the cells [rows, columns] that are hidden."""
        raise NotImplementedError(f"{self.kind} have no columns")

    @property
    def index(self) -> pd.Index[Any]:
        """[rows] What each row is called in a table of answers."""
        return pd.RangeIndex(len(self))

    @property
    def row_size(self) -> int:
        """Numbers in one row, where that may be many: a step then takes fewer rows."""
        return 1

    @property
    def in_memory(self) -> bool:
        """Whether they lie in memory; others are read from their files when they are taken."""
        return True
