"""Pictures of files: one format or one message, held or read when taken, known by content."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from made_pictures import folder, pictures
from meddistill.data.images.pixels import resized
from meddistill.data.images.reading import read_files
from meddistill.data.images.records import ImageRecords
from meddistill.data.images.wanted import Wanted
from meddistill.errors import UserError


@pytest.fixture
def files(tmp_path):
    return sorted(folder(tmp_path / "set").rglob("*.png"))


def read(files, **wanted):
    return read_files(files, Wanted(**wanted))


def put(path, picture):
    Image.fromarray(picture).save(path)


def test_held_and_streamed_pictures_are_the_same(files):
    held, streamed = (read(files, in_memory=memory) for memory in (True, False))
    assert (held.in_memory, streamed.in_memory) == (True, False)
    assert np.array_equal(held.pixels, streamed.pixels)
    assert np.array_equal(held.hashes(), streamed.hashes())
    assert held.spec == streamed.spec
    assert held.nbytes == streamed.nbytes == held.pixels.nbytes


@pytest.mark.parametrize("in_memory", [True, False])
def test_pictures_are_taken_by_their_places(files, in_memory):
    records = read(files, in_memory=in_memory)
    places = np.array([7, 0, 3])
    taken = records.take(places)
    assert len(taken) == 3
    assert np.array_equal(taken.pixels, records.pixels[places])
    assert np.array_equal(taken.hashes(), records.hashes()[places])
    assert list(taken.index) == [str(files[place]) for place in places]


def test_pictures_stay_in_their_files_where_there_are_too_many_to_hold(files, monkeypatch):
    monkeypatch.setattr("meddistill.data.images.reading.HELD_BYTES", 12 * 144 - 1)
    assert not read(files).in_memory
    monkeypatch.setattr("meddistill.data.images.reading.HELD_BYTES", 12 * 144)
    assert read(files).in_memory


def test_copies_have_one_hash_and_others_have_others():
    made, _ = pictures(6)
    made[4] = made[1]
    hashes = ImageRecords.of(made[:, None]).hashes()
    assert hashes[4] == hashes[1]
    assert len(set(hashes.tolist())) == 5


def test_a_hash_is_of_the_picture_in_the_file_whatever_it_is_resized_to(files):
    small, whole = read(files, size=(6, 6)), read(files)
    assert np.array_equal(small.hashes(), whole.hashes())
    assert small.pixels.shape == (12, 1, 6, 6)
    assert np.array_equal(small.pixels[0], resized(whole.pixels[0], 6, 6))


def test_a_file_that_changes_meanwhile_is_noticed(files):
    records = read(files, in_memory=False)
    put(files[2], pictures(1, seed=9)[0][0])
    with pytest.raises(UserError, match="was changed since it was first read") as error:
        _ = records.pixels
    assert files[2].name in str(error.value)


def test_pictures_of_several_sizes_are_refused_until_a_size_is_given(files):
    put(files[5], pictures(1, side=20)[0][0])
    with pytest.raises(UserError, match=r"has 20 x 20 pixels.*12 x 12: data\.size=12 resizes") as e:
        read(files)
    assert files[5].name in str(e.value)
    assert read(files, size=(12, 12)).format.shape == (1, 12, 12)


def test_grey_beside_colour_is_refused_until_channels_are_given(files):
    put(files[5], pictures(1, channels=3)[0][0])
    with pytest.raises(UserError, match=r"is in grey.* in colour: data\.channels=1") as error:
        read(files)
    assert files[5].name in str(error.value)
    assert read(files, channels=1).format.channels == 1
    assert read(files, channels=3).pixels.shape == (12, 3, 12, 12)


def test_grey_pictures_that_were_saved_in_colours_are_grey(files):
    for path in files:
        Image.open(path).convert("RGB").save(path)
    assert read(files).pixels.shape == (12, 1, 12, 12)
    put(files[5], pictures(1, channels=3)[0][0])
    assert read(files).pixels.shape == (12, 3, 12, 12)


@pytest.mark.parametrize("in_memory", [True, False])
def test_one_picture_of_16_bits_makes_all_of_them_finer(files, in_memory):
    before = read(files).pixels
    put(files[3], before[3, 0].astype(np.uint16) * 257)
    records = read(files, in_memory=in_memory)
    assert records.format.depth == "float32"
    assert np.allclose(records.pixels, before / 255, atol=1e-7)


def test_all_bad_files_are_named_at_once(files):
    for path in files[1:4]:
        path.write_bytes(b"")
    with pytest.raises(UserError) as error:
        read(files)
    said = str(error.value)
    assert f"{files[1]}: the file is empty" in said
    assert "2 more of 12 files can't be used" in said
    assert files[2].name in said
    assert files[3].name in said


def test_pictures_are_described():
    assert ImageRecords.of(pictures(2)[0][:, None]).describe() == "12 x 12 pixels, grey"
