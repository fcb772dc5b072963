"""Pictures without labels beside the data: read as new ones, and none that is held back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import made_pictures
from made_pictures import pictures
from meddistill.data.datamodule import CohortDataModule
from meddistill.data.held_back import check_unlabelled
from meddistill.data.images import unlabelled
from meddistill.data.images.folder import image_folder
from meddistill.data.images.npz import image_npz
from meddistill.data.split import split_cohort
from meddistill.errors import SettingError
from meddistill.inference.known_rows import rows_known, save_known_rows, seen_in_test
from meddistill.views.affine import Affine

MORE, _ = pictures(9, seed=7)


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """A file of 48 pictures, 24 in a folder, and 9 others in every form."""
    monkeypatch.chdir(tmp_path)
    made_pictures.npz(Path("own.npz"))
    made_pictures.folder(Path("own"), 24)
    save(MORE)


def save(images, form="all", **beside):
    """Others without labels, as files of arrays and as a folder."""
    np.savez("more.npz", images=images, **beside)
    np.save("more.npy", images)
    for number, image in enumerate(images):
        Path("more/deep").mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(f"more/deep/{number}.png")


def of_npz(more="more.npz", **settings):
    return image_npz("own.npz", unlabelled=more, **settings)


def of_folder(more="more", **settings):
    return image_folder("own", unlabelled=more, **settings)


def module(cohort, **settings):
    split = split_cohort(cohort, split="official" if cohort.parts is not None else "random")
    return CohortDataModule(cohort, split, **settings)


def joined(cohort, **settings):
    """The rows of a cohort with its unlabelled ones, answered by nobody yet."""
    return module(cohort, **settings).with_unlabelled(cohort.unlabelled.records)


@pytest.mark.parametrize("read", [of_npz, of_folder])
@pytest.mark.parametrize("form", ["more.npz", "more.npy", "more", "more/deep/3.png"])
def test_they_come_in_every_form_in_which_predict_takes_new_ones(read, form):
    cohort = read(form)
    expected = MORE[3:4] if form.endswith("png") else MORE
    assert np.array_equal(cohort.unlabelled.records.pixels[:, 0], expected)
    assert cohort.unlabelled.records.spec == cohort.records.spec
    assert f"(data.unlabelled: '{Path(form).name}')" in cohort.notes[-1]
    check_unlabelled(module(cohort))


def test_labels_beside_them_are_not_read_and_that_is_said():
    save(MORE, labels=np.full(9, 17))
    assert "answer; their array 'labels' is not read" in of_npz().notes[-1]
    assert of_npz().fingerprint == of_npz(None).fingerprint


@pytest.mark.parametrize(
    ("change", "more", "says"),
    [
        (lambda: Path("x.csv").write_text("file\na\n"), "x.csv", "x.csv: is no picture that"),
        (lambda: np.savez("x.npz", a=MORE, b=MORE), "x.npz", "holds several arrays ('a', 'b')"),
        (lambda: np.savez("x.npz", images=MORE[:0]), "x.npz", "has no pixels"),
        (lambda: Path("none").mkdir(), "none", "none: there is no picture in the folder"),
        (lambda: None, "nowhere", "nowhere: there is no such file"),
        (lambda: None, "nowhere.npz", "no such file (it is looked for from where you are)"),
        (
            lambda: [Path(f"more/{name}.png").write_bytes(b"\x89PNG no") for name in "ab"],
            "more",
            "more/a.png: the picture is damaged or cut short",
        ),
        (
            lambda: np.savez("x.npz", images=pictures(4, channels=3)[0]),
            "x.npz",
            "x.npz, row 0: is in colour, and the model reads grey: convert it, or train with",
        ),
        (
            lambda: save(pictures(4, side=24)[0]),
            "more",
            "has 24 x 24 pixels, and the model reads 12 x 12: resize it, or train with",
        ),
    ],
)  # fmt: skip
def test_what_predict_would_refuse_is_refused_by_name(change, more, says):
    change()
    with pytest.raises(SettingError) as caught:
        of_npz(more)
    assert str(caught.value).startswith(f"data.unlabelled={more}: ")
    assert says in str(caught.value)


@pytest.mark.parametrize("part", ["test", "validation"])
@pytest.mark.parametrize("form", ["more.npz", "more"])
@pytest.mark.parametrize("side", [12, 24])
def test_a_copy_of_a_picture_that_is_held_back_is_refused_whatever_it_is_resized_to(
    part, form, side
):
    made_pictures.npz(Path("own.npz"), side=side)
    with np.load("own.npz") as arrays:
        own = arrays[f"{part[:3] if part == 'validation' else part}_images"]
    others, _ = pictures(9, side=side, seed=7)
    save(np.concatenate([others, own[4:6]]))
    with pytest.raises(SettingError, match=f"2 of its rows are exact copies of rows of the {part}"):
        check_unlabelled(module(of_npz(form, size=12)))


def test_a_pictures_name_and_group_tell_whether_it_is_held_back():
    with np.load("own.npz") as arrays:
        beside = {}
        for part in ("train", "val", "test"):
            count = len(arrays[f"{part}_images"])
            beside[f"{part}_names"] = np.array([f"{part} {k}" for k in range(count)])
            beside[f"{part}_group"] = np.arange(count) + {"train": 0, "val": 100, "test": 200}[part]
        np.savez("own.npz", **arrays, **beside)
    names, groups = np.array([f"new {k}" for k in range(9)]), np.arange(900, 909)
    for own, says in (
        ({}, "lacks array 'names', without which nobody can tell whether"),
        ({"names": names}, "lacks array 'group', without which"),
        ({"names": names[:3], "group": groups}, "names: must be one value for each of 9 pictures"),
        ({"names": names[[0] * 9], "group": groups}, "names: 'new 0' is there more than once"),
        ({"names": np.r_[["test 3"], names[1:]], "group": groups}, "1 of its rows have the ids"),
        ({"names": np.r_[["TEST 3"], names[1:]], "group": groups}, "the id of 1 of its rows"),
        ({"names": names, "group": np.r_[[203], groups[1:]]}, "1 of its rows belong to groups of"),
    ):  # fmt: skip
        save(MORE, **own)
        with pytest.raises(SettingError, match=says):
            check_unlabelled(module(of_npz()))
    with pytest.raises(
        SettingError, match=r"lacks array 'names', which a file of arrays .* can ha"
    ):
        of_npz("more")
    save(MORE, names=names, group=groups)
    check_unlabelled(module(of_npz()))


def listing(folder, first, **changed):
    files = sorted(str(path.relative_to("own")) for path in Path(folder).rglob("*.png"))
    numbers = np.arange(first, first + len(files))
    table = {"file": files, "diagnosis": numbers % 2, "scan": numbers, "patient": numbers // 2}
    return pd.DataFrame({**table, **changed})


def test_beside_a_table_they_stand_in_a_table_that_names_them():
    listing("own", 100).to_csv("own.csv", index=False)
    Path("more").rename("own/more")
    settings = {"table_path": "own.csv", "target": "diagnosis", "id": "scan", "group": "patient"}
    listing("own/more", 900).to_csv("more.csv", index=False)

    def read():
        return of_folder("more.csv", **settings)

    data = module(read())
    assert read().unlabelled.row.tolist() == [str(k) for k in range(900, 909)]
    assert "their column 'diagnosis' is not read" in read().notes[-2]
    check_unlabelled(data)
    scan, patient = (each[data.split.test[0]] for each in (data.cohort.row, data.cohort.group))
    for changed, says in (
        ({"scan": np.r_[[int(scan)], np.arange(8)]}, "have the ids of rows of the test"),
        ({"patient": np.r_[[int(patient)], np.arange(8)]}, "belong to groups of the test"),
        ({"scan": np.zeros(9, int)}, "holds '0' more than once"),
        ({"file": [f"{k}.png" for k in range(9)]}, r"9 row.s. name files that are not in own"),
    ):
        listing("own/more", 900, **changed).to_csv("more.csv", index=False)
        with pytest.raises(SettingError, match=says):
            check_unlabelled(module(read()))
    listing("own/more", 900).drop(columns="patient").to_csv("more.csv", index=False)
    with pytest.raises(SettingError, match=r"lacks column 'patient' \(data.group\), without which"):
        read()
    with pytest.raises(
        SettingError, match=r"lacks column 'scan' \(data.id\), which a table can ha"
    ):
        of_folder("own/more", **settings)
    plain = {key: settings[key] for key in ("table_path", "target")}
    assert len(of_folder("own/more", **plain).unlabelled.records) == 9


def test_pictures_of_other_depths_are_read_with_that_of_the_data_and_that_is_said():
    fine = (MORE.astype(np.uint16) * 257 + 60).clip(0, 65535)
    save(fine)
    for form in ("more.npz", "more"):
        cohort = of_npz(form)
        assert np.array_equal(cohort.unlabelled.records.pixels[:, 0], MORE)
        assert "data.unlabelled: 9 picture(s) have more than 8 bits" in cohort.notes[-1]
    np.savez("own.npz", images=fine, labels=[0, 1, 1] * 3)
    save(MORE)
    for form in ("more.npz", "more"):
        found = of_npz(form).unlabelled.records.pixels
        assert np.allclose(found[:, 0], MORE / 255, atol=1e-6)
        assert found.dtype == np.float32


def test_what_lies_in_files_is_read_from_them_as_if_it_were_held(monkeypatch):
    held = joined(of_folder())
    last = len(held.rows.target)
    some = np.array([last - 1, 3, 0, last - 9, 3])
    files = joined(of_folder(in_memory=False))
    assert not files.cohort.unlabelled.records.in_memory
    monkeypatch.setattr(unlabelled, "HELD_BYTES", 12 * 144 + 1)
    mixed = joined(of_folder())
    assert mixed.cohort.records.in_memory
    assert not mixed.cohort.unlabelled.records.in_memory
    assert not module(mixed.cohort).is_streamed
    for other in (files, mixed):
        assert other.is_streamed
        assert torch.equal(other.read_at(some).inputs, held.read_at(some).inputs)
        for one, two in zip(held.train_dataloader(), other.train_dataloader(), strict=True):
            assert torch.equal(one.inputs, two.inputs)
            assert torch.equal(one.label_weight, two.label_weight)


def test_a_picture_that_was_changed_since_it_was_looked_at_is_refused():
    data = joined(of_folder(in_memory=False))
    Image.fromarray(255 - MORE[8]).save("more/deep/8.png")
    with pytest.raises(Exception, match=r"8.png: was changed since it was first read"):
        data.read_at(np.array([len(data.rows.target) - 1]))


def test_all_splits_share_one_copy_of_them():
    cohort = of_folder()
    splits = [split_cohort(cohort, split_seed=seed) for seed in (0, 1)]
    one, two = (
        CohortDataModule(cohort, split).with_unlabelled(cohort.unlabelled.records)
        for split in splits
    )
    assert one.rows.inputs.data_ptr() == two.rows.inputs.data_ptr()
    assert len(one.rows.inputs) == len(cohort.target) + 9


def test_student_and_live_teacher_see_the_same_view_of_them():
    data = joined(of_npz(), batch_size=100)
    taught = data.with_live_teacher(module(of_npz()).preprocessing)
    view = Affine()
    for batch in taught.train_dataloader():
        seen, plain = taught.as_read(batch, view), taught.as_read(batch)
        assert torch.equal(seen.inputs, seen.teacher_inputs)
        changed = (seen.inputs != plain.inputs).flatten(1).any(dim=1)
        assert changed[batch.label_weight == 0].all()
        assert (batch.label_weight == 0).sum() == 9


def test_a_model_that_learned_from_them_knows_them_under_other_names():
    save_known_rows(Path(), rows_known(joined(of_folder())))
    made_pictures.folder(Path("later"), 9, seed=7)
    for path in list(Path("later").rglob("*.png")):
        path.rename(path.with_stem(f"later {path.stem}"))
    later = image_folder("later")
    split = split_cohort(later)
    assert seen_in_test(Path(), later, split) == later.row[split.test].tolist()


def test_what_is_odd_about_them_is_said_as_of_new_ones(caplog):
    save(np.concatenate([MORE, np.zeros_like(MORE[:2])]))
    check_unlabelled(module(of_npz()))
    assert "data.unlabelled: 2 of 11 pictures show nothing" in caplog.text


def test_hidden_files_are_no_pictures():
    Path("more/._1.png").write_bytes(b"left by a file manager")
    assert len(of_npz("more").unlabelled.records) == 9
