"""What can be said of each class: one against the rest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from meddistill.evaluation.members import evaluate_members
from meddistill.evaluation.operating import confusion_matrix
from meddistill.report.page import Cell, DataTable
from meddistill.report.tables import number

Numbers = NDArray[np.float64]


def classes_table(
    label: str, probabilities: Numbers, target: NDArray[np.int64], classes: Sequence[str], rows: str
) -> DataTable:
    """A model's measures of each class; a row is called the most probable class.

    Args:
        label: The model's name.
        probabilities: [rows, classes].
        target: [rows] class numbers.
        classes: Their names.
        rows: A sentence on which rows these are.
    """
    counts = confusion_matrix(probabilities, target)
    lines: list[list[Cell]] = []
    for place, name in enumerate(classes):
        own, hit = _one_against_rest(probabilities, target, place), counts[place, place]
        count = int(counts[place].sum())
        precision = own["average_precision"] if count else float("nan")
        shown = [own["auroc"], precision, _share(hit, count), _share(hit, counts[:, place].sum())]
        lines.append([name, (f"{count:,}", float(count)), *((number(v), v) for v in shown)])
    columns = ["class", "test rows", "AUROC", "average precision", "sensitivity", "precision"]
    return DataTable(columns, lines, [rows], f"{label}: each class against the rest")


def per_class_auroc(probabilities: Numbers, target: NDArray[np.int64]) -> Numbers:
    """[classes] AUROC of each class against the rest; NaN where it doesn't occur."""
    count = probabilities.shape[1]
    found = [_one_against_rest(probabilities, target, place)["auroc"] for place in range(count)]
    return np.array(found, dtype=np.float64)


def _one_against_rest(
    probabilities: Numbers, target: NDArray[np.int64], place: int
) -> dict[str, float]:
    score = probabilities[:, place]
    pair = np.stack([1 - score, score], axis=1)[None]
    found = evaluate_members(pair, (target == place).astype(np.int64))
    return {name: float(values[0]) for name, values in found.items()}


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
