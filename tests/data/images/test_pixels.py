"""Arrays become pixels of one order and two types, or are refused with the row that is wrong."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from made_pictures import pictures
from meddistill.data.images.arrays import read_array
from meddistill.data.images.format import Format, in_essence
from meddistill.data.images.pixels import as_floats, resized, with_channels
from meddistill.data.images.wanted import Wanted
from meddistill.errors import SettingError, UserError

BYTES = pictures(5, channels=3)[0]


def test_bytes_stay_bytes_without_a_copy():
    grey = BYTES[..., 0].copy()
    read = read_array(grey, "x")
    assert read.shape == (5, 1, 12, 12)
    assert np.shares_memory(read, grey)


@pytest.mark.parametrize("axes", [(0, 1, 2, 3), (0, 3, 1, 2)])
def test_channels_may_be_last_or_second(axes):
    read = read_array(BYTES.transpose(axes), "x")
    assert np.array_equal(read, BYTES.transpose(0, 3, 1, 2))


def test_the_format_decides_where_channels_could_be_on_either_side():
    both = np.zeros((2, 3, 8, 3), dtype=np.uint8)
    assert read_array(both, "x").shape == (2, 3, 3, 8)
    assert read_array(both, "x", Format(3, 8, 3, "uint8")).shape == (2, 3, 8, 3)


@pytest.mark.parametrize(
    ("values", "shade"),
    [
        (np.full((1, 2, 2), 65535, dtype=np.uint16), 1.0),
        (np.full((1, 2, 2), 0.25, dtype=np.float64), 0.25),
        (np.full((1, 2, 2), 51, dtype=np.int64), 0.2),
        (np.full((1, 2, 2), True), 1.0),
    ],
)
def test_every_type_is_shades_from_0_to_1_once(values, shade):
    assert as_floats(read_array(values, "x")).ravel()[0] == np.float32(shade)


def test_shades_are_not_divided_again():
    shades = np.full((1, 1, 2, 2), 0.5, dtype=np.float32)
    assert as_floats(shades) is shades


def odd(change, dtype=np.float32):
    values = np.full((4, 3, 3), 0.5, dtype=dtype)
    values[2, 1, 1] = change
    return values


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (odd(7.5), "x, row 2: holds fractions from 0.5 to 7.5"),
        (odd(np.nan), "x, row 2: holds pixels that are missing or infinite"),
        (odd(300, np.int32), "x, row 2: holds int32 from 0 to 300, whose range nobody knows"),
        (odd(-1, np.int16), "x, row 2: holds int16 from -1 to 0"),
        (np.zeros((3, 3), np.uint8), "x: is 3 x 3: one picture is array[None]"),
        (np.zeros((2, 4, 4, 5), np.uint8), "volumes are not read"),
        (np.zeros((2, 1, 3, 3, 3), np.uint8), "x: is 2 x 1 x 3 x 3 x 3"),
        (np.zeros((0, 3, 3), np.uint8), "x: has no pixels"),
        (np.zeros((2, 0, 3), np.uint8), "has no pixels"),
        (np.array([[["a"]]]), "in place of pixels"),
    ],
)
def test_what_is_no_picture_is_refused_with_its_row(values, said):
    with pytest.raises(UserError) as error:
        read_array(values, "x")
    assert said in str(error.value)


def test_grey_of_colours_is_pillows():
    picture = BYTES[0]
    expected = np.asarray(Image.fromarray(picture).convert("L")).astype(int)
    grey = with_channels(picture.transpose(2, 0, 1), 1)[0].astype(int)
    assert abs(grey - expected).max() <= 1


def test_colours_of_grey_are_three_times_the_same():
    grey = BYTES[0, ..., 0][None]
    coloured = with_channels(grey, 3)
    assert coloured.shape == (3, 12, 12)
    assert np.array_equal(in_essence(coloured), grey)


def test_a_smaller_picture_is_the_mean_of_areas_in_bytes_and_in_shades():
    picture = BYTES[0].transpose(2, 0, 1)
    small, fine = resized(picture, 6, 3), resized(as_floats(picture), 6, 3)
    assert small.shape == fine.shape == (3, 6, 3)
    assert abs(small / 255 - fine).max() < 0.01
    assert abs(fine.mean() - as_floats(picture).mean()) < 0.02


@pytest.mark.parametrize("size", [0, -3, [4], [4, 5, 6], "28", True, [4, 2.5], 20_000])
def test_a_size_that_is_none_is_refused(size):
    with pytest.raises(SettingError, match=r"data\.size"):
        Wanted.read(size=size)


@pytest.mark.parametrize("channels", [2, 4, "1", True])
def test_channels_are_1_or_3(channels):
    with pytest.raises(SettingError, match=r"data\.channels"):
        Wanted.read(channels=channels)


def test_a_format_comes_back_from_json_and_nothing_else_does():
    format = Format(3, 20, 30, "float32", resize=True)
    assert Format.from_plain(format.plain) == format
    for wrong in (
        None, {}, {**format.plain, "channels": 2}, {**format.plain, "height": 0},
        {**format.plain, "width": True}, {**format.plain, "depth": "int8"},
        {**format.plain, "depth": []}, {**format.plain, "resize": 1}, {**format.plain, "more": 1},
        {**format.plain, "channels": [3]},
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"pictures|pixels"):
            Format.from_plain(wrong)
