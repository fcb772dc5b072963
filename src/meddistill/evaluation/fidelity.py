"""How far a student follows its teacher, and where it should not have."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
LEAST = 1e-7


def agreement(student: Numbers, teacher: Numbers) -> float:
    """Share of rows with the same most probable class; [rows, classes] both."""
    return float((student.argmax(axis=1) == teacher.argmax(axis=1)).mean())


def kl_from_teacher(student: Numbers, teacher: Numbers) -> float:
    """Mean KL(teacher || student) in nats, probabilities clipped to 1e-7 from below."""
    p, q = teacher.clip(LEAST), student.clip(LEAST)
    return float((p * np.log(p / q)).sum(axis=1).mean())


def negative_transfer(
    teacher: Numbers, student: Numbers, alone: Numbers, target: NDArray[np.int64]
) -> float:
    """Share of rows where the teacher is wrong, the student gives its answer, and alone was right.

    Args:
        teacher: [rows, classes].
        student: [rows, classes] of the distilled student.
        alone: [rows, classes] of the same student without a teacher.
        target: [rows] class numbers.
    """
    answers = teacher.argmax(axis=1)
    followed = (answers != target) & (student.argmax(axis=1) == answers)
    return float((followed & (alone.argmax(axis=1) == target)).mean())
