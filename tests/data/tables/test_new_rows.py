"""New rows for a model: an answer, or one message that says what is wrong with them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from meddistill.data.datamodule import CohortDataModule
from meddistill.data.split import split_cohort
from meddistill.data.tables.table import table
from meddistill.errors import UserError
from meddistill.inference.card import Card
from meddistill.inference.network import MeanOfProbabilities, NetworkModel

ROWS = 120
NEW = pd.DataFrame({"age": [50.0, 61.5], "ward": ["a", "b"]})


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model of an age, a ward and an alcohol of which None is one."""
    path = tmp_path_factory.mktemp("new") / "p.csv"
    number = np.arange(ROWS)
    frame = pd.DataFrame({"age": number * 7 % 48 + 30.5, "ward": np.array(["a", "b"])[number % 2]})
    frame.assign(ill=number % 3 == 0).to_csv(path, index=False)
    data = CohortDataModule(cohort := table(str(path), "ill"), split_cohort(cohort))
    torch.manual_seed(0)
    network = MeanOfProbabilities([torch.nn.Linear(data.in_shape[0], 2)])
    return NetworkModel(Card.of({}, [], data), network, data.preprocessing)


def test_no_rows_have_no_answers(model):
    answers = model.predict_proba(NEW.iloc[:0])
    assert answers.shape == (0, 2)
    assert list(answers.columns) == ["False", "True"]


@pytest.mark.parametrize(
    "rows", [NEW.iloc[0], NEW.to_numpy(), {"age": 50, "ward": "a"}, [50, "a"], "p.csv", None],
    ids=lambda rows: type(rows).__name__,
)  # fmt: skip
def test_what_is_no_frame_is_refused_by_its_type_with_what_would_be_one(model, rows):
    with pytest.raises(UserError, match=r"rows come as a pandas\.DataFrame") as caught:
        model.predict_proba(rows)
    assert type(rows).__name__ in str(caught.value)
    assert "pd.DataFrame([{" in str(caught.value)


def test_a_column_twice_is_refused_where_it_is_needed_alone(model):
    with pytest.raises(UserError, match="'age' more than once"):
        model.predict_proba(pd.concat([NEW, NEW[["age"]]], axis=1))
    further = NEW.assign(x=1)[["age", "ward", "x", "x"]]
    assert model.predict_proba(further).equals(model.predict_proba(NEW))


def test_names_in_several_levels_are_refused(model):
    several = NEW.set_axis(pd.MultiIndex.from_product([["in"], ["age", "ward"]]), axis=1)
    with pytest.raises(UserError, match="several levels"):
        model.predict_proba(several)


def test_a_column_in_another_case_is_named_beside_the_near_one(model):
    with pytest.raises(UserError, match=r"lack column 'age'.*is 'Age' meant"):
        model.predict_proba(NEW.rename(columns={"age": "Age"}))


LISTS = [[1], {"a": 1}, np.ones(2), (1, 2)]


@pytest.mark.parametrize(
    ("column", "cell"),
    [*(("ward", cell) for cell in LISTS), *(("age", cell) for cell in LISTS),
     ("age", 1j), ("age", pd.Timestamp("2020"))],
    ids=str,
)  # fmt: skip
def test_a_cell_that_is_no_cell_is_refused_by_column_and_row(model, column, cell):
    rows = NEW.assign(**{column: pd.Series(["61", cell], dtype=object)})
    with pytest.raises(UserError, match=f"column '{column}', row 1"):
        model.predict_proba(rows)


def test_a_row_has_one_answer_by_its_index_however_typed(model):
    named = NEW.set_axis(["P1", "P2"])
    answers = model.predict_proba(named)
    assert list(answers.index) == ["P1", "P2"]
    for rows in (named.astype(str), named.convert_dtypes(), named.astype(object),
                 named.astype({"ward": "category"}), named.set_index("ward")):  # fmt: skip
        assert model.predict_proba(rows).to_numpy().tobytes() == answers.to_numpy().tobytes()


def test_a_column_without_one_known_category_is_refused(model):
    rows = pd.concat([NEW] * 6, ignore_index=True).assign(ward="ward a")
    with pytest.raises(UserError, match="'ward': not one of the categories is known") as caught:
        model.predict_proba(rows)
    assert "'ward a'" in str(caught.value)
    assert np.isfinite(model.predict_proba(rows.assign(ward="")).to_numpy()).all()


def test_few_unknown_categories_are_answered_and_said_once(model, caplog):
    rows = pd.concat([NEW] * 6, ignore_index=True)
    rows.loc[3:5, "ward"] = "c"
    assert np.isfinite(model.predict_proba(rows).to_numpy()).all()
    (said,) = caplog.messages
    assert "no input" in said
    assert "column 'ward' (3 row(s), first: 'c')" in said
    assert np.isfinite(model.predict_proba(NEW.assign(ward="c")).to_numpy()).all()


def test_the_mean_of_one_network_is_that_of_it_twice():
    torch.manual_seed(0)
    inputs, network = torch.randn(50, 7), torch.nn.Linear(7, 3)
    once, twice = (MeanOfProbabilities([network] * count)(inputs) for count in (1, 2))
    torch.testing.assert_close(once, twice, rtol=1e-15, atol=1e-15)
