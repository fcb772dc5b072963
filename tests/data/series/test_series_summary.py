"""Series as a vector: each variable's statistics over observed steps, as worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from made_series import made_arrays, made_records, made_spec
from meddistill.data.series.choices import Summary
from meddistill.data.series.modality import load_preprocessing
from meddistill.data.series.reading import read_records
from meddistill.data.series.summary import STATISTICS
from meddistill.errors import SettingError


def unscaled(fitted, records, name):
    """[rows] a feature as it was before it was centred and scaled; NaN where it is the mean."""
    place = fitted.names.index(name)
    inputs = fitted(records)[:, place]
    back = inputs / float(fitted.features.scale[place]) + float(fitted.features.mean[place])
    return np.where(inputs == 0, np.nan, back)


def test_statistics_are_those_of_the_observed_cells():
    records = made_records()
    fitted = Summary(clip=0.0, statistics=STATISTICS).fit(records)
    mean, scale = float(fitted.scales.mean[0]), float(fitted.scales.scale[0])
    assert fitted.in_shape == (len(STATISTICS) * 3 + 3,)
    found = {name: unscaled(fitted, records, f"HR ({name})") for name in STATISTICS}
    for row in range(10):
        cells = (records.values[row, :, 0].astype(np.float64) - mean) * scale
        times = records.times[row][~np.isnan(cells)]
        cells = cells[~np.isnan(cells)]
        if len(cells) < 2:
            continue
        expected = {
            "mean": cells.mean(), "min": cells.min(), "max": cells.max(), "first": cells[0],
            "last": cells[-1], "slope": np.polyfit(times, cells, 1)[0],
            "observed": len(cells) / records.lengths[row],
        }  # fmt: skip
        for name, value in expected.items():
            assert found[name][row] == pytest.approx(value, abs=1e-4)


def test_what_nobody_measured_is_the_mean_and_padding_is_never_read():
    arrays, other = made_arrays(), made_arrays()
    arrays["X"][4] = other["X"][4] = np.nan
    for row, length in enumerate(other["lengths"]):
        other["X"][row, length:] = 9999
    fitted = Summary().fit(read_records(arrays, made_spec()))
    one, two = (fitted(fitted.read(each)) for each in (arrays, other))
    assert np.array_equal(one, two)
    assert np.isfinite(one).all()
    places = [fitted.names.index(f"HR ({name})") for name in ("mean", "min", "max", "last")]
    assert not one[4, places].any()


def test_statistics_are_learned_from_training_rows_alone():
    records = made_records()
    arrays = made_arrays()
    arrays["X"][50:] = 500
    poisoned = read_records(arrays, made_spec())
    one, two = (Summary().fit(each.take(np.arange(40))) for each in (records, poisoned))
    assert torch.equal(one.features.mean, two.features.mean)
    assert torch.equal(one.scales.high, two.scales.high)


def test_what_is_saved_answers_alike(tmp_path):
    records = made_records()
    fitted = Summary(statistics=["mean", "slope"]).fit(records, fewest=5)
    fitted.save(tmp_path / "preprocessing.json")
    loaded = load_preprocessing(tmp_path / "preprocessing.json", records.spec)
    assert loaded.names == fitted.names
    assert np.array_equal(loaded(loaded.read(made_arrays())), fitted(records))


@pytest.mark.parametrize("statistics", [[], ["median"], ["mean", "mean"]])
def test_statistics_that_are_none_are_refused(statistics):
    with pytest.raises(SettingError, match=r"statistics=.*must be of"):
        Summary(statistics=statistics)
