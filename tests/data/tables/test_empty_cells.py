"""What empty cells become is what scikit-learn makes of them, learned from training rows alone."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer
from sklearn.preprocessing import StandardScaler

from composing import composed
from frames import inputs_of, with_frame
from meddistill.config.confdir import choices
from meddistill.data.datamodule import CohortDataModule
from meddistill.data.tables import empty_cells
from meddistill.data.tables.empty_cells import Iterative, Knn, Median, Native
from meddistill.data.tables.fitting import fit_preprocessing
from meddistill.data.tables.iterative import fit_regressions
from meddistill.data.tables.knn import Neighbours
from meddistill.data.tables.modality import load_preprocessing
from meddistill.data.tables.records import TableRecords
from meddistill.data.tables.schema import Schema
from meddistill.errors import SettingError, UserError

SCHEMA = Schema(("a", "b", "c", "whole", "never"), ("kind",))
WIDTH = 5


def rows(count=80, seed=0):
    """Three columns that tell each other and are empty here and there, one whole, one without."""
    random = np.random.default_rng(seed)
    a = random.normal(size=count)
    frame = pd.DataFrame(
        {"a": a, "b": 3 * a + random.normal(size=count), "c": -a + random.normal(size=count)}
    )
    frame = frame.mask(random.random(frame.shape) < 0.3)
    frame["whole"], frame["never"] = random.normal(size=count), np.nan
    frame["kind"] = random.choice(["x", "y", None], count)
    return TableRecords.prepared(frame, SCHEMA)


def fitted(method, records=None):
    return method.fit(rows() if records is None else records, 1, None)


def scaled_by_scikit_learn(records, new):
    """[rows, 4] centred and scaled, of `new`; the column without a number is not among them."""
    return StandardScaler().fit(records.cells.numbers[:, :4]).transform(new.cells.numbers[:, :4])


def test_the_median_is_what_it_was():
    usual = fit_preprocessing(SCHEMA, rows().cells)
    assert np.array_equal(fitted(Median())(rows(seed=1)), usual(rows(seed=1)))


def test_native_reads_0_and_a_mask_beside_every_column_that_has_numbers():
    made, new = fitted(Native()), rows(seed=1)
    values = scaled_by_scikit_learn(rows(), new)
    inputs = made(new)
    assert np.array_equal(inputs[:, :4], np.nan_to_num(values).astype(np.float32))
    assert (inputs[:, 4] == 0).all()
    assert np.array_equal(inputs[:, WIDTH : WIDTH + 4], np.isnan(values))
    assert [name for name in made.names if "missing" in name][:4] == [
        "a (missing)", "b (missing)", "c (missing)", "whole (missing)",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["iterative", "knn"])
def test_new_rows_are_filled_as_scikit_learn_fills_them(name):
    train, new = rows(), rows(seed=1)
    made = fitted(Iterative(max_iter=3) if name == "iterative" else Knn(), train)
    scaled = scaled_by_scikit_learn(train, train)
    ends = np.nanmin(scaled, axis=0), np.nanmax(scaled, axis=0)
    imputer = (
        IterativeImputer(max_iter=3, initial_strategy="median", random_state=0,
                         min_value=ends[0], max_value=ends[1])
        if name == "iterative" else KNNImputer()
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        expected = imputer.fit(scaled).transform(scaled_by_scikit_learn(train, new))
    assert np.abs(made(new)[:, :4] - expected).max() < 1e-5
    masks = fitted(Native())(new)[:, WIDTH:]
    assert np.array_equal(made(new)[:, WIDTH:], masks)


@pytest.mark.parametrize("method", [Median(), Native(), Iterative(), Knn(most_rows=20)])
def test_what_is_saved_answers_to_the_last_bit_and_a_row_as_in_company(method, tmp_path):
    made, new = fitted(method), rows(seed=2)
    made.hide = 0.3
    made.save(tmp_path / "preprocessing.json")
    read = load_preprocessing(tmp_path / "preprocessing.json", SCHEMA.to_dict())
    assert read.hide == 0.3
    assert np.array_equal(read(new), made(new))
    alone = [read(new.take(np.array([row]))) for row in range(10)]
    assert np.array_equal(np.concatenate(alone), made(new)[:10])


def whole_years(count, columns=20, seed=0):
    """Ages in whole years, of which many are alike, and columns that most rows lack."""
    random = np.random.default_rng(seed)
    age = random.integers(40, 50, count)
    frame = pd.DataFrame({f"lab{k}": age + random.normal(size=count) for k in range(columns)})
    frame = frame.mask(random.random(frame.shape) < np.linspace(0.1, 1, count)[:, None])
    return frame.assign(age=age)


@pytest.mark.parametrize("method", [Native(), Iterative(), Knn()])
def test_a_row_is_filled_alike_alone_shuffled_and_in_training_also_where_rows_are_tied(
    method, tmp_path
):
    frame = whole_years(200)
    schema = Schema(tuple(frame.columns), ())
    made = method.fit(TableRecords(frame, schema), 1, None)
    trained = made(TableRecords.prepared(frame, schema))
    made.save(tmp_path / "preprocessing.json")
    read = load_preprocessing(tmp_path / "preprocessing.json", schema.to_dict())
    order = np.random.default_rng(1).permutation(len(frame))
    shuffled = inputs_of(read, frame.iloc[order])
    alone = [inputs_of(read, frame.iloc[[row]])[0] for row in range(len(frame))]
    assert np.array_equal(shuffled, trained[order])
    assert np.array_equal(np.stack(alone), trained)


@pytest.mark.parametrize("name", ["iterative", "knn"])
def test_a_filler_answers_a_row_to_the_last_bit_alone_and_in_any_layout(name):
    values = whole_years(60).to_numpy(dtype=float)
    scaled = (values - np.nanmean(values, axis=0)) / np.nanstd(values, axis=0)
    if name == "knn":
        filler = Neighbours(scaled, 5)
        moved = Neighbours(np.asfortranarray(scaled), 5)
        assert np.array_equal(moved(scaled), filler(scaled))
    else:
        ends = np.nanmin(scaled, axis=0), np.nanmax(scaled, axis=0)
        filler, _ = fit_regressions(scaled, *ends, 2)
    together = filler(np.asfortranarray(scaled))
    assert np.array_equal(np.concatenate([filler(row[None]) for row in scaled]), together)


def test_all_rows_as_near_as_the_last_of_the_nearest_are_averaged():
    donors = np.array([[0, 1], [0, 2], [0, 3], [0, 10], [1, 99], [0, np.nan]], dtype=float)
    new = np.array([[0, np.nan], [5, np.nan], [np.nan, np.nan]])
    filled = Neighbours(donors, 2)(new)[:, 1]
    assert filled.tolist() == [4, (99 + 1 + 2 + 3 + 10) / 5, (99 + 1 + 2 + 3 + 10) / 5]
    assert Neighbours(donors[::-1], 2)(new)[:, 1].tolist() == filled.tolist()


@pytest.mark.parametrize("method", [Native(), Iterative(), Knn()])
def test_a_column_may_be_absent_that_training_rows_often_lacked_whatever_fills_it(method, tmp_path):
    train, frame = rows(), rows(seed=1).frame
    train.frame.loc[3, "whole"] = np.nan  # one patient of eighty: too few to be told
    method.fit(TableRecords(train.frame, SCHEMA), 5, None).save(tmp_path / "preprocessing.json")
    read = load_preprocessing(tmp_path / "preprocessing.json", SCHEMA.to_dict())
    without = inputs_of(read, frame.drop(columns=["b", "c"]))
    assert np.array_equal(without, inputs_of(read, frame.assign(b=np.nan, c=np.nan)))
    with pytest.raises(UserError, match="lack column 'whole'"):
        read.read(frame.drop(columns="whole"))
    assert read.spared == {"a", "b", "c", "kind"}


@pytest.mark.parametrize("method", [Median(), Native(), Iterative(), Knn()])
def test_a_median_is_written_and_told_where_it_is_kept_alone(method, tmp_path):
    path = tmp_path / "preprocessing.json"
    made = fitted(method)
    made.save(path)
    columns = json.loads(path.read_text())["numbers"]
    kept = type(method) is Median
    assert [("median" in each) for each in columns[:4]] == [kept] * 4
    assert ("a median, how often" in made.learned) == kept
    columns[0]["median"] = columns[0]["mean"]
    if not kept:
        path.write_text(json.dumps({**json.loads(path.read_text()), "numbers": columns}))
        with pytest.raises(ValueError, match="some columns have a median and some have none"):
            load_preprocessing(path, SCHEMA.to_dict())


def test_a_share_of_empty_cells_that_is_none_is_refused(tmp_path):
    path = tmp_path / "preprocessing.json"
    fitted(Native()).save(path)
    plain = json.loads(path.read_text())
    plain["numbers"][0]["missing"]["share"] = 2.0
    path.write_text(json.dumps(plain))
    with pytest.raises(ValueError, match=r"share=2\.0 is no share"):
        load_preprocessing(path, SCHEMA.to_dict())


def damaged(key, value):
    def change(filler):
        filler[key] = value

    return change


@pytest.mark.parametrize(
    ("method", "change"),
    [
        (Iterative(), damaged("weights", [[1.0]])),
        (Iterative(), damaged("start", [None] * 4)),
        (Iterative(), lambda filler: filler["column"].__setitem__(0, 9)),
        (Knn(), damaged("n_neighbors", 0)),
        (Knn(), damaged("donors", [[1.0]])),
        (Knn(), damaged("by", "pickle")),
        (Knn(), damaged("more", 1)),
    ],
)
def test_a_damaged_filler_is_refused(method, change, tmp_path):
    path = tmp_path / "preprocessing.json"
    fitted(method).save(path)
    plain = json.loads(path.read_text())
    change(plain["filler"])
    path.write_text(json.dumps(plain))
    with pytest.raises(ValueError, match=r"damaged|must be"):
        load_preprocessing(path, SCHEMA.to_dict())


def saved(name, cohort, split, path):
    """What a choice of `missing` has learned, as its file says it."""
    node = composed("distill", f"missing={name}").missing
    data = CohortDataModule(cohort, split, preprocessing=dict(node), key="missing")
    data.preprocessing.save(path)
    return path.read_text()


def with_holes(cohort):
    """The cohort with a third of its cells empty, of five columns."""
    schema = cohort.records.schema.only(cohort.records.columns[:5])
    frame = cohort.records.frame[schema.columns]
    holes = np.random.default_rng(0).random(frame.shape) < 0.3
    return with_frame(cohort, frame.mask(holes), schema)


def assert_learned_from_training_rows_alone(name, cohort, split, path):
    """Whatever stands in validation and test rows, the same is learned."""
    cohort = with_holes(cohort)
    frame = cohort.records.frame.copy()
    frame.loc[np.concatenate([split.validation, split.test])] = 1e6
    other = with_frame(cohort, frame)
    assert saved(name, cohort, split, path) == saved(name, other, split, path)


@pytest.mark.parametrize("name", choices("missing"))
def test_nothing_is_learned_from_test_rows(name, cohort, split, tmp_path):
    assert_learned_from_training_rows_alone(name, cohort, split, tmp_path / "learned.json")


@pytest.mark.parametrize("name", choices("missing"))
def test_a_statistic_fitted_on_test_rows_would_be_caught(
    name, cohort, split, tmp_path, monkeypatch
):
    monkeypatch.setattr(TableRecords, "take", lambda self, positions: self)  # the planted fault
    with pytest.raises(AssertionError):
        assert_learned_from_training_rows_alone(name, cohort, split, tmp_path / "learned.json")


def test_no_end_of_a_regressions_range_is_a_few_patients():
    records = rows()
    frame = records.frame.copy()
    frame.loc[0, "whole"] = 1e5
    made = Iterative().fit(TableRecords(frame, SCHEMA), 5, None)
    empty = frame.assign(whole=np.nan)
    numbers = made.numbers
    filled = inputs_of(made, empty)[:, 3] * numbers.scale[3] + numbers.mean[3]
    assert filled.max() <= np.sort(frame["whole"])[-5] + 1e-3


@pytest.mark.parametrize("method", [Native(), Iterative(), Knn()])
def test_tables_of_one_column_or_of_categories_alone_are_read(method):
    for numeric, categorical in (("a",), ()), ((), ("kind",)):
        schema = Schema(numeric, categorical)
        records = TableRecords(rows().frame, schema)
        made = method.fit(records, 1, None)
        assert np.isfinite(made(records)).all()
        assert np.isfinite(made(made.probe())).all()


def test_regressions_of_very_many_columns_are_refused(monkeypatch):
    monkeypatch.setattr(empty_cells, "MOST_COLUMNS", 3)
    with pytest.raises(SettingError, match=r"missing=iterative: .* take missing=native"):
        fitted(Iterative())
