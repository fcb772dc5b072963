"""Nothing but the training rows of its own split shapes what a model reads."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pandas as pd
import pytest

from frames import inputs_of, remarks_on, with_frame
from meddistill.data.datamodule import CohortDataModule
from meddistill.data.split import split_cohort
from meddistill.data.tables.encoding import FURTHEST
from meddistill.data.tables.fitting import fit_preprocessing
from meddistill.data.tables.modality import load_preprocessing
from meddistill.data.tables.records import TableRecords
from meddistill.data.tables.rows import find_columns
from meddistill.data.tables.schema import Schema
from meddistill.data.tables.table import table
from meddistill.errors import UserError

ROWS = 120


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """Numbers and categories from a file, some of each missing."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": random.normal(60, 10, ROWS).round(3),
            "lab": random.lognormal(1, 1, ROWS).round(4),
            "sex": random.choice(["f", "m"], ROWS),
            "ward": random.choice(["a", "b", "c"], ROWS),
            "ill": np.arange(ROWS) % 3 == 0,
        }
    )
    frame.loc[random.random(ROWS) < 0.2, "lab"] = np.nan
    frame.loc[random.random(ROWS) < 0.2, "ward"] = None
    path = tmp_path_factory.mktemp("mixed") / "mixed.csv"
    frame.to_csv(path, index=False)
    return table(str(path), "ill")


@pytest.fixture(scope="module")
def parts(mixed):
    return split_cohort(mixed)


@pytest.fixture(scope="module")
def fitted(mixed, parts):
    return CohortDataModule(mixed, parts).preprocessing


def poisoned(cohort, rows, number=1e30, category="never seen"):
    features = cohort.records.frame.copy()
    features.loc[rows, list(cohort.records.schema.numeric)] = number
    features.loc[rows, list(cohort.records.schema.categorical)] = category
    return with_frame(cohort, features)


# Training rows alone


@pytest.mark.parametrize("part", ["validation", "test"])
@pytest.mark.parametrize("number", [1e30, np.nan])
def test_poisoned_rows_outside_training_move_no_statistic(mixed, parts, fitted, part, number):
    clean = CohortDataModule(mixed, parts).rows.inputs
    rows = parts.part(part)
    category = "never seen" if number == number else np.nan
    data = CohortDataModule(poisoned(mixed, rows, number, category), parts)
    others = np.setdiff1d(np.arange(ROWS), rows)
    assert data.in_shape == tuple(clean.shape[1:])
    assert data.rows.inputs[others].equal(clean[others])
    assert not (data.rows.inputs[rows] == clean[rows]).all(dim=1).any()
    assert (
        inputs_of(data.preprocessing, mixed.records.frame).tobytes()
        == inputs_of(fitted, mixed.records.frame).tobytes()
    )


def test_one_poisoned_training_row_does_move_them(mixed, parts):
    clean = CohortDataModule(mixed, parts).rows.inputs
    data = CohortDataModule(poisoned(mixed, parts.train[:1]), parts)
    assert not data.rows.inputs[parts.test][:, :2].equal(clean[parts.test][:, :2])
    assert data.in_shape[0] == clean.shape[1]  # one patient's category has no input


def test_another_split_has_statistics_of_its_own(mixed, parts):
    other = split_cohort(mixed, split_seed=1)
    assert not CohortDataModule(mixed, other).rows.inputs.equal(
        CohortDataModule(mixed, parts).rows.inputs
    )


def test_numbers_are_filled_and_scaled_by_the_training_rows_median_mean_and_deviation(
    mixed, parts, fitted
):
    inputs = dict(zip(fitted.names, inputs_of(fitted, mixed.records.frame).T, strict=True))
    for column in mixed.records.schema.numeric:
        cells = mixed.records.frame[column].to_numpy()
        filled = np.where(np.isnan(cells), np.nanmedian(cells[parts.train]), cells)
        mean, deviation = filled[parts.train].mean(), filled[parts.train].std()
        np.testing.assert_allclose(inputs[column], (filled - mean) / deviation, rtol=1e-5)


