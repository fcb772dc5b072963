"""Series in a figure: signals with their missing cells."""

from __future__ import annotations

import numpy as np
import pytest

from made_series import made_spec
from meddistill.data.series.reading import read_records
from meddistill.report.series_plot import series_plot


def test_few_variables_are_lines_that_break_where_a_value_is_missing():
    whole = {"X": np.arange(10.0).reshape(1, 10, 1)}
    spec = made_spec(variables=["sound"], static={}, steps=10)
    broken = {"X": whole["X"].copy()}
    broken["X"][0, 4:6] = np.nan
    one, two = (series_plot("signal", read_records(each, spec), ["a"]) for each in (whole, broken))
    assert "sound" in one
    assert one != two


@pytest.mark.parametrize("variables", [2, 5])
def test_titles_stand_above_each_row_whatever_they_hold(variables):
    names = [f"v{k}" for k in range(variables)]
    values = np.random.default_rng(0).normal(size=(2, 4, variables))
    values[0, :, 0] = np.nan
    spec = made_spec(variables=names, static={}, steps=4)
    said = "row 2: ill; teacher: 0.12; distilled student: 0.03"
    drawn = series_plot("signals", read_records({"X": values}, spec), ["<b>$x$", said])
    assert "&lt;b&gt;$x$" in drawn
    assert said in drawn
    assert all(name in drawn for name in names)


def test_padding_is_not_drawn():
    spec = made_spec(variables=["sound"], static={}, steps=5)
    short = np.arange(5.0).reshape(1, 5, 1)
    long = {"X": np.pad(short, ((0, 0), (0, 4), (0, 0))), "lengths": np.array([5])}
    one, other = (read_records(each, spec) for each in ({"X": short}, long))
    assert series_plot("signal", one, ["a"]) == series_plot("signal", other, ["a"])
