"""Series as channels: a value seen last, whether one was observed, how long ago."""

from __future__ import annotations

import json
import logging
from dataclasses import replace

import numpy as np
import pytest
import torch

from made_series import made_arrays, made_records, made_spec
from meddistill.data.series.choices import Channels
from meddistill.data.series.layout import real_steps
from meddistill.data.series.modality import fit_preprocessing, load_preprocessing
from meddistill.data.series.reading import read_records
from meddistill.data.series.records import NAMES
from meddistill.errors import SettingError

HR = 1
"""Place of a variable's channel: 0 is the clock."""


def channels(fitted, records):
    return fitted.front(torch.from_numpy(fitted(records)))


def by_hand(records, fitted):
    """Value, observed and time since of the first variable, cell by cell."""
    low, high, mean, scale = (
        float(getattr(fitted.scales, name)[0]) for name in ("low", "high", "mean", "scale")
    )
    made = np.zeros((len(records), 3, records.block.shape[1]), dtype=np.float64)
    for row, length in enumerate(records.lengths):
        value, latest = 0.0, float(records.times[row, 0])
        for step in range(length):
            cell, time = float(records.values[row, step, 0]), float(records.times[row, step])
            made[row, 2, step] = min(1, (time - latest) / float(fitted.longest_gap[0]))
            if cell == cell:
                value, latest = (min(max(cell, low), high) - mean) * scale, time
                made[row, 1, step] = 1
            made[row, 0, step] = value
    return made


def test_channels_are_those_worked_out_cell_by_cell():
    records = made_records()
    fitted = Channels().fit(records)
    found = channels(fitted, records)
    assert found.shape == (60, *fitted.in_shape) == (60, 3, 8, 1 + 3 + 1 + 2)
    assert found[:, :, :, HR].numpy() == pytest.approx(by_hand(records, fitted), abs=1e-5)


def test_the_clock_tells_real_steps_times_and_strides():
    arrays = made_arrays()
    arrays["times"] = np.tile(np.array([0, 1, 2, 4, 8, 16, 32, 64.0]), (60, 1))
    records = read_records(arrays, made_spec())
    found = channels(Channels().fit(records), records)
    assert torch.equal(real_steps(found), ~torch.from_numpy(records.times).isnan())
    row = int(np.argmax(records.lengths == 8))
    assert found[row, 1, :, 0].tolist() == pytest.approx(
        [0, 1 / 64, 2 / 64, 1 / 16, 1 / 8, 0.25, 0.5, 1]
    )
    assert found[row, 2, 0, 0] == 0
    assert (found[row, 2, 1:, 0].diff() >= 0).all()


def test_static_columns_are_repeated_over_real_steps_and_a_rare_category_has_no_input():
    arrays = made_arrays()
    arrays["unit"][:2] = "rare"
    records = read_records(arrays, made_spec())
    fitted = Channels().fit(records, fewest=5)
    assert fitted.names[-3:] == ["age", "unit=medical", "unit=surgical"]
    found = channels(fitted, records)
    row = 2 + int(np.argmax(records.lengths[2:] < 8))
    length = records.lengths[row]
    assert (found[row, 0, :length, -3:] == found[row, 0, 0, -3:]).all()
    assert (found[row, 0, 0, -2:].sum(), found[0, 0, 0, -2:].sum()) == (1, 0)


def test_a_variable_that_too_few_patients_have_is_not_read():
    records = made_records()
    few, enough = (Channels().fit(records, fewest=n) for n in (5, 3))
    rare = HR + 2
    assert not channels(few, records)[:, :, :, rare].any()
    assert channels(enough, records)[:, 1, :, rare].any()
    group = np.array(["one", "one", *(str(k) for k in range(58))], dtype=object)
    assert not bool(Channels().fit(records, 3, group).scales.known[2])
    with pytest.raises(SettingError, match=r"privacy.fewest=61: is more than there are"):
        Channels().fit(records, fewest=61)


def test_padding_is_never_read():
    arrays, other = made_arrays(), made_arrays()
    for row, length in enumerate(other["lengths"]):
        other["X"][row, length:] = 9999
    fitted = Channels().fit(read_records(arrays, made_spec()))
    one, two = (channels(fitted, fitted.read(each)) for each in (arrays, other))
    assert torch.equal(one, two)
    assert not one[~real_steps(one).unsqueeze(1).expand(-1, 3, -1)].any()
    again = Channels().fit(read_records(other, made_spec()))
    assert torch.equal(again.scales.mean, fitted.scales.mean)


def test_a_value_never_comes_from_a_later_step():
    records = made_records()
    fitted = Channels().fit(records)
    before = channels(fitted, records)
    block = records.block.copy()
    block[:, 2:, 1:4] = 77
    after = channels(fitted, replace(records, block=block))
    assert torch.equal(before[:, :, :2], after[:, :, :2])


def test_impossible_values_are_clipped_before_they_move_mean_and_scale():
    arrays = made_arrays(rows=400)
    clean = Channels(clip=0.01).fit(read_records(arrays, made_spec()))
    arrays["X"] = arrays["X"].astype(np.float32)
    arrays["X"][3, 0, 1] = 735.0
    odd = Channels(clip=0.01).fit(read_records(arrays, made_spec()))
    assert float(odd.scales.high[1]) < 8
    assert float(odd.scales.mean[1]) == pytest.approx(float(clean.scales.mean[1]), abs=0.01)


