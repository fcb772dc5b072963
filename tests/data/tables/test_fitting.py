"""A preprocessing is what scikit-learn fits, less what belongs to a few patients."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from frames import inputs_of
from meddistill.data.tables import fitting
from meddistill.data.tables.encoding import CategoryInputs
from meddistill.data.tables.fitting import MAX_CATEGORIES, fit_preprocessing
from meddistill.data.tables.modality import load_preprocessing
from meddistill.data.tables.preprocessing_file import as_plain
from meddistill.data.tables.schema import Schema
from meddistill.errors import UserError

NUMBER = st.one_of(st.none(), st.floats(-1e6, 1e6, width=32), st.sampled_from([0.0, 1.0]))
CATEGORY = st.one_of(st.none(), st.sampled_from([f"c{k}" for k in range(8)]))
ROW = st.tuples(NUMBER, NUMBER, CATEGORY, CATEGORY)
SCHEMA = Schema(("a", "b"), ("c", "d"))


def framed(rows):
    return SCHEMA.prepare(pd.DataFrame(rows, columns=SCHEMA.columns))


def fitted_on(frame, schema=SCHEMA, **rule):
    return fit_preprocessing(schema, schema.read(frame), **rule)


def scikit_learn():
    """The pipeline whose answers are wanted; the empty cell sorts before every category."""
    numbers = make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
        StandardScaler(),
    )
    categories = make_pipeline(
        SimpleImputer(strategy="constant", fill_value="", keep_empty_features=True),
        OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=4, sparse_output=False),
    )
    return ColumnTransformer([("numbers", numbers, ["a", "b"]), ("other", categories, ["c", "d"])])


@settings(max_examples=60, deadline=None)
@given(st.lists(ROW, min_size=2, max_size=30), st.lists(ROW, min_size=1, max_size=5))
def test_inputs_are_those_of_scikit_learns_pipeline_to_the_last_bit(train, new):
    train, new = framed(train), framed(new)
    for column in "ab":  # a column without a number is not read
        train[column] = train[column].fillna(0) if train[column].isna().all() else train[column]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitting, "MAX_CATEGORIES", 4)
        fitted = fitted_on(train)
    pipeline = scikit_learn().fit(train)
    for rows in (train, new):
        with np.errstate(all="ignore"):
            wanted = pipeline.transform(rows).clip(-1e6, 1e6).astype(np.float32)
        assert inputs_of(fitted, rows).tobytes() == np.ascontiguousarray(wanted).tobytes()


@settings(max_examples=40, deadline=None)
@given(st.lists(ROW, min_size=5, max_size=20), st.integers(1, 5))
def test_a_row_alone_has_the_inputs_that_it_has_among_others(rows, fewest):
    frame = framed(rows)
    fitted = fitted_on(frame, fewest=fewest)
    whole = inputs_of(fitted, frame)
    assert np.isfinite(whole).all()
    for place in range(len(frame)):
        assert inputs_of(fitted, frame.iloc[[place]]).tobytes() == whole[place].tobytes()


def test_a_fault_in_the_compiled_form_is_noticed_when_it_is_made(monkeypatch):
    right = CategoryInputs.write

    def wrong(self, cells, inputs):
        right(self, cells, inputs)
        inputs[0] = 1 - inputs[0]

    monkeypatch.setattr(CategoryInputs, "write", wrong)
    with pytest.raises(RuntimeError, match="otherwise than scikit-learn"):
        fitted_on(framed([(1, 2, "x", "y"), (2, 3, "x", "z")]))


# What belongs to a few patients

ROWS = 40


@pytest.fixture
def rare():
    """Four patients each with something that no other has."""
    frame = pd.DataFrame(
        {
            "a": np.linspace(1, 2, ROWS),
            "b": [777.25, 778.5, 779.75, 781.5, *[None] * (ROWS - 4)],
            "c": [*["gaucher"] * 4, *["x"] * 16, *["y"] * 20],
            "d": [*["fabry"] * 4, *["pompe"] * 3, *["x"] * 33],
        }
    )
    frame.loc[[0, 1], "a"] = [-5000.5, 6000.5]
    frame.loc[[7, 8, 9, 10], "a"] = None
    return frame


def test_categories_of_fewer_patients_share_an_input_and_are_in_no_file(rare):
    fitted = fitted_on(rare, fewest=5)
    assert fitted.names == ["a", "b", "c=x", "c=y", "d=x", "d (rare)"]
    inputs = pd.DataFrame(inputs_of(fitted, rare), columns=fitted.names)
    assert inputs["d (rare)"].sum() == 7
    assert (inputs[["c=x", "c=y"]].sum(axis=1)[:4] == 0).all()  # four alone share nothing
    text = as_plain(fitted.numbers, fitted.categories)
    assert not [name for name in ("gaucher", "fabry", "pompe") if name in text]


def test_with_four_enough_each_has_its_input(rare):
    names = fitted_on(rare, fewest=4).names
    assert {"c=gaucher", "d=fabry", "a (missing)"} <= set(names)
    assert not {"d=pompe", "d (rare)"} & set(names)


def test_an_unseen_category_is_answered_like_a_rare_one(rare):
    fitted = fitted_on(rare, fewest=5)
    new = rare.head(1).assign(d="never seen")
    assert inputs_of(fitted, new).tobytes() == inputs_of(fitted, rare.head(1)).tobytes()


def test_a_column_known_of_fewer_patients_is_not_read_and_is_in_no_file(rare):
    fitted = fitted_on(rare, fewest=5)
    assert (inputs_of(fitted, rare)[:, fitted.names.index("b")] == 0).all()
    text = as_plain(fitted.numbers, fitted.categories)
    assert not [number for number in ("777.25", "778.5", "779.75", "781.5") if number in text]


def test_the_ends_of_the_range_are_those_of_several_patients(rare):
    fitted = fitted_on(rare, fewest=5)
    column = np.sort(rare["a"].dropna())
    assert fitted.numbers.lowest[0] == column[4]
    assert fitted.numbers.highest[0] == column[-5]
    assert not any(end in as_plain(fitted.numbers, fitted.categories) for end in ("5000", "6000"))


def test_a_patient_with_many_rows_counts_once(rare):
    many = pd.concat([rare] + [rare.iloc[:7]] * 9)
    group = np.array([f"P{row}" for row in [*range(ROWS), *list(range(7)) * 9]], dtype=object)
    by_patient = fitted_on(many, fewest=5, group=group)
    assert by_patient.names == ["a", "b", "c=x", "c=y", "d=x", "d (rare)"]
    assert not by_patient.numbers.known[1]
    assert by_patient.numbers.highest[0] == np.sort(rare["a"].dropna())[-5]
    assert "c=gaucher" in fitted_on(many, fewest=5).names


def test_of_very_many_categories_the_most_frequent_are_kept():
    schema = Schema((), ("code",))
    frequent = [f"code{k:02}" for k in range(MAX_CATEGORIES - 1)]
    train = pd.DataFrame({"code": frequent * 3 + [f"rare{k}" for k in range(20)] * 2})
    fitted = fitted_on(train, schema)
    rare, unseen, known = inputs_of(fitted, pd.DataFrame({"code": ["rare7", "new", "code03"]}))
    assert len(rare) == MAX_CATEGORIES
    assert np.array_equal(rare, unseen)
    assert rare.sum() == known.sum() == 1
    assert not np.array_equal(rare, known)


def test_more_patients_than_there_are_is_refused_by_the_settings_name(rare):
    with pytest.raises(UserError, match=r"privacy\.fewest=41: is more than .* \(40\)"):
        fitted_on(rare, fewest=41)


# On disk


@pytest.fixture
def saved(rare, tmp_path):
    fitted = fitted_on(rare, fewest=3)
    fitted.save(tmp_path / "preprocessing.json")
    return fitted, tmp_path / "preprocessing.json"


def test_what_was_saved_is_loaded_with_bit_identical_inputs(rare, saved):
    fitted, path = saved
    loaded = load_preprocessing(path, SCHEMA.to_dict())
    assert inputs_of(loaded, rare).tobytes() == inputs_of(fitted, rare).tobytes()
    assert as_plain(loaded.numbers, loaded.categories) == path.read_text(encoding="utf-8")
    assert list(path.parent.iterdir()) == [path]


DAMAGES = {
    "empty": lambda text: "",
    "cut": lambda text: text[: len(text) // 2],
    "no mapping": lambda text: "[1]",
    "deep": lambda text: "[" * 100_000,
    "bytes": lambda text: text.replace("gaucher", "\udcff"),
    "version": lambda text: text.replace('"version": 1', '"version": 2'),
    "a key more": lambda text: text.replace('"version"', '"_target_": "os.system", "version"'),
    "a key less": lambda text: text.replace('"median"', '"medium"', 1),
    "another column": lambda text: text.replace('"column": "a"', '"column": "z"'),
    "twice": lambda text: text.replace('"gaucher"', '"x"'),
    "infinite": lambda text: text.replace('"mean": ', '"mean": Infinity, "was": ', 1),
    "not a number": lambda text: text.replace('"mean": ', '"mean": NaN, "column": ', 1),
    "huge": lambda text: text.replace('"highest": ', '"highest": 1' + "0" * 400 + ', "mean": ', 1),
    "scale": lambda text: text.replace('"scale": ', '"scale": -', 1),
    "text": lambda text: text.replace('"median": ', '"median": "1", "mean": ', 1),
    "truth": lambda text: text.replace('"rare": false', '"rare": 0'),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_refused_by_its_name(saved, damage):
    _, path = saved
    text = DAMAGES[damage](path.read_text(encoding="utf-8"))
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ValueError, match=r"preprocessing\.json'? is "):
        load_preprocessing(path, SCHEMA.to_dict())


def test_a_file_of_other_columns_is_refused(saved):
    with pytest.raises(ValueError, match="columns are not those of the model's schema"):
        load_preprocessing(saved[1], replace(SCHEMA, numeric=("b", "a")).to_dict())
