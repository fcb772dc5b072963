"""The table of predictions, and the measures worked out from it."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from meddistill.data.cohort import Cohort, number_rows
from meddistill.data.split import Split, split_cohort
from meddistill.data.tables.records import TableRecords
from meddistill.data.tables.schema import Schema
from meddistill.evaluation.predictions import evaluate, judge, predictions_table

ROWS = 60


def example(classes, ids=None):
    """A cohort with its split, the labelled rows and made-up probabilities."""
    random = np.random.default_rng(0)
    target = np.arange(ROWS) % len(classes)
    rows = number_rows(ROWS) if ids is None else np.array(ids, dtype=object)
    records = TableRecords(pd.DataFrame({"x": random.normal(size=ROWS)}), Schema(("x",)))
    cohort = Cohort("made up", records, target, tuple(classes), rows)
    split = split_cohort(cohort)
    probabilities = random.dirichlet(np.ones(len(classes)), ROWS)
    return cohort, split, split.labelled(target, 0.3), probabilities


@pytest.fixture
def whole():
    return example(["benign", "malignant"])


def test_the_table_has_a_line_a_row_and_its_columns_in_order(whole):
    table = predictions_table(*whole, member=2)
    assert list(table.columns) == [
        "row", "split", "labelled", "label", "member", "p_benign", "p_malignant"
    ]  # fmt: skip
    assert len(table) == ROWS
    assert (table["member"] == 2).all()


def test_each_line_says_what_is_known_of_its_own_row():
    ids = [f"patient {k}" for k in reversed(range(ROWS))]
    cohort, split, labelled, probabilities = example(["benign", "malignant"], ids)
    table = predictions_table(cohort, split, labelled, probabilities)
    for position, line in table.iterrows():
        assert line["row"] == ids[position]
        assert position in getattr(split, line["split"])
        assert line["labelled"] == labelled[position]
        assert line["label"] == ("benign", "malignant")[position % 2]
        assert line["p_benign"] == probabilities[position, 0]
        assert line["p_malignant"] == probabilities[position, 1]
        assert line["member"] == 0


@pytest.mark.parametrize("name", ["row", "split", "labelled", "label", "member"])
def test_a_class_named_like_a_column_does_not_collide_with_it(name):
    whole = example(["p_other", name])
    table = predictions_table(*whole)
    assert table.columns.is_unique
    assert np.array_equal(table[f"p_{name}"], whole[3][:, 1])
    assert np.array_equal(table["p_p_other"], whole[3][:, 0])
    assert set(table["label"]) == {"p_other", name}
    assert set(table["split"]) == {"train", "validation", "test"}


@pytest.mark.parametrize("classes", [("no", "yes"), ("a", "b", "c")])
def test_a_model_is_judged_on_the_labelled_rows_of_each_part(classes):
    cohort, split, labelled, probabilities = example(classes)
    table = predictions_table(cohort, split, labelled, probabilities)
    judged = judge(table, classes, threshold=0.8)
    assert list(judged) == ["train", "validation", "test"]
    for part, measures in judged.items():
        rows = [k for k in getattr(split, part) if labelled[k]]
        assert measures == evaluate(probabilities[rows], cohort.target[rows], 0.8)
        if part != "test":
            assert len(rows) < len(getattr(split, part))
            all_rows = getattr(split, part)
            assert measures != evaluate(probabilities[all_rows], cohort.target[all_rows], 0.8)
    assert len(classes) > 2 or judged != judge(table, classes, threshold=0.5)


def test_labels_and_answers_of_unlabelled_rows_play_no_part_in_the_judgement(whole):
    cohort, split, labelled, probabilities = whole
    before = judge(predictions_table(*whole), cohort.classes, 0.5)
    turned = np.where(labelled[:, None], probabilities, probabilities[:, ::-1])
    target = np.where(labelled, cohort.target, 1 - cohort.target)
    other = replace(cohort, target=target)
    assert judge(predictions_table(other, split, labelled, turned), cohort.classes, 0.5) == before


def test_the_order_of_the_classes_says_which_is_positive(whole):
    table = predictions_table(*whole)
    forth = judge(table, ["benign", "malignant"], 0.5)["test"]
    back = judge(table, ["malignant", "benign"], 0.5)["test"]
    assert forth["sensitivity"] == pytest.approx(back["specificity"])
    assert forth["average_precision"] != pytest.approx(back["average_precision"])


def test_a_trip_through_parquet_keeps_the_table_and_its_judgement(tmp_path):
    ids = ["007", "1e3", "", "NA", "null", *map(str, range(5, ROWS))]  # text that looks like else
    whole = example(["0", "nan", "Ü, m"], ids)
    table = predictions_table(*whole)
    again = pd.read_parquet(io.BytesIO(table.to_parquet(index=False)))
    pd.testing.assert_frame_equal(again, table)
    assert list(again["row"]) == ids
    assert judge(again, whole[0].classes, 0.5) == judge(table, whole[0].classes, 0.5)


def test_a_table_of_rows_in_no_part_is_judged_without_them():
    cohort, split, labelled, probabilities = example(["no", "yes"])
    fewer = Split(split.train[2:], split.validation, split.test, split.turn)
    table = predictions_table(cohort, fewer, labelled, probabilities)
    assert table["split"].isna().sum() == 2
    rows = fewer.train[labelled[fewer.train]]
    expected = evaluate(probabilities[rows], cohort.target[rows], 0.5)
    assert judge(table, cohort.classes, 0.5)["train"] == expected
