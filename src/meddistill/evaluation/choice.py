"""Choose on validation, look at test: what to expect of a setting that a sweep chose.

The best of many settings owes part of its score to luck, so its own score is no estimate of what
it gives on other patients (the winner's curse; Cawley and Talbot 2010, JMLR 11, 2079-2107). Here
every split makes its own choice from its validation rows alone, and the chosen setting counts with
the test rows of that split, which had no say in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from meddistill.evaluation.resampling import Estimate, differences, estimate
from meddistill.measures import largest_difference

ALONE = "student alone"
Line = Mapping[str, Estimate]
"""A measure's name and its estimate."""


@dataclass(frozen=True)
class Choice:
    """Test measures of choosing, and of its alternatives, over the same splits.

    Args:
        chosen: The setting with the best validation score of each split.
        anything: The mean over all settings: what one taken blindly gives.
        distilled: The best on validation of those that are no student alone, where both are.
        alone: The student alone; the best on validation where it has several settings.
        chosen_minus_alone: Paired by split.
        distilled_minus_alone: Paired by split.
        taken: The setting each split chose: a number of the surface's table.
        alone_taken: Splits whose choice was a student alone.
        alone_settings: Settings of the student alone.
    """

    chosen: Line
    anything: Line
    distilled: Line | None
    alone: Line | None
    chosen_minus_alone: Line | None
    distilled_minus_alone: Line | None
    taken: tuple[int, ...]
    alone_taken: int
    alone_settings: int


def choose(means: pd.DataFrame, alone: pd.Series[bool], ratio: float) -> Choice:
    """Choose in every split.

    Args:
        means: A line a setting and split (the index), seeds averaged: `merit`, the validation
            score turned so that higher is better, and the test measures.
        alone: Whether a setting (the index) is a student alone.
        ratio: Test rows over training rows.
    """
    taken = _best(means, alone.index)
    chosen = _at_test(means, taken)
    distilled = reference = None
    if alone.any() and not alone.all():
        distilled = _at_test(means, _best(means, alone.index[~alone]))
        reference = _at_test(means, _best(means, alone.index[alone]))
    return Choice(
        chosen=_line(chosen, ratio),
        anything=_line(means.drop(columns="merit").groupby(level="split").mean(), ratio),
        distilled=None if distilled is None else _line(distilled, ratio),
        alone=None if reference is None else _line(reference, ratio),
        chosen_minus_alone=_minus(chosen, reference, ratio),
        distilled_minus_alone=_minus(distilled, reference, ratio),
        taken=tuple(int(setting) for setting in taken),
        alone_taken=int(alone[taken].sum()),
        alone_settings=int(alone.sum()),
    )


def _best(means: pd.DataFrame, candidates: pd.Index[int]) -> pd.Series[int]:
    """The candidate with the highest merit in each split; the first of equals."""
    merit = means["merit"].unstack("split").loc[candidates].dropna(axis="columns", how="all")
    return merit.idxmax()


def _at_test(means: pd.DataFrame, taken: pd.Series[int]) -> pd.DataFrame:
    """Test measures of the setting taken, a line a split."""
    pairs = pd.MultiIndex.from_arrays([taken, taken.index], names=["setting", "split"])
    return means.drop(columns="merit").loc[pairs].droplevel("setting")


def _line(by_split: pd.DataFrame, ratio: float) -> Line:
    return {
        str(name): estimate(values.to_numpy(np.float64), ratio, largest_difference(str(name)))
        for name, values in by_split.items()
    }


def _minus(one: pd.DataFrame | None, other: pd.DataFrame | None, ratio: float) -> Line | None:
    """Paired differences over the splits that both have."""
    if one is None or other is None:
        return None
    both = one.index.intersection(other.index)
    if both.empty:
        return None
    gap = differences(one.loc[both].to_numpy(np.float64), other.loc[both].to_numpy(np.float64))
    return _line(pd.DataFrame(gap, index=both, columns=one.columns), ratio)