def test_a_missing_number_has_an_indicator_and_a_missing_category_an_input(mixed, fitted):
    inputs = dict(zip(fitted.names, inputs_of(fitted, mixed.records.frame).T, strict=True))
    no_lab, no_ward = (mixed.records.frame[column].isna() for column in ("lab", "ward"))
    indicator = inputs["lab (missing)"]
    assert len(set(indicator[no_lab])) == len(set(indicator[~no_lab])) == 1
    assert indicator[no_lab][0] > indicator[~no_lab][0]
    assert (inputs["ward (missing)"] == no_ward).all()
    assert "age (missing)" not in inputs  # never missing in training


def test_a_category_is_one_input_of_0_and_1(mixed, fitted):
    inputs = dict(zip(fitted.names, inputs_of(fitted, mixed.records.frame).T, strict=True))
    for column in mixed.records.schema.categorical:
        for category in mixed.records.frame[column].dropna().unique():
            wanted = mixed.records.frame[column] == category
            assert (inputs[f"{column}={category}"] == wanted).all()


def test_inputs_are_finite_float32_also_where_everything_is_missing(mixed, fitted):
    nothing = pd.DataFrame(np.nan, index=[0, 1], columns=mixed.records.schema.columns)
    for rows in (
        mixed.records.frame,
        nothing,
        nothing.astype(object),
        nothing.replace(np.nan, "?"),
    ):
        inputs = inputs_of(fitted, rows)
        assert inputs.dtype == np.float32
        assert np.isfinite(inputs).all()


@pytest.mark.parametrize("column", ["age", "ward"])
def test_a_column_without_any_cell_in_training_does_not_crash(mixed, parts, column):
    features = mixed.records.frame.copy()
    features.loc[parts.train, column] = np.nan
    cohort = with_frame(mixed, features)
    data = CohortDataModule(cohort, parts)
    assert data.rows.inputs.isfinite().all()
    known = data.preprocessing.names
    assert ("age" if column == "age" else "ward (missing)") in known


# New rows


def test_raw_cells_are_read_as_prepared_ones(mixed, fitted):
    raw = mixed.records.frame.astype(object).where(mixed.records.frame.notna(), " ? ")
    raw["age"] = raw["age"].map("{} ".format)
    assert inputs_of(fitted, raw).tobytes() == inputs_of(fitted, mixed.records.frame).tobytes()


def test_the_order_of_columns_and_further_ones_change_nothing(mixed, fitted):
    other = mixed.records.frame.iloc[:, ::-1].assign(ill="yes", note="text")
    assert inputs_of(fitted, other).tobytes() == inputs_of(fitted, mixed.records.frame).tobytes()


def test_a_row_is_read_the_same_alone_and_among_others(mixed, fitted):
    whole = inputs_of(fitted, mixed.records.frame)
    for row in range(0, ROWS, 17):
        assert inputs_of(fitted, mixed.records.frame.iloc[[row]]).tobytes() == whole[row].tobytes()


def test_an_unseen_category_is_answered_and_said_with_column_count_and_value(mixed, fitted):
    rows = mixed.records.frame.head(10).assign(ward=["a", "zz", "yy", None, *"abcabc"])
    (remark,) = remarks_on(fitted, rows)
    assert remark == (
        "categories that the model has no input for, answered like rare ones: column 'ward' "
        "(2 row(s), first: 'zz')"
    )
    ward = pd.DataFrame(inputs_of(fitted, rows), columns=fitted.names).filter(like="ward")
    assert ward.sum(axis=1).tolist() == [1, 0, 0, *[1] * 7]


def test_of_usual_rows_nothing_is_said_and_inputs_are_made_without_a_word(mixed, fitted, caplog):
    assert remarks_on(fitted, mixed.records.frame) == []
    inputs_of(fitted, mixed.records.frame.assign(ward="new"))
    assert not caplog.records


def test_numbers_far_outside_the_training_range_and_rows_mostly_empty_are_said(mixed, fitted):
    rows = mixed.records.frame.head(4).assign(age=[6e4, 60, -900, 61])
    rows.loc[rows.index[3], ["age", "lab", "ward"]] = None
    far, empty = remarks_on(fitted, rows)
    assert far.startswith("numbers outside the training range")
    assert "column 'age' (2 row(s), first: '60000.0', about " in far
    assert empty.startswith("1 row(s) have most of their cells empty (first: row 3")


