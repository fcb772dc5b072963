"""Labels of pictures that no table holds, by the rules for those in tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from meddistill.data.tables.labels import Coded, coded
from meddistill.data.tables.missing import DEFAULT, Missing
from meddistill.errors import SettingError, UserError, shown


def coded_names(names: Sequence[str], where: str, positive: object) -> Coded:
    """The classes of labels that stand elsewhere.

    Args:
        names: [rows] labels.
        where: They stand, for messages.
        positive: The class to find, or None.

    Raises:
        UserError: As for `coded`.
    """
    frame = pd.DataFrame({"label": list(names)}, dtype=object)
    try:
        return coded(frame, "label", positive, Missing(DEFAULT))
    except SettingError as error:
        if error.key != "data.target":
            raise
        raise UserError(f"{where}: {error.mend}") from error


def label_names(values: NDArray[Any], where: str, classes: Sequence[str] | None) -> list[str]:
    """[rows] The name of each label of an array [rows] or [rows, 1].

    Args:
        values: Class numbers from 0, or names.
        where: They stand, for messages.
        classes: Names of the numbers; None leaves the numbers.

    Raises:
        UserError: There are several labels a row, or one is no class.
    """
    if values.ndim == 2 and values.shape[1] > 1:
        raise UserError(
            f"{where}: has {values.shape[1]} labels a row (several diagnoses at once, or one-hot): "
            "pictures need one label each, a number from 0"
        )
    flat = values.reshape(-1)
    if flat.dtype.kind in "SU":
        if classes is not None:
            mend = f"{where} holds names already: leave it out"
            raise SettingError("data.classes", list(classes), mend)
        return [str(name) for name in flat.astype(str)]
    if flat.dtype.kind not in "biuf":
        raise UserError(f"{where}: holds {flat.dtype} in place of class numbers")
    return [_name(row, value, where, classes) for row, value in enumerate(flat.tolist())]


def _name(row: int, value: float, where: str, classes: Sequence[str] | None) -> str:
    if value != value or value != int(value) or value < 0:
        raise UserError(f"{where}, row {row}: {value:g} is no class number (0, 1, 2, ...)")
    if classes is None:
        return str(int(value))
    if value >= len(classes):
        raise UserError(
            f"{where}, row {row}: class {int(value)} has no name: data.classes has {len(classes)}, "
            "the first for class 0"
        )
    return classes[int(value)]


def text_of(values: NDArray[Any], where: str, rows: int) -> NDArray[np.object_]:
    """[rows] an array [rows] or [rows, 1] as text.

    Raises:
        UserError: It has another shape.
    """
    if values.shape not in ((rows,), (rows, 1)):
        raise UserError(f"{where}: must be one value for each of {rows} pictures")
    return np.array([str(cell) for cell in values.reshape(-1).tolist()], dtype=object)


def check_different(ids: NDArray[np.object_], where: str) -> None:
    """Refuse a name that several pictures have.

    Raises:
        UserError: It names it.
    """
    names, counts = np.unique(ids.astype(str), return_counts=True)
    if (counts > 1).any():
        twice = names[np.argmax(counts > 1)]
        raise UserError(f"{where}: {shown(twice)} is there more than once: a name is one picture's")


def read_classes(classes: Sequence[str] | None) -> list[str] | None:
    """Names of class numbers, each another.

    Raises:
        SettingError: They are no list of different names.
    """
    if classes is None:
        return None
    if isinstance(classes, str) or not isinstance(classes, Sequence):
        raise SettingError("data.classes", classes, "must be a list, as [healthy,sick]")
    names = [str(name).strip() for name in classes]
    if len(names) < 2 or "" in names or len(set(names)) < len(names):
        raise SettingError("data.classes", names, "must be two or more different names")
    return names
