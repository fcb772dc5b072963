"""A sweep's surface: every setting averaged over seeds and splits, with what can't be told apart.

The winner of a sweep was chosen for its score, which is therefore too good to expect again. The
surface says which settings the data can't tell from it, and `Surface.choice` what choosing gives.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from meddistill.evaluation.choice import ALONE, Choice, choose
from meddistill.evaluation.resampling import (
    LEVEL,
    Numbers,
    differences,
    holm,
    moments,
    paired_p,
    rows_ratio,
    standard_errors,
)
from meddistill.measures import lower_is_better

SPLIT = "data.split_seed"
REPLICATES = ("seed", SPLIT, "teacher.seed", "init.seed")
"""Axes to average over; every other axis makes a setting."""
FACTS = ("job", "folder", "member", "status", "error", "score", "epochs", "seconds", "classes",
         "positive", "name", "parameters")  # fmt: skip
"""Columns about a student that nobody sets."""
FROM_METRICS = ("monitor", "threshold")
"""Settings that every finished student reports and no failed one does."""
MEASURES = ("auroc", "accuracy", "log_loss", "calibration_error")
COLUMNS = [f"test/{name}" for name in MEASURES]


@dataclass(frozen=True)
class Surface:
    """A sweep's settings.

    Args:
        monitor: The validation measure that is averaged.
        settings: Axes that make a setting.
        replicates: Axes that are averaged over.
        table: A line a setting, best mean validation score first: `name`, the axes, `students`,
            `repeats` (splits or seeds behind the mean), `score`, `standard_error`, `p` (of its
            difference to the best, after Holm), mean test measures, `not_told_from_best`. Settings
            that lack repeats come last: their mean is of other patients than the best one's.
        splits: Splits of the patients.
        seeds: Most students that a setting has in one split.
        repeats_of: The axis that the standard error is over; None without repeats.
        ratio: Test rows over training rows; NaN where the sweep doesn't say.
        choice: Choose on validation, look at test.
    """

    monitor: str
    settings: tuple[str, ...]
    replicates: tuple[str, ...]
    table: pd.DataFrame
    splits: int
    seeds: int
    repeats_of: str | None
    ratio: float
    choice: Choice


def find_axes(frame: pd.DataFrame) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Columns that differ between students, as settings and as replicates."""
    done = finished(frame)
    axes = [
        str(name)
        for name in frame.columns
        if "/" not in name
        and name not in FACTS
        and (done if name in FROM_METRICS else frame)[name].nunique(dropna=False) > 1
    ]
    settings = tuple(name for name in axes if name not in REPLICATES)
    return settings, tuple(name for name in axes if name in REPLICATES)


def finished(frame: pd.DataFrame) -> pd.DataFrame:
    """Students that completed."""
    return frame[frame["status"] == "completed"]


def scores(frame: pd.DataFrame) -> tuple[str, pd.Series[float]]:
    """One validation measure for all finished students: the monitor, or the one most used."""
    done = finished(frame)
    monitor = str(done["monitor"].mode().iloc[0])
    column = "score" if done["monitor"].nunique() == 1 else monitor
    return monitor, pd.to_numeric(done[column])


def surface(frame: pd.DataFrame) -> Surface:
    """Average a sweep over its replicates.

    Args:
        frame: Of `sweep.csv`, a row a student; at least one with a validation score.
    """
    settings, replicates = find_axes(frame)
    monitor, score = scores(frame)
    done = finished(frame)[score.notna()]
    if done.empty:
        raise ValueError("No student of this sweep finished with a validation score.")
    students = _students(done, settings, score)
    repeats_of = SPLIT if students["split"].nunique() > 1 else _repeats_of(done)
    students["repeat"] = students["split"]
    if repeats_of not in (None, SPLIT):
        students["repeat"] = done[repeats_of]
    sign = -1.0 if lower_is_better(monitor) else 1.0
    ratio = rows_ratio(done)
    table = _settings_table(done, settings, students)
    table = table.join(_averages(students, sign, ratio if repeats_of == SPLIT else 0.0))
    by_split = students.assign(merit=sign * students["score"]).groupby(["setting", "split"])
    lacks = table["repeats"] < table["repeats"].max()
    order = np.lexsort((-sign * table["score"], lacks))
    return Surface(
        monitor=monitor,
        settings=settings,
        replicates=replicates,
        table=table.iloc[order],
        splits=int(students["split"].nunique()),
        seeds=int(by_split.size().max()),
        repeats_of=repeats_of,
        ratio=ratio,
        choice=choose(by_split[["merit", *COLUMNS]].mean(), table["name"] == ALONE, ratio),
    )


def _students(done: pd.DataFrame, axes: tuple[str, ...], score: pd.Series[float]) -> pd.DataFrame:
    """A line a student: the numbers of its setting and split, its score and test measures."""
    students = done.reindex(columns=COLUMNS).astype(np.float64)
    students["score"] = score
    students["setting"] = 0
    if axes:
        students["setting"] = done.groupby(list(axes), dropna=False, sort=False).ngroup()
    students["split"] = done[SPLIT].factorize(use_na_sentinel=False)[0] if SPLIT in done else 0
    return students


def _repeats_of(done: pd.DataFrame) -> str | None:
    """On one split: teachers before seeds, which spread less, and these before a start's alone.

    An axis that some students lack (a student alone has no teacher) can't pair all of them.
    """
    for axis in ("teacher.seed", "seed", "init.seed"):
        if axis in done and done[axis].nunique() > 1 and done[axis].notna().all():
            return axis
    return None


def _settings_table(
    done: pd.DataFrame, axes: tuple[str, ...], students: pd.DataFrame
) -> pd.DataFrame:
    """Name, axes and number of students of each setting."""
    first = ~students["setting"].duplicated()
    table = done.loc[first, ["name", *axes]].set_axis(students.loc[first, "setting"])
    return table.assign(students=students["setting"].value_counts())


def _averages(students: pd.DataFrame, sign: float, ratio: float) -> pd.DataFrame:
    """Means over repeats, seeds within a split averaged first, and comparisons with the best."""
    means = students.groupby(["setting", "repeat"])[["score", *COLUMNS]].mean()
    wide = means["score"].unstack("repeat")
    values = wide.to_numpy(np.float64)
    count, mean, _ = moments(values)
    best = int(np.argmax(np.where(count == count.max(), sign * mean, -np.inf)))
    p, told = _against(values, best, sign, ratio)
    return pd.DataFrame(
        {
            "repeats": count.astype(int),
            "score": mean,
            "standard_error": standard_errors(values, ratio),
            "p": p,
            **means[COLUMNS].groupby(level="setting").mean(),
            "not_told_from_best": ~told,
        },
        index=wide.index,
    )


def _against(
    values: Numbers, best: int, sign: float, ratio: float
) -> tuple[Numbers, NDArray[np.bool_]]:
    """Each setting's adjusted p of its difference to the best, and whether it is told from it.

    Differences are over common repeats. The best has no p of its own. It was picked by the very
    scores it is compared by, so the test errs to the side of telling settings apart.
    """
    gaps = sign * differences(values[best], values)
    p = paired_p(gaps, ratio)
    p[best] = np.nan
    adjusted = holm(p)
    return adjusted, (adjusted <= LEVEL) & (moments(gaps)[1] > 0)
