"""Whom training rows belong to: what too few have in common is not learned."""

from __future__ import annotations

from dataclasses import dataclass

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
