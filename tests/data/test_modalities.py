"""Kinds of raw rows are rooms found by name, and a component for other rows is refused by its own.

The refusals are those of the command line: the whole way from a file's rows to the message.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kinds import ROWS
from meddistill.data import modalities
from meddistill.data.modalities import fit_preprocessing, modality, rooms
from meddistill.data.preprocessing import Preprocessing
from meddistill.data.records import Records
from meddistill.data.tables.records import TableRecords
from meddistill.data.tables.schema import Schema
from meddistill.errors import SettingError

SUMMARY = {"_target_": "meddistill.data.series.choices.Summary"}


@pytest.fixture
def records():
    return TableRecords.prepared(pd.DataFrame({"age": np.arange(9.0)}), Schema(("age",)))


def test_a_room_is_every_folder_with_a_modality_and_has_what_is_asked_of_it():
    places = {path.parent.name for path in Path(modalities.__file__).parent.glob("*/modality.py")}
    assert {"tables", "images", "series"} <= set(rooms()) == places
    for kind in rooms():
        room = modality(kind)
        assert callable(room.fit_preprocessing)
        assert callable(room.load_preprocessing)


@pytest.mark.parametrize("kind", ["sounds", "", "../tables", "tables.modality", "os"])
def test_a_kind_that_is_no_room_is_refused_and_those_there_are_are_listed(kind):
    with pytest.raises(ValueError, match="is no kind of rows; there are images, series, tables"):
        modality(kind)


def test_every_kind_has_records_and_preprocessings_of_one_contract():
    """What a room adds is found by its base class alone."""
    for kind in rooms():
        modality(kind)

    def below(base):
        return {each for sub in base.__subclasses__() for each in (sub, *below(sub))}

    assert {each.kind for each in below(Records)} >= set(rooms())
    layouts = {each.layout for each in below(Preprocessing) if hasattr(each, "layout")}
    assert layouts >= {"vector", "image", "series"}


def test_an_empty_node_is_the_usual_preprocessing_of_such_rows(records):
    fitted = fit_preprocessing({}, records)
    assert fitted(fitted.read(records)).ravel() == pytest.approx((np.arange(9) - 4) / 60**0.5 * 3)


def test_a_preprocessing_of_other_rows_is_refused_by_its_name_and_key(records):
    with pytest.raises(SettingError) as caught:
        fit_preprocessing(SUMMARY, records, key="teacher.preprocessing")
    assert str(caught.value) == (
        "teacher.preprocessing=Summary: reads series, and these are tables: leave it out "
        "(teacher.preprocessing=usual)"
    )


@pytest.mark.parametrize(
    ("rows", "asked", "says"),
    [
        ("image", ["student=mlp_tiny"], "student=mlp: reads lists of numbers, and the rows here"),
        ("series", ["student=mlp_tiny"], "student=mlp: reads lists of numbers, and the rows here"),
        ("image", ["student=gru_small"], "reads series, and the rows here are images"),
        ("series", ["student=gru_small", "teacher=forest"], "reads lists of numbers, and the rows"),
        ("image", ["student=cnn_tiny", "teacher=mlp"], "reads lists of numbers, and the rows"),
        (
            "image", ["student=cnn_tiny", "teacher=resnet_image", "synthetic=munge"],
            "synthetic=munge: makes rows of tables, and these are images",
        ),
        (None, ["student=cnn_tiny"], "student=cnn: reads images, and the rows here are lists of"),
        (
            None, ["teacher=mlp", "view@teacher.view=affine"],
            "teacher.view=affine: is for images, and these are",
        ),
        (
            None, ["teacher=resnet_image"],
            "reads images, and the rows here are lists of numbers",
        ),
        (None, ["view=affine", "answers=live"], "view=affine: is for images, and these are tables"),
        (None, ["preprocessing=summary"], "preprocessing=Summary: reads series"),
    ],
)  # fmt: skip
def test_a_component_for_other_rows_is_refused_by_its_name(rows, asked, says, tmp_path, meddistill):
    made = ROWS[rows](tmp_path) if rows else []
    code, _, err = meddistill("distill", *made, *asked)
    assert code == 2, err
    assert says in err
    assert not list(Path("store").rglob("*.ckpt"))
