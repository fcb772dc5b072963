"""Whom training rows belong to: what too few have in common is not learned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddistill.errors import SettingError, integer


@dataclass(frozen=True)
class Patients:
    """The patients of training rows.

    Attributes:
        number: [rows] of each row's patient, from 0.
        fewest: How many must have something in common for it to be learned.
    """

    number: NDArray[np.int64]
    fewest: int

    @staticmethod
    def of(rows: int, fewest: int, group: NDArray[np.object_] | None) -> Patients:
        """By group, or a patient a row.

        Raises:
            SettingError: There are not that many patients.
        """
        integer("privacy.fewest", fewest, at_least=1)
        number = np.arange(rows)
        if group is not None:
            number = np.unique(group.astype(str), return_inverse=True)[1]
        count = int(number.max(initial=-1)) + 1
        if count < fewest:
            whose = "" if group is None else " groups by data.group"
            raise SettingError(
                "privacy.fewest", fewest, f"is more than there are to train on ({count}{whose}): "
                "nothing could be learned from them",
            )  # fmt: skip
        return Patients(number, fewest)

    def are_enough(self, rows: NDArray[np.bool_]) -> bool:
        """Whether rows [rows] are of enough different patients."""
        return len(np.unique(self.number[rows])) >= self.fewest

    def ends(
        self, lowest: NDArray[Any], highest: NDArray[Any]
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """[columns] the ends of a range that enough patients reach; NaN where too few have any.

        They are the `fewest`-th lowest and highest patient's: no end is a single patient's.

        Args:
            lowest: [rows, columns] each row's lowest number, NaN where it has none.
            highest: [rows, columns] likewise.
        """
        low = np.sort(self.joined(np.fmin, lowest), axis=0)  # NaN is last
        high = np.sort(-self.joined(np.fmax, highest), axis=0)
        return low[self.fewest - 1], -high[self.fewest - 1]

    def joined(self, by: np.ufunc, rows: NDArray[Any]) -> NDArray[Any]:
        """[patients, columns] of rows [rows, columns], those of a patient joined by `by`."""
        order = np.argsort(self.number, kind="stable")
        starts = np.flatnonzero(np.diff(self.number[order], prepend=-1))
        joined: NDArray[Any] = by.reduceat(rows[order], starts, axis=0)
        return joined