@pytest.mark.parametrize("number", [3e38, -3e38])
def test_no_number_that_float32_holds_makes_an_input_infinite(mixed, fitted, number):
    inputs = inputs_of(fitted, mixed.records.frame.assign(age=number))
    assert abs(inputs).max() == FURTHEST


@pytest.mark.parametrize("column", ["age", "sex"])
def test_a_missing_column_in_new_rows_is_an_error_that_names_it(mixed, fitted, column):
    with pytest.raises(UserError) as caught:
        inputs_of(fitted, mixed.records.frame.drop(columns=column))
    assert str(caught.value).startswith(
        f"these rows lack column '{column}', which the model was trained with: "
        "add the columns (their cells may be empty)"
    )


def test_a_column_that_training_rows_lack_too_may_be_absent(mixed, fitted, caplog):
    frame = mixed.records.frame
    without = inputs_of(fitted, frame.drop(columns=["lab", "ward"]))
    assert np.array_equal(without, inputs_of(fitted, frame.assign(lab=np.nan, ward=None)))
    assert [each.getMessage() for each in caplog.records] == [
        "columns 'lab', 'ward': absent from these rows, answered as if every cell were empty, "
        "which the model was trained for"
    ]


def test_every_column_may_be_absent_where_training_hid_cells_but_not_all_of_them(mixed, parts):
    fitted = CohortDataModule(mixed, parts, hide=0.3).preprocessing
    frame = mixed.records.frame
    without = inputs_of(fitted, frame[["lab"]])
    assert np.array_equal(without, inputs_of(fitted, frame.assign(age=None, sex=None, ward=None)))
    with pytest.raises(UserError, match="lack columns 'age', 'lab', 'sex', 'ward', which"):
        inputs_of(fitted, frame[[]])


def test_a_column_that_may_be_misspelled_is_not_taken_for_absent(mixed, fitted):
    with pytest.raises(UserError, match=r"lack column 'ward'.*is 'Ward' meant"):
        inputs_of(fitted, mixed.records.frame.rename(columns={"ward": "Ward"}))


def test_no_column_that_the_model_reads_is_taken_for_an_absent_one():
    schema = Schema(("GCS_mean", "GCS_min", "age"))
    rows = pd.DataFrame({"GCS_min": [3.0], "age": [60]})
    with pytest.raises(
        UserError, match="lack column 'GCS_mean', which the model was trained with:"
    ):
        find_columns(rows, schema.columns)
    with pytest.raises(UserError, match=r"lack columns 'GCS_mean', 'age'.*is 'Age' meant"):
        find_columns(rows.rename(columns={"age": "Age"}), schema.columns)


def test_absent_columns_are_added_to_a_wide_table_without_a_warning_of_pandas():
    schema = Schema(tuple(f"gene{k}" for k in range(120)), tuple(f"kind{k}" for k in range(120)))
    cells = dict.fromkeys(schema.numeric, 1.0) | dict.fromkeys(schema.categorical, "x")
    frame = pd.concat([pd.Series([cell] * 9, name=name) for name, cell in cells.items()], axis=1)
    fitted = fit_preprocessing(schema, TableRecords(frame, schema).cells)
    fitted.hide = 0.1
    for absent in (["gene3"], [f"gene{k}" for k in range(119)]):
        rows, emptied = frame.drop(columns=absent), frame.copy()
        emptied[absent] = np.nan
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            fitted.check_raw(rows)
            without = inputs_of(fitted, rows)
            fitted.probe()
        assert np.array_equal(without, inputs_of(fitted, emptied))


def test_a_column_without_a_cell_is_said_where_there_are_rows_enough(mixed, fitted):
    rows = mixed.records.frame.head(10).assign(age=np.nan)
    assert "column 'age': empty in every row, answered as missing" in remarks_on(fitted, rows)
    assert remarks_on(fitted, rows.head(3)) == []


