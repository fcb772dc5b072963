"""What `predict` takes, and what it refuses by row or file."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from made_pictures import folder, pictures
from meddistill.data.images.format import Format
from meddistill.data.images.new_rows import read_records
from meddistill.data.images.records import ImageRecords
from meddistill.errors import UserError

SPEC = Format(1, 12, 12, "uint8").plain
RESIZING = Format(1, 12, 12, "uint8", resize=True).plain
CONVERTING = Format(1, 12, 12, "uint8", convert=True).plain
GREY, _ = pictures(6)


def shades(raw, spec=SPEC):
    return read_records(raw, spec).pixels


@pytest.fixture
def files(tmp_path):
    return sorted(folder(tmp_path / "new", 6).rglob("*.png"), key=lambda path: path.name)


@pytest.mark.parametrize(
    "raw",
    [
        GREY,
        GREY[..., None],
        GREY[:, None],
        torch.from_numpy(GREY),
        ImageRecords.of(GREY[:, None]),
    ],
)
def test_every_kind_of_array_gives_the_same_pictures(raw):
    assert np.array_equal(shades(raw), GREY[:, None])


def test_finer_arrays_give_the_same_shades():
    for raw in (GREY.astype(np.uint16) * 257, GREY / 255.0):
        assert np.allclose(shades(raw)[:, 0], GREY / 255, atol=1e-6)


def test_files_folders_lists_and_frames_give_the_same_pictures(files, tmp_path):
    frame = pd.DataFrame({"file": map(str, files), "age": 50}, index=list("abcdef"))
    for raw in (
        files,
        [str(path) for path in files],
        frame,
        frame[["file"]].set_axis(["x"], axis=1),
    ):
        assert np.array_equal(shades(raw), GREY[:, None])
    assert np.array_equal(shades(files[4]), GREY[4:5, None])
    of_folder = read_records(str(tmp_path / "new"), SPEC)
    assert sorted(of_folder.index) == sorted(map(str, files))


def test_answers_are_named_as_the_frames_rows_or_by_file(files):
    frame = pd.DataFrame({"file": map(str, files)}, index=list("abcdef"))
    assert list(read_records(frame, SPEC).index) == list("abcdef")
    assert list(read_records(files, SPEC).index) == [str(path) for path in files]
    assert list(read_records(GREY, SPEC).index) == list(range(6))


def test_files_of_arrays_give_the_same_pictures(tmp_path):
    np.savez(tmp_path / "one.npz", whatever=GREY)
    np.savez(tmp_path / "more.npz", images=GREY, ids=np.arange(6))
    np.save(tmp_path / "one.npy", GREY)
    for name in ("one.npz", "more.npz", "one.npy"):
        assert np.array_equal(shades(tmp_path / name), GREY[:, None])


def test_a_model_that_resizes_and_converts_does_so_with_new_pictures():
    large, _ = pictures(3, side=24)
    assert shades(large, RESIZING).shape == (3, 1, 12, 12)
    coloured, _ = pictures(3, channels=3)
    assert shades(coloured, CONVERTING).shape == (3, 1, 12, 12)


def test_new_pictures_are_known_by_the_content_of_their_files(files):
    assert (
        read_records(files, SPEC).hashes().tolist()
        == ImageRecords.of(GREY[:, None]).hashes().tolist()
    )


def renamed(tmp_path):
    np.savez(tmp_path / "two.npz", a=GREY, b=GREY)
    return tmp_path / "two.npz"


def pickled(tmp_path):
    np.save(tmp_path / "x.npy", np.array([{}, None]), allow_pickle=True)
    return tmp_path / "x.npy"


def cut(tmp_path):
    np.savez(tmp_path / "x.npz", images=GREY)
    content = (tmp_path / "x.npz").read_bytes()
    (tmp_path / "x.npz").write_bytes(content[:200])
    return tmp_path / "x.npz"


def other_size(tmp_path):
    Image.fromarray(pictures(1, side=20)[0][0]).save(tmp_path / "large.png")
    return [tmp_path / "large.png"]


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (
            pictures(2, side=20)[0],
            "the array, row 0: has 20 x 20 pixels, and the model reads 12 x 12",
        ),
        (pictures(2, channels=3)[0], "the array, row 0: is in colour, and the model reads grey"),
        (
            other_size,
            "large.png: has 20 x 20 pixels, and the model reads 12 x 12: resize it, or train",
        ),
        (renamed, "holds several arrays ('a', 'b')"),
        (pickled, "plain arrays"),
        (cut, "can't be read"),
        (lambda tmp_path: tmp_path, "there is no picture in the folder"),
        (lambda tmp_path: tmp_path / "x.npz", "no such file"),
        (lambda tmp_path: tmp_path / "x.png", "there is no such file"),
        (pd.DataFrame({"a": ["x"], "b": ["y"]}), "no column of paths"),
        (pd.DataFrame({"file": ["x.png", None]}, index=[5, 6]), "row 6: column 'file' holds"),
        (pd.DataFrame({"file": []}), "there are no pictures"),
        ([], "pictures come as"),
        (7, "not as int"),
        ({"a": 1}, "not as dict"),
    ],
)
def test_what_is_no_picture_like_those_is_refused_by_name(tmp_path, raw, said):
    with pytest.raises(UserError) as error:
        read_records(raw(tmp_path) if callable(raw) else raw, SPEC)
    assert said in str(error.value)
