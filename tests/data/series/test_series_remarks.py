"""What is odd about new series is said by name; a model holds no single patient's extremes."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch

from made_series import as_long, made_arrays, made_records, made_spec
from meddistill.data.patients import Patients
from meddistill.data.series.choices import Channels, Summary
from meddistill.data.series.modality import load_preprocessing
from meddistill.data.series.reading import read_records
from meddistill.data.series.summary import STATISTICS

BOTH = pytest.mark.parametrize("choice", [Channels(), Summary()], ids=["channels", "summary"])


def saved(fitted, folder):
    fitted.save(folder / "preprocessing.json")
    return load_preprocessing(folder / "preprocessing.json", fitted.spec)


def said(fitted, raw, caplog):
    caplog.clear()
    fitted.warn(fitted.read(raw))
    return caplog.text


@BOTH
def test_nothing_is_said_of_rows_like_those_of_training(choice, caplog, tmp_path):
    fitted = saved(choice.fit(made_records(), fewest=3), tmp_path)
    arrays = made_arrays()
    arrays["X"][34, 0, 0] = 80  # nobody measured anything in this row
    assert said(fitted, arrays, caplog) == ""


@BOTH
@pytest.mark.parametrize("factor", [24, 60, 1 / 365])
def test_times_in_another_unit_than_in_training_are_said(choice, factor, caplog, tmp_path):
    fitted = saved(choice.fit(made_records(), fewest=3), tmp_path)
    long, static = as_long(made_arrays())
    other = long.assign(time=long["time"] * factor)
    assert "is the unit" in said(fitted, (other, static), caplog)
    spaced = made_arrays() | {"times": np.arange(8.0) * factor}
    assert "0 to 7, 1 apart there (is the unit right?)" in said(fitted, spaced, caplog)


@BOTH
def test_times_of_which_the_prediction_time_cuts_off_nearly_all_are_said(choice, caplog):
    long, static = as_long(made_arrays())
    visits = long.assign(time=long["time"] * 30)
    fitted = choice.fit(read_records((visits, static), made_spec(step=None, until=150)), fewest=3)
    hours = visits.assign(time=visits["time"] * 24)
    text = said(fitted, (hours, static), caplog)
    assert "60 of 60 row(s) have a single step, and 0% had in training" in text
    assert f"{(hours['time'] > 150).sum()} step(s) later than 150 (data.until) are not" in text


def test_a_patient_at_the_first_visit_is_not_odd_where_training_had_such(caplog):
    arrays = made_arrays()
    arrays["lengths"][:20] = 1
    arrays["X"][:, 0, :] = [80, 7.4, 1]
    fitted = Channels().fit(read_records(arrays, made_spec()), fewest=3)
    first = {name: each if name == "variables" else each[:1] for name, each in arrays.items()}
    assert said(fitted, first, caplog) == ""


@BOTH
def test_series_without_static_columns_are_looked_at_alike(choice, caplog):
    fitted = choice.fit(read_records(made_arrays(), made_spec(static={})), fewest=3)
    arrays = made_arrays()
    arrays["X"][:, :, 0] = 9999
    assert "far off those of training in 'HR'" in said(fitted, arrays, caplog)


def test_times_far_from_those_of_training_are_said_also_at_the_same_pace(caplog):
    fitted = Channels().fit(made_records(), fewest=3)
    moved = made_arrays() | {"times": 5000 + np.arange(8.0)}
    assert "5000 to 5007, 1 apart here" in said(fitted, moved, caplog)


@BOTH
def test_a_variable_of_training_that_no_new_row_has_is_named(choice, caplog):
    fitted = choice.fit(made_records(), fewest=3)
    long, static = as_long(made_arrays())
    assert "no row has a value of 'pH': answered" in said(
        fitted, (long[long["variable"] != "pH"], static), caplog
    )
    empty = made_arrays()
    empty["X"][:, :, 1] = np.nan
    assert "no row has a value of 'pH': answered" in said(fitted, empty, caplog)


@BOTH
def test_static_columns_far_off_training_and_unknown_categories_are_named(choice, caplog, tmp_path):
    fitted = saved(choice.fit(made_records(), fewest=3), tmp_path)
    arrays = made_arrays()
    arrays["age"] *= 365
    assert "values far off those of training in 'age'" in said(fitted, arrays, caplog)
    arrays["unit"][4:] = "burns"
    assert "static column 'unit': categories that the model has no input for" in said(
        fitted, arrays, caplog
    )
    assert "'burns'" in caplog.text
    assert "medical" not in caplog.text


def numbers_in(plain):
    """Ends, gaps and times; means and spreads are of all patients."""
    if isinstance(plain, dict):
        kept = [each for key, each in plain.items() if key not in ("mean", "scale")]
        return [number for each in kept for number in numbers_in(each)]
    if isinstance(plain, list):
        return [number for each in plain for number in numbers_in(each)]
    return [plain] if isinstance(plain, float) else []


@pytest.mark.parametrize(
    "choice", [Channels(), Summary(statistics=STATISTICS)], ids=["channels", "summary"]
)
def test_no_extreme_of_fewer_patients_than_privacy_asks_for_is_in_a_models_folder(choice):
    few, fewest = 4, 5
    for sign in (1, -1):
        arrays = made_arrays()
        arrays["times"] = np.tile(np.arange(8.0), (60, 1))
        arrays["X"] = arrays["X"].astype(np.float32)
        arrays["X"][:few, :, :2] = sign * 5555.0
        arrays["X"][:few, 1:7, :2] = np.nan
        arrays["age"][:few] = sign * 777.0
        arrays["lengths"][:few] = 8
        arrays["times"][:few] = 10 * sign * 9999.0 + np.arange(8) * 900.0
        records = read_records(arrays, made_spec())
        plain = json.loads(json.dumps(choice.fit(records, fewest).as_plain()))
        assert max(map(abs, numbers_in(plain))) < 150
        group = np.array(["one"] * 20 + [str(k) for k in range(40)], dtype=object)
        plain = choice.fit(records, 2, group).as_plain()
        assert max(map(abs, numbers_in(plain))) < 150
        assert max(map(abs, numbers_in(choice.fit(records, few).as_plain()))) > 700


def test_ends_are_those_that_enough_patients_reach():
    values = np.arange(40.0).reshape(20, 2)
    values[:, 1] = np.nan
    values[:3, 1] = [7, 8, 9]
    low, high = Patients(np.arange(20), 3).ends(values, values)
    assert (low.tolist(), high.tolist()) == ([4, 9], [34, 7])
    low, high = Patients(np.arange(20) // 2, 4).ends(values, values)
    assert (low[0], high[0]) == (12, 26)
    assert np.isnan([low[1], high[1]]).all()


def test_ends_of_so_few_patients_that_they_cross_are_the_median(tmp_path):
    arrays = {"X": np.arange(30.0).reshape(6, 5, 1), "times": np.arange(30.0).reshape(6, 5)}
    spec = made_spec(variables=["HR"], static={}, steps=5)
    fitted = saved(Channels().fit(read_records(arrays, spec), fewest=5), tmp_path)
    for ends in (fitted.scales.low, fitted.scales.high, fitted.scales.mean):
        assert float(ends[0]) in (14, 15)
    assert fitted.pace.earliest == fitted.pace.latest == 14.5
    assert bool(fitted.scales.known[0])


PACE = {"earliest": 0.0, "latest": 1.0, "single": 0.0, "stride": 1.0}


@pytest.mark.parametrize(
    "pace", [None, {}, {"earliest": 0.0}, PACE | {"latest": -1.0}, PACE | {"stride": -1.0}]
)
def test_a_damaged_pace_is_said_to_be_so(pace, tmp_path):
    fitted = Channels().fit(made_records())
    path = tmp_path / "preprocessing.json"
    fitted.save(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"pace": pace}))
    with pytest.raises(ValueError, match=r"preprocessing.json is damaged"):
        load_preprocessing(path, fitted.spec)


def test_a_model_of_dates_is_opened_and_answers_dates(tmp_path):
    long, static = as_long(made_arrays())
    dated = long.assign(time=pd.Timestamp("2020-01-01") + pd.to_timedelta(long["time"], unit="h"))
    fitted = Channels().fit(read_records((dated, static), made_spec(time_kind="date")))
    loaded = saved(fitted, tmp_path)
    assert loaded.read(loaded.probe()).time_kind == "date"
    one, other = (torch.from_numpy(each(each.read((dated, static)))) for each in (fitted, loaded))
    assert torch.equal(fitted.front(one), loaded.front(other))
