"""One temperature for a teacher's answers, fitted on rows that it was not fitted on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from meddistill.errors import SettingError
from meddistill.evaluation.calibration import fit_temperature

CALIBRATIONS = ("none", "temperature")


def calibration(value: str | None, default: str) -> str:
    """`value`, or what is usual for this kind of teacher; a `SettingError` otherwise."""
    chosen = default if value is None else value
    if chosen not in CALIBRATIONS:
        mend = f"must be null (usual for the teacher) or one of {', '.join(CALIBRATIONS)}"
        raise SettingError("calibrate", value, mend)
    return chosen


def temperature_of(
    how: str, log_probabilities: NDArray[np.float64], target: NDArray[np.int64]
) -> float:
    """The temperature of [rows, classes] answers, of lowest log loss; 1 without calibration."""
    return fit_temperature(log_probabilities, target) if how == "temperature" else 1.0