def test_all_missing_columns_are_named_at_once(mixed, fitted):
    with pytest.raises(UserError, match="lack columns 'age', 'lab', 'sex', 'ward', which"):
        inputs_of(fitted, pd.DataFrame({"note": ["text"]}))


def test_of_very_many_missing_columns_five_are_named_and_the_rest_counted():
    schema = Schema(tuple(f"gene{k}" for k in range(30)))
    with pytest.raises(UserError, match="'gene3', 'gene4' and 25 more, which"):
        schema.prepare(pd.DataFrame({"age": [1.0]}))


def test_text_in_a_numeric_column_of_new_rows_is_an_error_with_row_and_value(mixed, fitted):
    rows = mixed.records.frame.head(4).set_axis(["P1", "P2", "P3", "P4"])
    rows = rows.assign(age=[50, "?", "sixty", "old"])
    with pytest.raises(UserError) as caught:
        inputs_of(fitted, rows)
    assert "column 'age', row P3: 'sixty' is no number (2 such cells)" in str(caught.value)
    assert "data.missing" in str(caught.value)


def test_infinities_in_new_rows_are_read_as_missing(mixed, fitted):
    rows = mixed.records.frame.head(2)
    infinite = rows.assign(lab=[np.inf, -np.inf])
    assert (
        inputs_of(fitted, infinite).tobytes()
        == inputs_of(fitted, rows.assign(lab=np.nan)).tobytes()
    )


# One row


@pytest.fixture(scope="module")
def typed(mixed):
    """The mixed rows in many types of pandas and Arrow, beside columns that no model reads."""
    frame = mixed.records.frame.assign(
        note="text", when=pd.Timestamp("2020-02-02"), many=[[1]] * ROWS
    )
    kinds = {
        "float64": {}, "float32": {"age": "float32"}, "Float64": {"age": "Float64"},
        "Int64": {"lab": "Int64"}, "arrow": {"lab": "double[pyarrow]", "ward": "string[pyarrow]"},
        "object": {"age": "object", "sex": "object"}, "category": {"ward": "category"},
    }  # fmt: skip
    whole = frame.assign(lab=frame["lab"].round())
    return {kind: whole.astype(types)[whole.columns[::-1]] for kind, types in kinds.items()}


@pytest.mark.parametrize(
    "kind", ["float64", "float32", "Float64", "Int64", "arrow", "object", "category"]
)
def test_a_raw_row_alone_is_read_cell_by_cell_and_as_among_others(typed, fitted, kind):
    whole = inputs_of(fitted, typed[kind])
    for place in range(0, ROWS, 7):
        row = typed[kind].iloc[[place]]
        # A column of float32 goes by the reader of columns, which reads it as decimals.
        assert (fitted.schema.one_row(row) is None) == (kind == "float32")
        assert inputs_of(fitted, row).tobytes() == whole[place].tobytes()


@pytest.mark.parametrize("number", [np.inf, 1e300])
def test_an_infinite_cell_of_a_row_alone_is_said_as_of_many(mixed, fitted, number, caplog):
    row = mixed.records.frame.head(1).assign(age=number)
    (said,) = remarks_on(fitted, row)
    assert said.startswith("column 'age': 1 infinite cell(s) read as missing")


def test_text_for_a_number_in_a_row_alone_is_an_error_as_of_many(mixed, fitted):
    with pytest.raises(UserError, match="column 'age', row 0: 'sixty' is no number"):
        inputs_of(fitted, mixed.records.frame.head(1).assign(age="sixty"))


# On disk


def test_a_schema_comes_back_from_json(mixed):
    text = json.dumps(mixed.records.schema.to_dict())
    assert Schema.from_dict(json.loads(text)) == mixed.records.schema


def test_the_data_module_saves_what_it_fitted_under_its_name(mixed, parts, fitted, tmp_path):
    CohortDataModule(mixed, parts).save_preprocessing(tmp_path)
    loaded = load_preprocessing(tmp_path / "preprocessing.json", mixed.records.spec)
    assert (
        inputs_of(loaded, mixed.records.frame).tobytes()
        == inputs_of(fitted, mixed.records.frame).tobytes()
    )
