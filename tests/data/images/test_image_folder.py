"""Pictures in folders, and in tables that list them, as a cohort."""

from __future__ import annotations

import shutil

import pandas as pd
import pytest
from PIL import Image

from made_pictures import folder, pictures
from meddistill.data.images.folder import image_folder
from meddistill.errors import SettingError, UserError


@pytest.fixture
def place(tmp_path):
    return folder(tmp_path / "set")


@pytest.fixture
def listed(place, tmp_path):
    """The folder, and a table of its pictures: three of each patient."""
    files = sorted(path.relative_to(place).as_posix() for path in place.rglob("*.png"))
    frame = pd.DataFrame({"file": files, "diagnosis": [file.split("/")[0] for file in files]})
    frame["patient"] = [f"p{number // 3}" for number in range(len(files))]
    frame["scan"] = [f"s{number}" for number in range(len(files))]
    frame["use"] = ["Train", "val", "test"] * 4
    return str(place), frame, tmp_path / "table.csv"


def read(listed, change=lambda frame: frame, **settings):
    path, frame, table = listed
    change(frame).to_csv(table, index=False)
    return image_folder(path, table_path=str(table), **{"target": "diagnosis", **settings})


def test_a_folder_is_a_class(place):
    cohort = image_folder(str(place))
    assert cohort.name == "set"
    assert sorted(cohort.classes) == ["healthy", "sick"]
    named = [cohort.classes[code] for code in cohort.target]
    assert [row.split("/")[0] for row in cohort.row] == named
    assert cohort.row[0] == "healthy/000"
    assert cohort.has_ids
    assert any("nothing says which pictures are of one patient" in note for note in cohort.notes)


def test_the_class_that_is_not_called_healthy_is_the_one_to_find(place):
    cohort = image_folder(str(place))
    assert cohort.positive == "sick"
    assert any("'sick', guessed by the spelling of the other one" in note for note in cohort.notes)


def test_folders_of_parts_are_official_parts(tmp_path):
    for part in ("train", "val", "test"):
        folder(tmp_path / "set" / part, 6)
    cohort = image_folder(str(tmp_path / "set"))
    assert set(cohort.parts) == {"train", "validation", "test"}
    assert sorted(cohort.classes) == ["healthy", "sick"]
    assert any(note.startswith("train and test share 6 copies") for note in cohort.notes)


def test_other_files_and_hidden_ones_are_no_pictures(place):
    (place / "sick" / "notes.txt").write_text("a letter")
    (place / "sick" / "._001.png").write_bytes(b"macOS")
    (place / ".cache").mkdir()
    assert len(image_folder(str(place)).target) == 12


def test_a_table_says_class_patient_id_and_part(listed):
    cohort = read(listed, group="patient", id="scan", part="use")
    assert cohort.row.tolist() == [f"s{number}" for number in range(12)]
    assert len(set(cohort.group)) == 4
    assert cohort.parts.tolist() == ["train", "validation", "test"] * 4
    assert "4 groups by 'patient', none of which is split" in cohort.notes
    assert any(note.startswith("train and test share 4 groups") for note in cohort.notes)


def test_pictures_that_no_row_names_are_left_out_and_told(listed):
    cohort = read(listed, lambda frame: frame.iloc[2:])
    assert len(cohort.target) == 10
    assert any(note.startswith("2 picture(s) are in no row of the table") for note in cohort.notes)


@pytest.mark.parametrize("in_memory", [True, False])
def test_other_pictures_make_another_cohort(place, in_memory):
    before = image_folder(str(place), in_memory=in_memory).fingerprint
    assert image_folder(str(place), in_memory=not in_memory).fingerprint == before
    Image.fromarray(pictures(1, seed=5)[0][0]).save(place / "sick" / "001.png")
    assert image_folder(str(place), in_memory=in_memory).fingerprint != before


def without(*names):
    return lambda frame: frame.drop(columns=list(names))


def with_cell(row, column, cell):
    def change(frame):
        changed = frame.astype(object)
        changed.loc[row, column] = cell
        return changed

    return change


