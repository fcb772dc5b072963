"""Tables in bands: cut by training rows alone, at round numbers, of enough patients."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch

from frames import with_frame
from meddistill.data.datamodule import CohortDataModule
from meddistill.data.patients import Patients
from meddistill.data.tables.bands import Bands, BandsPreprocessing
from meddistill.data.tables.cuts import Cuts, cut
from meddistill.data.tables.modality import load_preprocessing
from meddistill.data.tables.records import TableRecords
from meddistill.data.tables.schema import Schema
from meddistill.errors import SettingError

SCHEMA = Schema(numeric=("age", "dose", "stage", "yes", "void"), categorical=("ward",))
NODE = {"_target_": "meddistill.data.tables.bands.Bands"}
WARDS = ["a"] * 40 + ["b"] * 30 + ["c"] * 20 + ["d"] * 10 + ["e"] * 6 + ["f"] * 5 + ["g"] * 2


def frame():
    rows = len(WARDS)
    random = np.random.default_rng(0)
    made = pd.DataFrame(
        {
            "age": random.permutation(np.linspace(18.3, 91.7, rows)),
            "dose": np.where(np.arange(rows) % 2, 0.0, random.uniform(0.01, 3, rows)),
            "stage": np.arange(rows) % 4 + 1,
            "yes": np.arange(rows) % 2,
            "void": np.nan,
            "ward": WARDS,
        }
    )
    made.loc[[3, 9], "ward"], made.loc[:20, "stage"] = None, np.nan
    return made


def fitted(rows=None, fewest=5, most=5):
    return Bands(most).fit(TableRecords(frame() if rows is None else rows, SCHEMA), fewest, None)


def test_numbers_are_cut_at_round_quantiles_and_few_values_have_a_band_each():
    bands = fitted()
    assert bands.columns[0].cuts == (33.0, 48.0, 62.0, 77.0)
    assert bands.band_names[0][1] == "33 to under 48"
    assert bands.band_names[2] == ["up to 1", "2", "3", "4 or more"]
    assert bands.band_names[3] == ["0", "1"]
    assert bands.columns[1].cuts[0] == 0.1  # half of the doses are 0


def test_the_most_frequent_categories_have_bands_and_the_others_share_one():
    bands = fitted()
    assert bands.band_names[5] == ["a", "b", "c", "d", "any other"]
    assert fitted(most=8).band_names[5] == ["a", "b", "c", "d", "e", "f"]  # g has two patients


def test_a_category_that_reads_like_the_cards_own_words_is_in_quotes():
    wards = ["not known", "any other", "a, b", "x: +2", "plain"]
    rows = frame().assign(ward=np.resize(wards, len(WARDS)))
    names = fitted(rows).band_names[5]
    assert sorted(names) == ["'a, b'", "'any other'", "'not known'", "'x: +2'", "plain"]


def test_every_number_of_training_is_in_the_band_whose_name_has_it():
    whole = Cuts((45.0, 51.0), whole=True)
    assert [whole.name(band, band) for band in range(3)] == ["up to 44", "45 to 50", "51 or more"]
    values = np.repeat([0, 1, 2, 3, 4, 9], [1, 1, 7, 3, 4, 4]).astype(float)
    found = cut(values, Patients.of(len(values), 1, None), 5)
    assert found.whole
    assert all(each.is_integer() for each in found.cuts)
    two = fitted(frame().assign(yes=np.resize([0.12345678, 0.12345679], len(WARDS))))
    assert two.band_names[3] == ["0.12345678", "0.12345679"]
    fine = cut(np.repeat([0.12345678, 0.12345679], 20), Patients.of(40, 5, None), 5)
    assert fine.name(1, 1) == "0.12345679 or more"


@pytest.mark.parametrize("fewest", [1, 12])
def test_every_band_has_as_many_patients_as_may_have_something_in_common(fewest):
    bands = fitted(fewest=fewest)
    codes = bands(bands.read(frame()))
    for column, names in enumerate(bands.band_names):
        for band in range(len(names)):
            assert (codes[:, column] == band).sum() >= fewest or column == 4  # nobody has a void


def test_what_is_not_known_is_in_the_last_band_and_an_unseen_category_among_the_others():
    bands = fitted()
    rows = frame().head(2).assign(age=[np.nan, 1e9], ward=["new", None])
    inputs = bands.front(torch.from_numpy(bands(bands.read(rows))))
    assert inputs.shape == (2, 6, 6)
    assert bands(bands.read(rows)).T.tolist()[0] == [6, 4]  # nobody's age was empty
    assert inputs[:, 2].argmax(-1).tolist() == [5, 5]  # the stage of 21 patients was
    assert (inputs[:, 4] == 0).all()  # nobody has a void
    assert inputs[:, 5].argmax(-1).tolist()[0] == 4
    few = fitted(most=8)
    assert few(few.read(rows))[0, 5] == 9  # there is no band of others


@pytest.mark.parametrize(("fewest", "band"), [(2, 5), (3, 6)])
def test_an_empty_cell_is_in_no_band_where_too_few_patients_have_one(fewest, band):
    bands = fitted(fewest=fewest)
    assert bands(bands.read(frame()))[[3, 9], 5].tolist() == [band, band]


def test_cuts_come_from_training_rows_alone(cohort, split):
    one = CohortDataModule(cohort, split, preprocessing=NODE).preprocessing
    cells = cohort.records.frame.copy()
    cells.iloc[split.test] = 1e6
    other = CohortDataModule(with_frame(cohort, cells), split, preprocessing=NODE).preprocessing
    assert isinstance(one, BandsPreprocessing)
    assert one.columns == other.columns


def test_what_is_saved_answers_alike(tmp_path):
    bands, path = fitted(), tmp_path / "preprocessing.json"
    bands.save(path)
    loaded = load_preprocessing(path, SCHEMA.to_dict())
    assert isinstance(loaded, BandsPreprocessing)
    rows = frame().sample(frac=1, random_state=0)
    assert loaded(loaded.read(rows)).tobytes() == bands(bands.read(rows)).tobytes()
    assert loaded.band_names == bands.band_names


@pytest.mark.parametrize(
    "damage",
    [
        lambda bands: bands.update(most=200),
        lambda bands: bands.pop("most"),
        lambda bands: bands.update(columns=bands["columns"][:-1]),
        lambda bands: bands["columns"][0].update(cuts=[3, 2]),
        lambda bands: bands["columns"][0].update(cuts=["1"]),
        lambda bands: bands["columns"][0].update(cuts=[1, 2, 3, 4, 5, 6]),
        lambda bands: bands["columns"][0].update(more=1),
        lambda bands: bands["columns"][5].update(named=[["a"]]),
        lambda bands: bands["columns"][5].update(others=2),
    ],
)
def test_a_damaged_file_is_refused(damage, tmp_path):
    path = tmp_path / "preprocessing.json"
    fitted().save(path)
    plain = json.loads(path.read_text())
    damage(plain["bands"])
    path.write_text(json.dumps(plain))
    with pytest.raises(ValueError, match=r"preprocessing\.json is damaged.*bands"):
        load_preprocessing(path, SCHEMA.to_dict())


@pytest.mark.parametrize("most", [1, 10])
def test_a_number_of_bands_that_no_card_has_is_refused(most):
    with pytest.raises(SettingError, match="most"):
        Bands(most)
