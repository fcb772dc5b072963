"""A teacher's temperature: what it is fitted on, and that the folder answers as the store does."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from frames import inputs_of
from meddistill.errors import SettingError
from meddistill.evaluation.calibration import fit_temperature
from meddistill.inference.loading import load_model
from meddistill.teachers.estimator import EstimatorTeacher
from meddistill.teachers.neural import NeuralTeacher
from meddistill.training.distiller import FrozenTeacher

BOOSTING = {"_target_": "sklearn.ensemble.HistGradientBoostingClassifier", "max_iter": 100}


def teacher(**changes):
    return EstimatorTeacher(BOOSTING, **{"out_of_fold": False, "calibrate": "temperature",
                                         **changes})  # fmt: skip


def answers(made, cohort, split, folder):
    folder.mkdir()
    made.fit(cohort, split, folder, {})
    return made.answers(cohort, folder)


@pytest.fixture
def cloudy(cohort):
    """A third of the labels are noise, so that a boosted model is far too sure."""
    noise = np.random.default_rng(0).random(len(cohort.target)) < 0.3
    return replace(cohort, target=np.where(noise, 1 - cohort.target, cohort.target))


@pytest.mark.parametrize("out_of_fold", [True, False])
def test_a_calibrated_teacher_is_less_sure_and_better_on_test_rows(
    out_of_fold, cloudy, split, tmp_path
):
    plain = answers(teacher(calibrate="none"), cloudy, split, tmp_path / "plain")
    found = answers(teacher(out_of_fold=out_of_fold), cloudy, split, tmp_path / "found")
    assert load_model(tmp_path / "found").card.temperature > 1.3
    rows = split.test
    assert (
        -found[rows, cloudy.target[rows]].mean() < -plain[rows, cloudy.target[rows]].mean() - 0.05
    )
    assert np.array_equal(found[rows].argmax(axis=1), plain[rows].argmax(axis=1))


def test_the_temperature_is_that_of_the_held_out_rows(cloudy, split, tmp_path):
    plain = answers(teacher(calibrate="none"), cloudy, split, tmp_path / "plain")
    answers(teacher(), cloudy, split, tmp_path / "validation")
    rows = split.validation
    expected = fit_temperature(plain[rows], cloudy.target[rows])
    assert load_model(tmp_path / "validation").card.temperature == pytest.approx(expected)
    held = answers(teacher(calibrate="none", out_of_fold=True), cloudy, split, tmp_path / "folds")
    answers(teacher(out_of_fold=True), cloudy, split, tmp_path / "both")
    expected = fit_temperature(held[split.train], cloudy.target[split.train])
    assert load_model(tmp_path / "both").card.temperature == pytest.approx(expected)


@pytest.mark.parametrize(
    ("out_of_fold", "moved"),
    [(True, {"train"}), (False, {"train", "validation"})],
)
@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_only_labels_that_the_temperature_is_fitted_on_move_it(
    part, out_of_fold, moved, cloudy, split, tmp_path
):
    target = cloudy.target.copy()
    target[split.part(part)[:30]] = 1 - target[split.part(part)[:30]]
    made = teacher(out_of_fold=out_of_fold)
    before = answers(made, cloudy, split, tmp_path / "before")
    after = answers(made, replace(cloudy, target=target), split, tmp_path / "after")
    assert np.array_equal(before, after) == (part not in moved)


def test_validation_rows_without_labels_do_not_matter(cloudy, split, tmp_path):
    plain = answers(teacher(labels=0.5, calibrate="none"), cloudy, split, tmp_path / "plain")
    answers(teacher(labels=0.5), cloudy, split, tmp_path / "found")
    rows = split.validation[split.labelled(cloudy.target, 0.5)[split.validation]]
    assert len(rows) < 0.6 * len(split.validation)
    expected = fit_temperature(plain[rows], cloudy.target[rows])
    assert load_model(tmp_path / "found").card.temperature == pytest.approx(expected)


def test_the_folder_answers_as_the_store_does_and_old_folders_still_load(cloudy, split, tmp_path):
    found = answers(teacher(), cloudy, split, tmp_path / "a")
    assert np.array_equal(load_model(tmp_path / "a").log_probabilities(cloudy.records.frame), found)
    file = tmp_path / "a" / "model.json"
    card = json.loads(file.read_text())
    del card["temperature"], card["columns"], card["out_of_fold"]
    file.write_text(json.dumps(card))
    old = load_model(tmp_path / "a").log_probabilities(cloudy.records.frame)
    plain = answers(teacher(calibrate="none"), cloudy, split, tmp_path / "plain")
    assert np.array_equal(old, plain)


def test_an_unknown_calibration_is_refused():
    with pytest.raises(SettingError, match=r"calibrate=platt: must be null .* none, temperature"):
        teacher(calibrate="platt")


def test_a_networks_temperature_is_fitted_on_validation_rows_and_answers_live_too(
    cloudy, split, tmp_path
):
    settings = {
        "network": {"_target_": "meddistill.models.mlp.MLP", "width": 32, "depth": 1},
        "optimizer": {"_target_": "torch.optim.Adam", "_partial_": True, "lr": 1e-2},
        "trainer": {"max_epochs": 3, "accelerator": "cpu", "enable_progress_bar": False},
    }
    plain = answers(NeuralTeacher(**settings), cloudy, split, tmp_path / "plain")
    made = NeuralTeacher(**settings, calibrate="temperature")
    found = answers(made, cloudy, split, tmp_path / "found")
    model, rows = load_model(tmp_path / "found"), split.validation
    expected = fit_temperature(plain[rows], cloudy.target[rows])
    assert model.card.temperature == pytest.approx(expected, rel=1e-4)
    assert not np.allclose(found, plain, atol=1e-4)
    inputs = torch.from_numpy(inputs_of(model.preprocessing, cloudy.records))
    live = FrozenTeacher(model.network)(inputs).numpy()
    assert np.allclose(live, found, atol=1e-5)
