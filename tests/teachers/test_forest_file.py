"""What a forest is stored as: no pickle, and no other type."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest

from meddistill.errors import UserError
from meddistill.inference.loading import load_model
from meddistill.teachers.forest import ForestTeacher


@pytest.fixture
def fitted(cohort, split, tmp_path):
    teacher = ForestTeacher(trees=20, out_of_fold=False, calibrate="none")
    teacher.fit(cohort, split, tmp_path, {})
    return teacher, tmp_path


def test_a_forest_answers_no_probability_below_its_clamp(fitted, cohort):
    teacher, folder = fitted
    answers = np.exp(teacher.answers(cohort, folder))
    np.testing.assert_allclose(answers.sum(axis=1), 1)
    assert answers.min() == pytest.approx(1e-3, rel=0.01)


def test_a_forest_is_stored_without_pickle_and_loads_again(fitted, cohort):
    folder = fitted[1]
    with zipfile.ZipFile(folder / "estimator.skops") as archive:
        names = archive.namelist()
    assert "schema.json" in names
    assert all(name.endswith((".json", ".npy", ".npz")) for name in names)
    model = load_model(folder)
    assert model.num_parameters == sum(part.num_parameters for part in model.parts())
    assert len(model.parts()) == 20
    mean = np.mean(
        [np.exp(p.log_probabilities(cohort.records.frame)) for p in model.parts()], axis=0
    )
    raised = mean.clip(1e-3)
    whole = np.exp(model.log_probabilities(cohort.records.frame))
    np.testing.assert_allclose(whole, raised / raised.sum(axis=1, keepdims=True), atol=2e-3)


def test_a_file_that_holds_another_type_is_refused(fitted):
    import skops.io
    from sklearn.preprocessing import FunctionTransformer

    folder = fitted[1]
    skops.io.dump(FunctionTransformer(json.dumps), folder / "estimator.skops")
    with pytest.raises(UserError, match="types that no known classifier has"):
        load_model(folder)
