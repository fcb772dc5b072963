"""A file in MedMNIST's layout as a cohort, or one message of what is wrong."""

from __future__ import annotations

import numpy as np
import pytest

from made_pictures import npz, pictures
from meddistill.data.images.npz import image_npz
from meddistill.errors import SettingError, UserError


@pytest.fixture
def path(tmp_path):
    return npz(tmp_path / "set.npz")


def changed(path, **arrays):
    """The same file with some arrays changed, or left out where they are None."""
    with np.load(path) as archive:
        every = {**archive, **arrays}
    np.savez(path, **{name: value for name, value in every.items() if value is not None})
    return str(path)


def test_official_parts_are_read_with_the_class_names(path):
    cohort = image_npz(str(path), classes=["healthy", "sick"], positive="sick")
    assert cohort.classes == ("healthy", "sick")
    assert cohort.positive == "sick"
    names, counts = np.unique(cohort.parts.astype(str), return_counts=True)
    assert dict(zip(names, counts.tolist(), strict=True)) == {
        "train": 24,
        "validation": 12,
        "test": 12,
    }
    with np.load(path) as archive:
        assert np.array_equal(cohort.records.pixels[24:36, 0], archive["val_images"])
        assert np.array_equal(cohort.target[36:], archive["test_labels"][:, 0])


def test_classes_are_numbers_where_nobody_names_them(path):
    assert image_npz(str(path)).classes == ("0", "1")


def test_rows_without_parts_are_read(tmp_path):
    images, labels = pictures(20, channels=3)
    names = np.array([f"p{number}" for number in range(20)])
    np.savez(
        tmp_path / "x.npz", images=images, labels=labels, names=names, group=np.arange(20) // 2
    )
    cohort = image_npz(str(tmp_path / "x.npz"))
    assert cohort.parts is None
    assert cohort.records.format.shape == (3, 12, 12)
    assert cohort.row.tolist() == names.tolist()
    assert cohort.has_ids
    assert len(set(cohort.group)) == 10


def test_labels_may_be_names(path):
    with np.load(path) as archive:
        named = {f"{part}_labels": np.where(archive[f"{part}_labels"] == 1, "sick", "well")
                 for part in ("train", "val", "test")}  # fmt: skip
    assert set(image_npz(changed(path, **named)).classes) == {"sick", "well"}
    with pytest.raises(SettingError, match=r"data\.classes.*holds names already"):
        image_npz(str(path), classes=["a", "b"])


def test_a_missing_validation_part_is_left_to_the_split(path):
    cohort = image_npz(changed(path, val_images=None, val_labels=None))
    assert set(cohort.parts) == {"train", "test"}


def test_pictures_are_resized_and_coloured_and_that_is_said(path):
    cohort = image_npz(str(path), size=[6, 8], channels=3)
    assert cohort.records.pixels.shape == (48, 3, 6, 8)
    assert cohort.notes[:2] == (
        "all pictures are resized to 6 x 8 pixels", "all pictures are turned into colour"
    )  # fmt: skip
    assert cohort.records.hashes().tolist() == image_npz(str(path)).records.hashes().tolist()


def test_copies_between_official_parts_are_told_and_kept(path):
    with np.load(path) as archive:
        test = archive["test_images"].copy()
        test[:3] = archive["train_images"][:3]
    cohort = image_npz(changed(path, test_images=test))
    assert "3 row(s) are exact copies of others" in cohort.notes
    assert any(note.startswith("train and test share 3 copies") for note in cohort.notes)
    assert (cohort.parts == "test").sum() == 12


def test_a_copy_of_another_class_is_told(path):
    with np.load(path) as archive:
        test = archive["test_images"].copy()
        test[1] = archive["train_images"][0]
    notes = image_npz(changed(path, test_images=test)).notes
    assert "1 row(s) have copies of another class: a label of each is wrong" in notes


def test_groups_that_lie_in_two_official_parts_are_told(path):
    groups = {f"{part}_group": np.arange(count) for part, count in
              (("train", 24), ("val", 12), ("test", 12))}  # fmt: skip
    notes = image_npz(changed(path, **groups)).notes
    assert any(note.startswith("train and test share 12 groups") for note in notes)


@pytest.mark.parametrize(
    ("arrays", "settings", "said"),
    [
        ({"train_labels": None}, {}, "there is no train_labels beside train_images"),
        ({"test_images": None}, {}, "of which train and test must be there"),
        ({"train_labels": np.zeros(3)}, {}, "train_labels has 3 rows, train_images 24"),
        ({"train_labels": np.zeros((24, 5))}, {}, "has 5 labels a row"),
        ({"train_labels": np.full(24, 0.5)}, {}, "train_labels, row 0: 0.5 is no class number"),
        ({"val_labels": np.full(12, -1)}, {}, "val_labels, row 0: -1 is no class number"),
        ({"val_labels": np.full(12, 2)}, {"classes": ["a", "b"]}, "class 2 has no name"),
        ({"val_images": np.zeros((12, 9, 9), np.uint8)}, {}, "differ in size or channels"),
        (
            {"val_images": np.full((12, 12, 12), 3.0)},
            {},
            "set.npz, val_images, row 0: holds fractions",
        ),
        ({"val_images": np.zeros((12, 12, 12, 12), np.uint8)}, {}, "volumes are not read"),
        ({"train_group": np.arange(24)}, {}, "group: some parts have it and others not"),
        (
            {f"{p}_names": np.full(n, "x") for p, n in (("train", 24), ("val", 12), ("test", 12))},
            {},
            "names: 'x' is there more than once",
        ),
        (
            {f"{p}_labels": np.zeros(n) for p, n in (("train", 24), ("val", 12), ("test", 12))},
            {},
            "has one class only ('0')",
        ),
        ({}, {"positive": "2"}, "data.positive=2: is no class"),
        ({}, {"classes": "ab"}, "data.classes=ab: must be a list"),
        ({}, {"classes": ["a", "a"]}, "two or more different names"),
        ({}, {"size": 0}, "data.size=0"),
        ({}, {"channels": 2}, "data.channels=2"),
    ],
)
def test_a_mistake_is_named_with_its_place(path, arrays, settings, said):
    with pytest.raises(UserError) as error:
        image_npz(changed(path, **arrays), **settings)
    assert said in str(error.value)


def test_a_file_of_other_arrays_is_told_what_it_holds(tmp_path):
    np.savez(tmp_path / "x.npz", a=np.zeros(3))
    with pytest.raises(UserError, match=r"holds neither `images` nor `train_images`.*'a'"):
        image_npz(str(tmp_path / "x.npz"))


def test_a_file_that_is_absent_or_no_archive_is_named(tmp_path):
    with pytest.raises(SettingError, match=r"data\.path=.*no such file"):
        image_npz(str(tmp_path / "x.npz"))
    (tmp_path / "x.npz").write_text("a letter")
    with pytest.raises(SettingError, match=r"data\.path=.*plain arrays"):
        image_npz(str(tmp_path / "x.npz"))
