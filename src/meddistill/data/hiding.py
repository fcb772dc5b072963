"""Further cells of rows hidden, in the patterns in which real rows lack theirs.

Cells are rarely missing one by one: a laboratory panel was ordered or not, a ward measures some
things and others not. So the pattern of another training row is laid over a row, of as many rows
as it takes to hide the share that is wanted. Columns that hardly any training row lacks are in no
such pattern, and each is hidden by itself.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from meddistill.data.preprocessing import Preprocessing
from meddistill.data.records import Records
from meddistill.errors import SettingError
from meddistill.once import NOTE
from meddistill.seeding import derive

log = logging.getLogger(__name__)
Cells = NDArray[np.bool_]
RARE = 0.01
"""Share of training rows that lack a column below which their patterns say nothing of it."""
MOST_PATTERNS = 32
"""Patterns laid over one row; what they can't reach is hidden cell by cell."""


class Patterns:
    """Which cells real rows lack together.

    Args:
        known: [rows, columns] which cells of training rows are filled.
    """

    def __init__(self, known: Cells) -> None:
        lacking = ~known
        self.together = lacking.mean(axis=0) >= RARE
        """[columns] which are in patterns; each of the others is hidden by itself."""
        patterns = lacking & self.together
        self.patterns = patterns[patterns.any(axis=1)]

    def draw(
        self, known: Cells, share: NDArray[np.float64] | float, random: np.random.Generator
    ) -> Cells:
        """[rows, columns] which further cells are hidden.

        Args:
            known: [rows, columns] which are filled now; the rows may be any.
            share: [rows] of a row's known cells, or one for all: that many on average, of the
                columns in patterns and of the others alike.
            random: What draws.
        """
        shares = np.broadcast_to(share, len(known))
        hidden: Cells = known & ~self.together & (random.random(known.shape) < shares[:, None])
        return hidden | self._laid_over(known & self.together, shares, random)

    def _laid_over(
        self, own: Cells, shares: NDArray[np.float64], random: np.random.Generator
    ) -> Cells:
        """[rows, columns] which of a row's own cells the patterns of other rows hide."""
        hidden = np.zeros_like(own)
        wanted, reached = shares * own.sum(axis=1), np.zeros(len(own))
        rows = np.flatnonzero(wanted > 0)
        for _ in range(MOST_PATTERNS):
            drawn = random.integers(len(self.patterns), size=len(rows)) if len(rows) else rows
            more = hidden[rows] | (own[rows] & self.patterns[drawn])
            count = more.sum(axis=1)
            beyond = count >= wanted[rows]
            # One pattern too many is laid over as often as makes the mean what is wanted.
            left, gained = wanted[rows] - reached[rows], count - reached[rows]
            chance = np.where(beyond, left / np.maximum(gained, 1), 1.0)
            taken = random.random(len(rows)) < chance
            hidden[rows[taken]], reached[rows[taken]] = more[taken], count[taken]
            rows = rows[~beyond]
        still = own[rows] & ~hidden[rows]
        chance = (wanted[rows] - reached[rows]) / np.maximum(still.sum(axis=1), 1)
        hidden[rows] |= still & (random.random(still.shape) < chance[:, None])
        return hidden

    def say(self, share: float) -> None:
        """Log what is drawn where such a share is hidden, once a command."""
        together = int(self.together.sum())
        log.info(
            "missing.hide=%g: as cells are missing together in %d training rows (%d columns), and "
            "%d columns that hardly any of them lacks, each by itself",
            share, len(self.patterns), together, len(self.together) - together, **NOTE,
        )  # fmt: skip


class HiddenCells:
    """Training rows with further cells hidden, drawn anew each epoch from (seed, epoch).

    A row's own share is u^(1 / share - 1) of a u drawn evenly from 0 to 1, whose mean is the share:
    many rows are seen nearly whole, and some with hardly a cell.

    Args:
        preprocessing: What makes inputs of them.
        parts: The training rows, read by it, and then those that nobody labelled.
        share: Of a row's known cells, on average.
    """

    def __init__(
        self, preprocessing: Preprocessing, parts: Sequence[Records], share: float
    ) -> None:
        self.preprocessing, self.parts, self.share = preprocessing, parts, share
        self._known = [part.known for part in parts]
        self._patterns = Patterns(self._known[0])

    def inputs(self, seed: int, epoch: int) -> Tensor:
        """[training rows, ...] as they lie in memory in an epoch."""
        random = np.random.default_rng(derive(seed, "hidden cells", epoch))
        made = []
        for part, known in zip(self.parts, self._known, strict=True):
            shares = random.random(len(known)) ** (1 / self.share - 1)
            hidden = self._patterns.draw(known, shares, random)
            made.append(self.preprocessing(part.emptied(hidden)))
        return torch.from_numpy(np.concatenate(made))


def check_hidden(share: float, records: Records, key: str = "missing.hide") -> None:
    """Refuse to hide cells of rows that have none.

    Raises:
        SettingError: They are no table.
    """
    if not records.columns:
        mend = f"hides cells of a table, and these rows are {records.kind}: leave it out"
        raise SettingError(key, share, mend)
