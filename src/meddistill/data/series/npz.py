"""Series and outcomes in one .npz file of arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from meddistill.config.identity import from_call
from meddistill.data.cohort import Cohort
from meddistill.data.npz_file import load_arrays
from meddistill.data.series.array_records import records_of
from meddistill.data.series.arrays import Arrays, array, array_columns, cut_after
from meddistill.data.series.cohorts import cohort_of
from meddistill.data.series.records import NAMES
from meddistill.data.series.static import static_names
from meddistill.data.series.unlabelled import read_unlabelled
from meddistill.data.unlabelled import with_unlabelled
from meddistill.errors import SettingError, UserError, number, optional_number, shown


def series_npz(
    path: str,
    target: str = "y",
    positive: str | int | float | bool | None = None,
    classes: str | Sequence[str] | None = None,
    values: str = "X",
    lengths: str | None = None,
    times: str | None = None,
    variables: str | None = None,
    static: Sequence[str] = (),
    id: str | None = None,
    group: str | None = None,
    part: str | None = None,
    parts: Mapping[str, Any] | None = None,
    step: float = 1.0,
    until: float | None = None,
    unlabelled: str | None = None,
) -> Cohort:
    """Read arrays with a row a patient: series, a diagnosis, and what stands beside them.

    Args:
        path: The .npz file.
        target: Array [rows] of the diagnosis.
        positive: With two classes, the one to find; guessed and said where None.
        classes: Names of the class numbers from 0: an array, or a list of them.
        values: Array [rows, time, variables] of any precision, NaN where a value is missing.
        lengths: Array [rows] of real steps; None is `lengths` if the file has it, else all are.
        times: Array [rows, time] or [time] of each step; None is `times` if the file has it, else
            `step` apart.
        variables: Array of the variables' names; None is `variables` if the file has it.
        static: Arrays [rows] of numbers or categories that stand beside the series.
        id: Array [rows] that names the row.
        group: Array [rows] that says which rows belong together.
        part: Array [rows] by whose cells official parts are chosen.
        parts: Its cells by part: {train: [a], test: [c]}.
        step: Time between steps.
        until: Time of the prediction, after which nothing is read; None reads all.
        unlabelled: An .npz file of further rows, or a long table, for a teacher to answer.

    Raises:
        UserError: The file or its content can't be used; the message says where and how to mend.
    """
    arrays = load_arrays(from_call(path))
    given = _named(arrays, values, lengths=lengths, times=times, variables=variables)
    names = {**NAMES, **given}
    number("data.step", step, above=0)
    optional_number("data.until", until)
    roles = {"target": target, "id": id, "group": group, "part": part}
    beside = static_names(static, roles)
    try:
        records = records_of(arrays, names, dict.fromkeys(beside), step)
        columns = {str(name) for name in roles.values() if name is not None}
        outcomes = array_columns(arrays, columns, len(records))
        outcomes[target] = _class_names(arrays, outcomes[target], target, classes)
        records = cut_after(records, until)
    except SettingError:
        raise
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    cohort = cohort_of(Path(path).name, records, outcomes, roles, positive, parts)
    return with_unlabelled(
        cohort, unlabelled, lambda file: read_unlabelled(file, records.spec, roles)
    )


def _named(arrays: Arrays, values: str, **given: str | None) -> dict[str, str]:
    """Names of the arrays of the series; one that was given must be there.

    Raises:
        SettingError: It is not.
    """
    for key, name in given.items():
        if name is not None and name not in arrays:
            mend = f"no such array; there are {', '.join(map(shown, arrays))}"
            raise SettingError(f"data.{key}", name, mend)
    return {"values": values, **{key: name for key, name in given.items() if name is not None}}


def _class_names(
    arrays: Arrays,
    target: pd.Series[Any],
    key: str,
    classes: str | Sequence[str] | None,
) -> pd.Series[Any]:
    """The target with class numbers exchanged for names."""
    if classes is None:
        return target
    if not isinstance(classes, (str, Sequence)):
        mend = "must be the name of an array, or a list of the classes' names"
        raise SettingError("data.classes", classes, mend)
    listed = array(arrays, classes, "names of classes") if isinstance(classes, str) else classes
    names = [str(name) for name in np.asarray(listed).tolist()]
    wrong = [row for row, cell in enumerate(target.tolist()) if cell not in range(len(names))]
    if wrong:
        raise UserError(
            f"array {shown(key)}, row {wrong[0]}: {shown(target[wrong[0]])} is no number of one of "
            f"the {len(names)} classes, from 0 (data.classes)"
        )
    return target.map(lambda cell: names[int(cell)])
