"""Columns chosen by training rows alone, of tables with far more columns than rows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from meddistill.config.identity import identity
from meddistill.data.datamodule import CohortDataModule
from meddistill.data.split import split_cohort
from meddistill.data.tables.table import table
from meddistill.errors import SettingError
from meddistill.students.columns import Columns, chosen
from meddistill.students.ranked import ranked

ROWS, GENES = 90, 200
SHORT = ("teacher=forest", "teacher.trees=5", "teacher.folds=2", "student=mlp_tiny",
         "trainer.max_epochs=1")  # fmt: skip


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Two hundred columns; G1, G2 and `ward` differ between the classes, G9 varies most."""
    random = np.random.default_rng(0)
    ill = np.arange(ROWS) % 2
    genes = random.normal(size=(ROWS, GENES))
    genes[:, 1] += 3 * ill
    genes[:, 2] -= 2 * ill
    genes[:, 9] *= 20
    genes[::3, 2] = np.nan
    frame = pd.DataFrame(genes, columns=[f"G{k}" for k in range(GENES)])
    frame["ward"] = np.where(random.random(ROWS) < 0.1, "east", np.where(ill, "north", "south"))
    frame["constant"] = 7.0
    frame["ill"] = np.where(ill, "yes", "no")
    path = tmp_path_factory.mktemp("genes") / "genes.csv"
    frame.to_csv(path, index=False)
    return path


def rows(path, labels=1.0, **settings):
    cohort = table(str(path), "ill", positive="yes")
    return CohortDataModule(cohort, split_cohort(cohort), labels, **settings)


@pytest.mark.parametrize("method", [None, {"_target_": "meddistill.data.tables.bands.Bands"}])
@pytest.mark.parametrize("by", ["univariate", "l1"])
def test_columns_that_differ_between_the_classes_are_found(by, method, file):
    found = ranked(by, rows(file, preprocessing=method), 2)
    assert max(found, key=found.get) in {"G1", "ward"}
    assert by == "l1" or set(found) == {"G1", "ward"}
    assert list(found.values()) == sorted(found.values(), reverse=True)


def test_the_columns_that_vary_most_are_found_in_their_own_units(file):
    found = ranked("variance", rows(file), 2)
    assert list(found) == ["G9", "G1"]
    assert "constant" not in ranked("variance", rows(file), GENES + 2)


@pytest.mark.parametrize("by", ["variance", "univariate", "l1"])
def test_no_row_but_training_ones_and_no_label_that_is_not_there_decides(by, file, tmp_path):
    data = rows(file, labels=0.5)
    expected = ranked(by, data, 5)
    frame = pd.read_csv(file)
    train = np.isin(np.arange(ROWS), data.split.train)
    frame.loc[~train, [f"G{k}" for k in range(100, 120)]] *= 50
    unseen = train & ~np.asarray(data.labelled)
    if by != "variance":
        frame.loc[unseen, "G50"] = np.where(frame.loc[unseen, "ill"] == "yes", 9.0, -9.0)
    frame.to_csv(tmp_path / "genes.csv", index=False)
    cohort = table(str(tmp_path / "genes.csv"), "ill", positive="yes")
    again = CohortDataModule(cohort, data.split, 0.5)
    assert np.array_equal(again.labelled, data.labelled)
    assert ranked(by, again, 5) == pytest.approx(expected)


def test_labels_of_one_class_are_no_comparison(file):
    data = rows(file)
    one = data.cohort.target == 0
    data.labelled &= one
    with pytest.raises(SettingError, match="all labelled training rows are of one"):
        ranked("univariate", data, 3)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"by": "entropy", "most": 3}, "must be one of teacher, variance, univariate, l1"),
        ({"by": "l1"}, "chooses columns.most of them"),
        ({"by": "l1", "costs": {"a": 1}, "budget": 2}, "knows no costs"),
        ({"by": "l1", "keep": ["a"]}, "would choose them"),
    ],
)
def test_settings_that_nothing_obeys_are_refused(settings, says):
    with pytest.raises(SettingError, match=says):
        Columns(**settings)


def test_a_choice_is_said_with_what_spoke_for_it(file):
    choice = chosen(Columns(most=2, by="univariate"), rows(file), None)
    assert "by univariate in training rows the student reads 2: " in choice.describe()
    assert choice.facts()["by"] == "univariate"


def test_a_student_asks_no_teacher_for_them_and_its_folder_asks_for_them_alone(meddistill, file):
    code, out, err = meddistill(
        "distill", "data=table", f"data.path={file}", "data.target=ill", "data.positive=yes",
        "columns=univariate", "columns.most=3", "loss=ce", *SHORT, "hydra.run.dir=run",
    )  # fmt: skip
    assert code == 0, err
    assert "teacher:" not in out
    names = json.loads(Path("run/metrics.json").read_text())["columns"]["columns"]
    assert len(names) == 3
    assert (
        f"The student reads 3 column(s), chosen by univariate in training rows: '{names[0]}'" in out
    )
    import meddistill as package

    table = pd.read_csv(file)[names]
    assert len(package.load_model("run").predict_proba(table)) == ROWS


def test_a_run_is_the_one_it_was_before_there_was_a_choice():
    assert identity({"columns": {"by": "teacher", "most": 3}}) == {"columns.most": 3}
