"""Pixels are scaled by training pictures alone, once, on whatever device."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
import torch
from PIL import Image

from made_pictures import pictures
from meddistill.data.images.format import Format
from meddistill.data.images.modality import fit_preprocessing, load_preprocessing
from meddistill.data.images.preprocessing import Flat, PixelPreprocessing
from meddistill.data.images.records import ImageRecords
from meddistill.errors import SettingError, UserError

COLOURS = np.ascontiguousarray(pictures(20, channels=3)[0].transpose(0, 3, 1, 2))
COLOURS[:, 1] //= 2


@pytest.fixture
def records():
    return ImageRecords.of(COLOURS)


@pytest.fixture
def fitted(records):
    return fit_preprocessing(records, 5, None)


def test_each_channel_of_the_training_pixels_has_mean_0_and_spread_1(records, fitted):
    inputs = fitted.front(torch.from_numpy(fitted(records)))
    assert inputs.dtype == torch.float32
    assert inputs.shape == (20, 3, 12, 12) == (20, *fitted.in_shape)
    assert torch.allclose(inputs.mean((0, 2, 3)), torch.zeros(3), atol=1e-5)
    assert torch.allclose(inputs.std((0, 2, 3), correction=0), torch.ones(3), atol=1e-5)


def test_rows_in_memory_are_the_records_own_bytes(records, fitted):
    assert fitted(records) is records.pixels
    assert fitted(records).dtype == np.uint8


def test_bytes_are_scaled_once_and_shades_are_not_divided_again(fitted):
    of_bytes = fitted.front(torch.from_numpy(COLOURS))
    assert torch.equal(of_bytes, fitted.front(torch.from_numpy(COLOURS).float() / 255))


def test_members_may_stand_before_the_rows(fitted):
    inputs = torch.from_numpy(COLOURS)
    assert torch.equal(
        fitted.front(inputs[None].expand(2, -1, -1, -1, -1))[1], fitted.front(inputs)
    )


def test_inputs_stay_as_they_were(fitted):
    shades = torch.from_numpy(COLOURS).float() / 255
    before = shades.clone()
    fitted.front(shades)
    assert torch.equal(shades, before)


def test_a_flat_picture_is_a_list_of_the_same_numbers(records, fitted):
    flat = Flat().fit(records, 5, None)
    assert (flat.layout, flat.in_shape, fitted.layout) == ("vector", (432,), "image")
    inputs = torch.from_numpy(COLOURS)
    assert torch.equal(flat.front(inputs), fitted.front(inputs).reshape(20, 432))
    assert flat.form == fitted.form  # so that both share one copy of the pictures


def test_the_scales_are_those_of_files_too(records, fitted, tmp_path):
    from meddistill.data.images.reading import read_files
    from meddistill.data.images.wanted import Wanted

    files = [tmp_path / f"{number:02d}.png" for number in range(20)]
    for path, picture in zip(files, COLOURS, strict=True):
        Image.fromarray(picture.transpose(1, 2, 0)).save(path)
    streamed = read_files(files, Wanted(in_memory=False))
    assert fit_preprocessing(streamed, 5, None).scales == fitted.scales


@pytest.mark.parametrize("method", ["pixels", "flat"])
def test_what_is_saved_is_read_again_to_the_last_bit(records, tmp_path, method):
    fit = fit_preprocessing if method == "pixels" else Flat().fit
    fitted = fit(records, 5, None)
    fitted.save(tmp_path / "preprocessing.json")
    read = load_preprocessing(tmp_path / "preprocessing.json", records.spec)
    assert type(read) is type(fitted)
    assert read.scales == fitted.scales
    assert read.format == fitted.format


@pytest.mark.parametrize(
    "change",
    [
        {"method": "other"}, {"method": []}, {"version": 2}, {"mean": [0.5]}, {"std": [0, 0, 0]},
        {"mean": [0.1, 0.2, "a"]}, {"std": [1, 2, 3]}, {"darkest": -1}, {"brightest": None},
        {"more": 1}, {"mean": [True, True, True]},
    ],
)  # fmt: skip
def test_a_damaged_file_is_refused(fitted, records, tmp_path, change):
    path = tmp_path / "preprocessing.json"
    fitted.save(path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ValueError, match=r"preprocessing\.json is damaged"):
        load_preprocessing(path, records.spec)


def test_what_is_spelled_nan_is_refused(fitted, records, tmp_path):
    path = tmp_path / "preprocessing.json"
    fitted.save(path)
    path.write_text(path.read_text().replace('"darkest": ', '"darkest": NaN, "was": '))
    with pytest.raises(ValueError, match="damaged"):
        load_preprocessing(path, records.spec)


def test_pictures_of_one_shade_are_not_divided_by_nothing():
    grey = ImageRecords.of(np.full((6, 1, 4, 4), 100, np.uint8))
    fitted = fit_preprocessing(grey, 1, None)
    assert fitted.front(torch.from_numpy(grey.pixels)).abs().max() < 1e-5


def test_no_shade_of_fewer_patients_than_privacy_asks_for_is_kept(records):
    means = np.sort(COLOURS.mean(axis=(1, 2, 3)) / 255)
    assert fit_preprocessing(records, 5, None).scales.darkest == pytest.approx(means[4])
    assert fit_preprocessing(records, 5, None).scales.brightest == pytest.approx(means[-5])
    with pytest.raises(SettingError, match=r"privacy\.fewest=21: is more than there are"):
        fit_preprocessing(records, 21, None)
    patients = np.array([f"p{number // 4}" for number in range(20)], dtype=object)
    with pytest.raises(SettingError, match=r"privacy\.fewest=6"):
        fit_preprocessing(records, 6, patients)


def test_new_pictures_of_another_range_or_without_content_are_told(records, caplog):
    fitted = fit_preprocessing(records, 1, None)
    new = np.concatenate([COLOURS[:2] // 16, COLOURS[2:4], np.full((1, 3, 12, 12), 9, np.uint8)])
    with caplog.at_level(logging.WARNING):
        fitted.warn(fitted.read(new))
    assert "1 of 5 pictures show nothing: all pixels are of one shade ('4')" in caplog.text
    assert "2 of 5 pictures are far darker or brighter" in caplog.text


def test_pictures_like_those_of_training_are_answered_without_a_word(records, caplog):
    fitted = fit_preprocessing(records, 1, None)
    fitted.warn(fitted.read(COLOURS))
    assert not caplog.records


def test_made_pictures_are_read_as_any(fitted):
    probe = fitted.read(fitted.probe())
    assert fitted.front(torch.from_numpy(fitted(probe))).shape == (6, 3, 12, 12)
    assert probe.pixels[0].max() == 0


def test_rows_of_a_table_are_no_pictures(fitted):
    class Others(ImageRecords.__mro__[1]):
        kind = "tables"
        __len__ = take = hashes = raw = describe = lambda self: 0
        spec = property(lambda self: {})

    with pytest.raises(UserError, match=r"reads images \(12 x 12 pixels, colour\).*are tables"):
        fitted.read(Others())


@pytest.mark.parametrize(("side", "rows"), [(28, 334), (64, 64), (224, 32)])
def test_as_many_pictures_are_answered_at_once_as_a_networks_layers_bear(side, rows):
    records = ImageRecords.of(np.zeros((2, 1, side, side), np.uint8))
    assert fit_preprocessing(records, 1, None).evaluation_rows == rows


def test_it_says_what_pictures_are_read(records):
    scales = fit_preprocessing(records, 5, None).scales
    resizing = PixelPreprocessing(Format(3, 12, 12, "uint8", resize=True), scales)
    assert resizing.describe() == "Pictures: 12 x 12 pixels, colour, others are resized"
