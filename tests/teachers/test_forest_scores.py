"""Teachers that are no networks: a forest, and a file of probabilities."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from meddistill.errors import UserError
from meddistill.model import load_model
from meddistill.teachers.forest import ForestTeacher
from meddistill.teachers.scores import ScoresTeacher


@pytest.fixture
def fitted(cohort, split, tmp_path):
    teacher = ForestTeacher(trees=20)
    teacher.fit(cohort, split, tmp_path, {})
    return teacher, tmp_path


def test_a_forest_answers_no_probability_below_its_clamp(fitted, cohort):
    teacher, folder = fitted
    answers = np.exp(teacher.answers(cohort, folder))
    np.testing.assert_allclose(answers.sum(axis=1), 1)
    assert answers.min() == pytest.approx(1e-3, rel=0.01)


def test_a_forest_never_sees_labels_that_are_not_the_teachers(cohort, split, tmp_path):
    known = split.labelled(cohort.target, 0.3)
    known[split.validation] = known[split.test] = False
    other = replace(cohort, target=np.where(known, cohort.target, 1 - cohort.target))
    found = []
    for number, each in enumerate((cohort, other)):
        teacher = ForestTeacher(trees=5, labels=0.3)
        masked = replace(split)  # labels are drawn by class, so the true classes draw for both
        object.__setattr__(masked, "labelled", lambda target, share: known | np.zeros(569, bool))
        (tmp_path / str(number)).mkdir()
        teacher.fit(each, masked, tmp_path / str(number), {})
        found.append(teacher.answers(cohort, tmp_path / str(number)))
    np.testing.assert_array_equal(*found)


def test_a_forest_is_stored_without_pickle_and_loads_again(fitted, cohort):
    folder = fitted[1]
    with zipfile.ZipFile(folder / "estimator.skops") as archive:
        names = archive.namelist()
    assert "schema.json" in names
    assert all(name.endswith((".json", ".npy", ".npz")) for name in names)
    model = load_model(folder)
    assert model.num_parameters == sum(part.num_parameters for part in model.parts())
    assert len(model.parts()) == 20
    mean = np.mean([np.exp(p.log_probabilities(cohort.features)) for p in model.parts()], axis=0)
    raised = mean.clip(1e-3)
    whole = np.exp(model.log_probabilities(cohort.features))
    np.testing.assert_allclose(whole, raised / raised.sum(axis=1, keepdims=True), atol=2e-3)


def test_a_file_that_holds_another_type_is_refused(fitted):
    import skops.io
    from sklearn.preprocessing import FunctionTransformer

    folder = fitted[1]
    skops.io.dump(FunctionTransformer(json.dumps), folder / "estimator.skops")
    with pytest.raises(UserError, match="types that no forest has"):
        load_model(folder)


@pytest.mark.parametrize("setting", [{"trees": 0}, {"clamp": 0.0}, {"max_features": "all"}])
def test_a_forests_wrong_setting_is_named(setting):
    with pytest.raises(UserError, match=next(iter(setting))):
        ForestTeacher(**setting)


def scores(cohort, **changes):
    risk = np.linspace(0, 1, len(cohort.target))
    frame = pd.DataFrame({"p_benign": 1 - risk, "p_malignant": risk, "row": cohort.row})
    for column, values in changes.items():
        frame[column] = values
    frame.to_csv("scores.csv", index=False)
    return frame


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def answers(cohort, **settings):
    return np.exp(ScoresTeacher("scores.csv", **settings).answers(cohort, Path()))


def test_rows_are_matched_by_order_or_by_id(cohort):
    frame = scores(cohort)
    by_order = answers(cohort, column="p_{class}")
    np.testing.assert_allclose(by_order[:, 1], frame["p_malignant"], atol=1e-5)
    frame.sample(frac=1, random_state=0).to_csv("scores.csv", index=False)
    named = replace(cohort, has_ids=True)
    np.testing.assert_allclose(answers(named, column="p_{class}", id="row"), by_order)


def test_one_column_of_the_positive_class_is_enough_for_two(cohort):
    scores(cohort)
    both = answers(cohort, column="p_{class}")
    np.testing.assert_allclose(answers(cohort, column="p_malignant"), both)


def test_zeros_are_raised_to_the_clamp(cohort):
    scores(cohort)
    assert answers(cohort, column="p_malignant", clamp=0.01).min() == pytest.approx(0.01, rel=0.02)


def test_a_file_of_scores_answers_for_its_own_rows_alone(cohort, split, tmp_path):
    scores(cohort)
    ScoresTeacher("scores.csv", column="p_malignant").fit(cohort, split, tmp_path, {})
    with pytest.raises(UserError, match="can't be asked for others"):
        load_model(tmp_path).log_probabilities(cohort.features)
