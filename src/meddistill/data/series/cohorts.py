"""Records and a table of their outcomes as a cohort; what is odd about the series is said."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from meddistill.data import copies
from meddistill.data.cohort import Cohort
from meddistill.data.series.records import SeriesRecords
from meddistill.data.split import PARTS
from meddistill.data.tables.cells import spelling_of
from meddistill.data.tables.labels import coded, read_groups, read_ids
from meddistill.data.tables.missing import DEFAULT, Missing
from meddistill.errors import SettingError, listed

FAR, MIDDLE = 10, 0.001
"""A value is impossible from as many widths beyond all but a thousandth of them at each end."""


def cohort_of(
    name: str,
    records: SeriesRecords,
    outcomes: pd.DataFrame,
    roles: Mapping[str, str | None],
    positive: Any,
    parts: Mapping[str, Any] | None = None,
    notes: Sequence[str] = (),
) -> Cohort:
    """Records with the outcome of each row.

    Args:
        name: What the cohort is called.
        records: The rows.
        outcomes: [rows] raw cells; its index names the rows in messages.
        roles: Columns of `outcomes` by role: `target`, `id`, `group`, `part`; None is none.
        positive: With two classes, the one to find; guessed and said where None.
        parts: Cells of the column `part` by the part they mean.
        notes: What was found in reading.

    Raises:
        UserError: A label is missing, an id stands twice, a part is unknown, and the like.
    """
    target, gone = str(roles["target"]), Missing(DEFAULT)
    classified, classes, of_labels = coded(outcomes, target, positive, gone)
    group, of_groups = read_groups(outcomes, roles["group"], gone)
    found = _parts(outcomes, roles["part"], parts)
    said = [*notes, *of_labels, *_oddities(records), *of_groups]
    said += copies.found(records.hashes(), classified, found, group)
    return Cohort(
        name=name,
        records=records,
        target=classified,
        classes=classes,
        row=read_ids(outcomes, roles["id"]),
        has_ids=roles["id"] is not None,
        notes=tuple(said),
        group=group,
        parts=found,
    )


def _parts(
    outcomes: pd.DataFrame, column: str | None, parts: Mapping[str, Any] | None
) -> NDArray[np.object_] | None:
    """[rows] the official part of each.

    Raises:
        SettingError: A part is none, a cell is in two parts, or a row in none.
    """
    if column is None or parts is None:
        if column is not None or parts is not None:
            key, other = ("part", "parts") if parts is None else ("parts", "part")
            raise SettingError(f"data.{key}", column or parts, f"needs data.{other} beside it")
        return None
    if not isinstance(parts, Mapping):
        raise SettingError("data.parts", parts, "must be a mapping: {train: [a], test: [c]}")
    wrong = [name for name in parts if name not in PARTS]
    if wrong:
        raise SettingError("data.parts", wrong[0], f"is none of {list(PARTS)}")
    meant: dict[str, str] = {}
    for part, cells in parts.items():
        for cell in cells if isinstance(cells, (list, tuple)) else [cells]:
            if meant.setdefault(str(spelling_of(cell)), part) != part:
                raise SettingError("data.parts", dict(parts), f"has {cell} in two parts")
    spelled = [str(spelling_of(cell)) for cell in outcomes[column].tolist()]
    unknown = sorted(set(spelled) - meant.keys())
    if unknown:
        mend = f"says nothing of {listed(unknown)}, which data.part={column} has too"
        raise SettingError("data.parts", dict(parts), mend)
    return np.array([meant[cell] for cell in spelled], dtype=object)


def _oddities(records: SeriesRecords) -> Iterator[str]:
    empty = int(np.isnan(records.values).all(axis=(1, 2)).sum())
    if empty:
        yield (
            f"{empty} row(s) without any value are kept: somebody was there whom nobody measured, "
            "and such patients will come again"
        )
    far = dict(_impossible(records))
    if far:
        named = ", ".join(f"{name} ({value:g})" for name, value in list(far.items())[:5])
        more = f" and {len(far) - 5} more" if len(far) > 5 else ""
        yield (
            f"values far off all others in {named}{more}: cut off at quantiles of training rows "
            "(preprocessing.clip)"
        )


def _impossible(records: SeriesRecords) -> Iterator[tuple[str, float]]:
    """Variables with a value far beyond nearly all others, and the furthest."""
    for place, name in enumerate(records.variables):
        column = records.values[:, :, place]
        known = column[~np.isnan(column)]
        if not len(known):
            continue
        low, middle, high = np.quantile(known, [MIDDLE, 0.5, 1 - MIDDLE])
        away = FAR * max(float(high - low), 1e-6 * abs(float(middle)), 1e-12)
        furthest = float(known[np.argmax(np.abs(known - middle))])
        if not low - away <= furthest <= high + away:
            yield name, furthest
