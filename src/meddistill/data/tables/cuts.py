"""Where columns are cut into bands: by training rows alone, at round numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddistill.data.patients import Patients
from meddistill.data.tables.blocks import Codes, Floats
from meddistill.data.tables.cells import PLAIN, Notation

NOT_KNOWN, OTHERS = "not known", "any other"
"""What a card calls the bands of an empty cell, and of categories without a band of their own."""
MARKS = frozenset(",:'")
"""Stand between the names of a card and around them."""
DIGITS = 15
"""All that a float64 has for sure: a cut is printed as it is."""


@dataclass(frozen=True)
class Cuts:
    """Bands of a column of numbers: a number is in the band of as many cuts as it reaches.

    Attributes:
        cuts: Ascending; none is one band.
        whole: Whether training had whole numbers alone, so that bands are named by these.
    """

    cuts: tuple[float, ...]
    whole: bool = False

    @staticmethod
    def of_plain(cuts: Any, whole: Any) -> Cuts:
        """What `plain` gave, read from a file.

        Raises:
            ValueError: It is nothing that could have been fitted.
        """
        finite = isinstance(cuts, list) and all(
            type(each) in (int, float) and math.isfinite(each) for each in cuts
        )
        if not finite or sorted(set(cuts)) != cuts or not isinstance(whole, bool):
            raise ValueError(f"{cuts!r:.80} are no cuts")
        return Cuts(tuple(map(float, cuts)), whole)

    @property
    def plain(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {"cuts": list(self.cuts), "whole": self.whole}

    @property
    def count(self) -> int:
        """How many bands there are."""
        return len(self.cuts) + 1

    def codes(self, values: Floats) -> NDArray[np.intp]:
        """[rows] the band of each number, that of none for NaN."""
        return np.searchsorted(np.array(self.cuts), values, side="right")

    def name(self, first: int, last: int, marks: Notation = PLAIN) -> str:
        """What numbers in the bands from `first` to `last` have in common."""
        low = marks.written(self.cuts[first - 1], DIGITS) if first else ""
        end = self.cuts[last] if last < len(self.cuts) else None
        high = "" if end is None else marks.written(end - self.whole, DIGITS)
        if not low or not high:
            below = f"up to {high}" if self.whole else f"under {high}"
            return f"{low} or more" if low else below if high else "any"
        if self.whole:
            return low if low == high else f"{low} to {high}"
        return f"{low} to under {high}"


@dataclass(frozen=True)
class Groups:
    """Bands of a column of categories: the most frequent by themselves, the others together.

    Attributes:
        named: Categories with a band of their own.
        others: Whether there is a band for all others; they are not known without it.
    """

    named: tuple[str, ...]
    others: bool

    @staticmethod
    def of_plain(named: Any, others: Any) -> Groups:
        """What `plain` gave, read from a file.

        Raises:
            ValueError: It is nothing that could have been fitted.
        """
        texts = isinstance(named, list) and all(isinstance(each, str) for each in named)
        if not texts or len(set(named)) < len(named) or not isinstance(others, bool):
            raise ValueError(f"{named!r:.80} are no categories")
        return Groups(tuple(named), others)

    @property
    def plain(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {"named": list(self.named), "others": self.others}

    @property
    def count(self) -> int:
        """How many bands there are."""
        return len(self.named) + self.others

    @cached_property
    def places(self) -> dict[str, int]:
        """The band of each category with one of its own."""
        return {name: place for place, name in enumerate(self.named)}

    def codes(self, cells: Codes, names: Sequence[str], unknown: int) -> NDArray[np.intp]:
        """[rows] the band of each cell, `unknown` for an empty one and a category without.

        Args:
            cells: [rows] places among `names`, -1 where empty.
            names: The cells' different categories.
            unknown: The band of what is not known.
        """
        other = len(self.named) if self.others else unknown
        found = [*(self.places.get(name, other) for name in names), unknown]
        return np.array(found)[cells]

    def name(self, band: int) -> str:
        """The category, in quotes where it could be taken for other words; or the others' name."""
        if band == len(self.named):
            return OTHERS
        name = self.named[band]
        return f"'{name}'" if name in (NOT_KNOWN, OTHERS) or MARKS & set(name) else name


def cut(values: Floats, patients: Patients, most: int) -> Cuts:
    """Cut at the training numbers themselves where they are few, and else at round quantiles.

    No band has fewer patients than may have something in common to be learned.

    Args:
        values: [training rows], NaN where empty.
        patients: Of the rows.
        most: Bands.
    """
    known = np.isfinite(values)
    seen = values[known]
    different = np.unique(seen)
    few, whole = len(different) <= most, bool((seen == np.round(seen)).all())
    found = different[1:] if few else _quantiles(seen, different, most)
    found = np.unique(np.ceil(found)) if whole else found
    kept: list[float] = []
    for each in found.tolist():
        if few and not patients.are_enough(values == each):
            continue  # it is no round number, but somebody's
        below = known & (values < each) & (values >= (kept[-1] if kept else -math.inf))
        if patients.are_enough(below) and patients.are_enough(known & (values >= each)):
            kept.append(each)
    return Cuts(tuple(kept), whole)


def _quantiles(seen: Floats, different: Floats, most: int) -> Floats:
    """Quantiles at numbers as round as a tenth of the spread allows.

    Where the lowest number is a quantile, as 0 often is, it has a band of its own.
    """
    low, high = np.quantile(seen, [0.1, 0.9])
    spread = (high - low) or (different[-1] - different[0])
    digits = -math.floor(math.log10(spread / 10))
    rounded = np.round(np.quantile(seen, np.arange(1, most) / most), digits)
    above = np.round(different[0] + 10.0**-digits, digits)
    found: Floats = np.unique(np.where(rounded > different[0], rounded, above))
    return found


def grouped(
    codes: Codes, names: Sequence[str], known: Sequence[str], rare: bool, most: int
) -> Groups:
    """The most frequent categories by themselves, the others together where they are too many.

    Args:
        codes: [training rows] places among `names`, -1 where empty.
        names: The column's different categories.
        known: Those that enough patients have.
        rare: Whether enough patients have one of the others.
        most: Bands.
    """
    counts = dict(zip(names, np.bincount(codes[codes >= 0], minlength=len(names)), strict=True))
    frequent = sorted(known, key=lambda name: (-counts[name], name))
    if len(frequent) + rare <= most:
        return Groups(tuple(frequent), rare)
    return Groups(tuple(frequent[: most - 1]), True)