@pytest.mark.parametrize(
    ("change", "settings", "said"),
    [
        (with_cell(3, "file", "sick/009x.png"), {}, "row 5: sick/009x.png"),
        (with_cell(3, "file", ""), {}, "names no file in row 5"),
        (with_cell(3, "file", "healthy/000.png"), {}, "rows 2 and 5 are of one file"),
        (with_cell(3, "scan", "s0"), {"id": "scan"}, "holds 's0' more than once"),
        (with_cell(3, "use", "maybe"), {"part": "use"}, "row 5: 'maybe' is none of train"),
        (with_cell(3, "diagnosis", ""), {}, "is empty in 1 row(s), first in row 5"),
        (without("file"), {}, "data.file=file: no such column"),
        (without(), {"target": None}, "data.target=null: name the column"),
        (without(), {"target": "diagnose"}, "is 'diagnosis' meant?"),
        (without(), {"group": "ward"}, "data.group=ward: no such column"),
        (without(), {"positive": "dead"}, "data.positive=dead: is no class"),
    ],
)
def test_a_mistake_in_the_table_is_named_with_its_row(listed, change, settings, said):
    with pytest.raises(UserError) as error:
        read(listed, change, **settings)
    assert said in str(error.value)


def test_a_name_that_is_nearly_there_is_asked_for(listed):
    with pytest.raises(UserError, match=r"is 'healthy/000\.png' meant\?"):
        read(listed, with_cell(0, "file", "healthy/0000.png"))


def test_a_table_that_is_absent_is_named_by_its_key(place):
    with pytest.raises(SettingError, match=r"data\.table_path=none\.csv: no such file"):
        image_folder(str(place), table_path="none.csv", target="x")


def test_a_folder_that_holds_no_classes_is_told(tmp_path):
    with pytest.raises(SettingError, match=r"data\.path=.*no such folder"):
        image_folder(str(tmp_path / "none"))
    Image.fromarray(pictures(1)[0][0]).save(tmp_path / "x.png")
    with pytest.raises(SettingError, match="no folders of pictures in it"):
        image_folder(str(tmp_path))


def test_a_class_without_pictures_is_told(place):
    (place / "other").mkdir()
    with pytest.raises(UserError, match=r"other: there is no picture of this class"):
        image_folder(str(place))


def test_two_files_of_one_name_are_told(place):
    shutil.copy(place / "sick" / "001.png", place / "sick" / "001.tif")
    with pytest.raises(UserError, match=r"'001\.png', '001\.tif' have one name, 'sick/001'"):
        image_folder(str(place))


@pytest.mark.parametrize("key", ["target", "id", "group", "part"])
def test_a_column_without_a_table_is_refused(place, key):
    with pytest.raises(SettingError, match=rf"data\.{key}=x: there is no table"):
        image_folder(str(place), **{key: "x"})


def test_a_damaged_file_is_named_before_any_work(place):
    (place / "sick" / "003.png").write_bytes(b"\x89PNG")
    with pytest.raises(UserError, match=r"003\.png: the picture is damaged"):
        image_folder(str(place))


def test_what_is_done_to_all_pictures_is_told(place):
    notes = image_folder(str(place), size=6, channels=3).notes
    assert "all pictures are resized to 6 x 6 pixels" in notes
    assert "all pictures are turned into colour" in notes


def test_a_picture_of_another_size_is_named_with_the_mend(place):
    Image.fromarray(pictures(1, side=30)[0][0]).save(place / "sick" / "003.png")
    with pytest.raises(UserError, match=r"003\.png: has 30 x 30 pixels.*data\.size=12"):
        image_folder(str(place))


def test_settings_of_reading_are_checked(place):
    with pytest.raises(SettingError, match=r"data\.in_memory=maybe"):
        image_folder(str(place), in_memory="maybe")
    with pytest.raises(SettingError, match=r"data\.workers=-1"):
        image_folder(str(place), workers=-1)
    streamed = image_folder(str(place), workers=2, in_memory=False)
    assert streamed.records.workers == 2


def test_workers_beside_pictures_in_memory_are_refused(place):
    with pytest.raises(SettingError, match=r"data\.workers=2: the pictures are held in memory"):
        image_folder(str(place), workers=2)


def test_files_that_are_not_read_are_counted(place):
    (place / "healthy").mkdir(exist_ok=True)
    (place / "stray.png").write_bytes(b"")
    first = next(each for each in place.iterdir() if each.is_dir() and any(each.iterdir()))
    (first / "scan.webp").write_bytes(b"")
    (first / "Thumbs.db").write_bytes(b"")
    for empty in (each for each in place.iterdir() if each.is_dir() and not any(each.iterdir())):
        empty.rmdir()
    notes = [note for note in image_folder(str(place)).notes if "left out" in note]
    assert len(notes) == 1
    assert notes[0].startswith("2 file(s)")
    assert "stray.png" in notes[0]