def test_without_the_mask_nothing_but_values_is_seen():
    records = made_records()
    fitted = Channels(mask=False).fit(records)
    assert fitted.in_shape[0] == 1
    whole = Channels().fit(records)
    assert torch.equal(channels(fitted, records)[:, 0], channels(whole, records)[:, 0])


def test_series_without_gaps_at_even_steps_are_values_alone_and_are_not_copied():
    arrays = {"X": np.arange(24.0).reshape(4, 6, 1), "lengths": np.array([6, 5, 4, 6])}
    spec = made_spec(variables=["sound"], static={}, steps=6)
    records = read_records(arrays, spec)
    fitted = fit_preprocessing(records, 1, None)
    assert fitted.in_shape == (1, 6, 2)
    assert np.shares_memory(fitted(records), records.block)


def test_what_is_made_of_gaps_is_made_once_for_all_splits():
    records = made_records()
    one, other = (Channels().fit(records.take(np.arange(n, n + 30))) for n in (0, 30))
    assert one(records) is other(records)


@pytest.mark.parametrize("changed", [{"age": 999.0}, {"HR": 999.0}])
def test_rows_far_off_those_of_training_and_without_a_value_are_said(caplog, changed):
    records = made_records()
    fitted = Channels().fit(records)
    arrays = made_arrays(rows=4)
    arrays["X"][:, :, 0] = changed.get("HR", 80)
    arrays["X"][2] = np.nan
    with caplog.at_level(logging.WARNING):
        fitted.warn(fitted.read(arrays))
    assert "1 row(s) without any value, first row 2" in caplog.text
    assert ("far off those of training in 'HR'" in caplog.text) == ("HR" in changed)


def test_values_of_a_variable_that_was_not_learned_are_named(caplog):
    fitted = Channels().fit(made_records(), fewest=5)
    fitted.warn(fitted.read(made_arrays(rows=4)))
    assert "values of 'rare' are not read: too few training rows had any" in caplog.text


def test_longer_and_shorter_series_than_in_training_are_answered():
    fitted = Channels().fit(made_records())
    short, long = made_arrays(steps=5), made_arrays(steps=12)
    long["lengths"][:] = 12
    assert channels(fitted, fitted.read(short)).shape == (60, *fitted.in_shape)
    read = fitted.read(long)
    assert read.times[0].tolist() == list(range(4, 12))


def test_what_is_saved_answers_alike_also_for_rows_with_other_categories(tmp_path):
    records = made_records()
    fitted = Channels().fit(records, fewest=5)
    fitted.save(tmp_path / "preprocessing.json")
    assert "rare" not in json.loads((tmp_path / "preprocessing.json").read_text())["statics"]
    loaded = load_preprocessing(tmp_path / "preprocessing.json", records.spec)
    one = {name: each[:1] if len(each) == 60 else each for name, each in made_arrays().items()}
    expected = channels(fitted, records)[:1]
    assert torch.equal(channels(loaded, loaded.read(one)), expected)
    assert torch.equal(channels(loaded, loaded.read(records))[:1], expected)
    assert torch.equal(channels(fitted, fitted.read(one)), expected)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("method", "none"), ("version", 9), ("parts", 2), ("latest", 0), ("stride", "1"),
        ("longest_gap", [1]), ("longest_gap", [1, 2, -3]), ("variables", []), ("statics", {}),
        ("statics", {"numbers": [], "categories": {}}),
    ],
)  # fmt: skip
def test_a_damaged_file_is_said_to_be_so(tmp_path, key, value):
    records = made_records()
    path = tmp_path / "preprocessing.json"
    Channels().fit(records).save(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(ValueError, match=r"preprocessing.json is damaged, or another version's"):
        load_preprocessing(path, records.spec)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("variables", []), ("variables", ["HR", "HR", "pH"]), ("variables", "HR"), ("static", []),
        ("static", {"age": "text", "unit": "category"}), ("steps", 0), ("steps", 10**12),
        ("steps", 8.0), ("step", 0), ("step", "1"), ("until", float("nan")), ("names", {}),
        ("names", dict.fromkeys(NAMES, 3)), ("more", 1),
    ],
)  # fmt: skip
def test_a_damaged_schema_is_said_to_be_so(tmp_path, key, value):
    records = made_records()
    Channels().fit(records).save(tmp_path / "preprocessing.json")
    with pytest.raises(ValueError, match=r"preprocessing.json is damaged, or another version's"):
        load_preprocessing(tmp_path / "preprocessing.json", records.spec | {key: value})


def test_splits_of_one_cohort_read_the_same_parts_though_one_has_no_gap():
    values = np.arange(40.0).reshape(8, 5, 1)
    values[0, 2] = np.nan
    spec = made_spec(variables=["sound"], static={}, steps=5)
    records = read_records({"X": values}, spec)
    whole = records.take(np.arange(1, 8))
    assert not whole.missing
    assert Channels().fit(whole).in_shape == Channels().fit(records).in_shape == (3, 5, 2)


@pytest.mark.parametrize(("key", "value"), [("clip", 0.2), ("clip", -1), ("mask", "no")])
def test_settings_out_of_range_are_refused(key, value):
    with pytest.raises(SettingError, match=f"{key}="):
        Channels(**{key: value})
