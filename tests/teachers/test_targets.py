"""Teachers and their stored answers."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from frames import inputs_of, with_frame
from meddistill.data.split import split_cohort
from meddistill.data.tables.schema import Schema
from meddistill.errors import SettingError, UserError
from meddistill.inference.loading import load_model, predict
from meddistill.teachers.checkpoint import CheckpointTeacher
from meddistill.teachers.neural import NeuralTeacher
from meddistill.teachers.targets import find_targets

TRAINER = {"accelerator": "cpu", "precision": "32-true", "enable_progress_bar": False}


def teacher(**changes):
    settings = {
        "network": {"_target_": "meddistill.models.mlp.MLP", "width": 8, "depth": 1},
        "optimizer": {"_target_": "torch.optim.Adam", "_partial_": True, "lr": 1e-3},
        "trainer": {"max_epochs": 2},
        "members": 2,
    }
    return NeuralTeacher(**{**settings, **changes})


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def targets(store, cohort, split):
    return find_targets(teacher(), cohort, split, store, TRAINER)


def no_fit(*_):
    raise AssertionError("trained although its answers were stored")


def test_the_same_teacher_is_found_and_never_trained_or_run_again(
    targets, store, cohort, split, monkeypatch
):
    monkeypatch.setattr(NeuralTeacher, "fit", no_fit)
    monkeypatch.setattr("meddistill.teachers.targets.load_model", no_fit)
    again = find_targets(
        teacher(), cohort, split, store, {**TRAINER, "devices": 4, "max_epochs": 9}
    )
    assert again.key == targets.key
    assert np.array_equal(again.log_probabilities, targets.log_probabilities)


@pytest.mark.parametrize("change", ["seed", "labels", "network", "split", "data", "precision"])
def test_whatever_changes_the_answers_makes_another_teacher(
    targets, store, cohort, split, monkeypatch, change
):
    monkeypatch.setattr(NeuralTeacher, "fit", no_fit)
    made = {"teacher": teacher(), "cohort": cohort, "split": split, "trainer": TRAINER}
    if change == "split":
        made["split"] = split_cohort(cohort, 1)
    elif change == "data":
        features = cohort.records.frame.copy()
        features.iloc[0, 0] += 1e-6
        made["cohort"] = with_frame(cohort, features)
    elif change == "precision":
        made["trainer"] = {**TRAINER, "precision": "bf16-mixed"}
    else:
        value = {"seed": 1, "labels": 0.5, "network": {"_target_": "meddistill.models.mlp.MLP"}}
        made["teacher"] = teacher(**{change: value[change]})
    with pytest.raises(AssertionError, match="trained although"):
        find_targets(made["teacher"], made["cohort"], made["split"], store, made["trainer"])


def test_answers_are_found_by_row_id_and_not_by_position(targets, cohort, tmp_path):
    from meddistill.teachers.targets import ANSWERS, _read

    frame = pd.read_parquet(targets.folder / ANSWERS).sample(frac=1, random_state=0)
    frame.to_parquet(tmp_path / ANSWERS, index=False)
    assert np.array_equal(_read(tmp_path / ANSWERS, cohort.row), targets.log_probabilities)


def test_an_ensemble_answers_with_the_mean_of_its_members_probabilities(targets, cohort):
    model = targets.model()
    inputs = torch.from_numpy(inputs_of(model.preprocessing, cohort.records))
    with torch.no_grad():
        members = [net(inputs).double().softmax(1) for net in model.network.members]
    assert len(members) == 2
    assert not torch.allclose(members[0], members[1])
    mean = torch.stack(members).mean(0)
    assert np.allclose(np.exp(targets.log_probabilities), mean.numpy(), atol=1e-6)


def test_answers_are_log_probabilities_in_float32(targets, cohort):
    assert targets.log_probabilities.dtype == np.float32
    assert np.isfinite(targets.log_probabilities).all()
    assert np.allclose(np.exp(targets.log_probabilities).sum(axis=1), 1, atol=1e-6)


def test_a_model_folder_answers_for_new_raw_rows_by_one_function(targets, cohort, split):
    rows = cohort.records.frame.iloc[split.test].sample(frac=1, axis=1, random_state=0)
    answers = predict(targets.folder, rows.assign(unknown="?"))
    assert list(answers.columns) == ["benign", "malignant"]
    assert list(answers.index) == list(rows.index)
    expected = np.exp(targets.log_probabilities[split.test])
    assert np.allclose(answers.to_numpy(), expected, atol=1e-6)


def test_a_model_folder_with_a_file_missing_says_so(targets, tmp_path):
    shutil.copytree(targets.folder, tmp_path / "copy")
    (tmp_path / "copy" / "members" / "1" / "checkpoints" / "best.ckpt").unlink()
    with pytest.raises(UserError, match="copy holds no finished model"):
        load_model(tmp_path / "copy")


def test_a_checkpoint_teacher_answers_as_it_did(targets, cohort, split, tmp_path):
    found = find_targets(CheckpointTeacher(str(targets.folder)), cohort, split, tmp_path, TRAINER)
    assert np.array_equal(found.log_probabilities, targets.log_probabilities)


def test_a_checkpoint_teacher_that_was_trained_on_rows_now_in_the_test_part_is_refused(
    targets, cohort, tmp_path
):
    other = split_cohort(cohort, 1)
    with pytest.raises(
        UserError, match=r"trained on \d+ of the 113 rows that are test rows now.*split_seed"
    ):
        find_targets(CheckpointTeacher(str(targets.folder)), cohort, other, tmp_path, TRAINER)


def test_a_checkpoint_teacher_knows_its_rows_in_another_order_too(targets, cohort, split, tmp_path):
    frame = cohort.records.frame[::-1].reset_index(drop=True)
    turned = with_frame(cohort, frame, target=cohort.target[::-1].copy())
    with pytest.raises(UserError, match="test rows now"):
        find_targets(
            CheckpointTeacher(str(targets.folder)),
            turned,
            split_cohort(turned, 5),
            tmp_path,
            TRAINER,
        )


def test_a_checkpoint_teacher_of_other_classes_is_refused(targets, cohort, split, tmp_path):
    other = replace(cohort, classes=("malignant", "benign"))
    with pytest.raises(UserError, match=r"its classes .* are not those of"):
        find_targets(CheckpointTeacher(str(targets.folder)), other, split, tmp_path, TRAINER)


def test_a_checkpoint_teacher_whose_columns_are_not_there_is_refused(
    targets, cohort, split, tmp_path
):
    fewer = cohort.records.frame.drop(columns="mean radius")
    other = with_frame(cohort, fewer, Schema(tuple(fewer.columns)))
    with pytest.raises(UserError, match="lack column 'mean radius'"):
        find_targets(CheckpointTeacher(str(targets.folder)), other, split, tmp_path, TRAINER)


def test_a_checkpoint_teacher_needs_a_run_folder(tmp_path):
    with pytest.raises(SettingError, match=r"path=.*no model\.json"):
        CheckpointTeacher(str(tmp_path))


def test_a_killed_teacher_goes_on_with_its_finished_members(cohort, split, tmp_path, monkeypatch):
    import meddistill.teachers.neural as neural

    trained = []

    def kill_second(module, data, folder, *more, **options):
        if len(trained) == 1 and not (tmp_path / "second").exists():
            (tmp_path / "second").touch()
            raise KeyboardInterrupt
        trained.append(folder.name)
        return original(module, data, folder, *more, **options)

    original = neural.fit
    monkeypatch.setattr(neural, "fit", kill_second)
    with pytest.raises(KeyboardInterrupt):
        find_targets(teacher(), cohort, split, tmp_path / "a", TRAINER)
    resumed = find_targets(teacher(), cohort, split, tmp_path / "a", TRAINER)
    assert trained == ["0", "1"]
    whole = find_targets(teacher(), cohort, split, tmp_path / "b", TRAINER)
    assert np.array_equal(resumed.log_probabilities, whole.log_probabilities)


def test_a_teacher_that_left_the_store_is_known_by_what_was_asked_before(
    store, targets, cohort, split, tmp_path
):
    shutil.copytree(store, tmp_path / "store")
    found = find_targets(teacher(), cohort, split, tmp_path / "store", TRAINER)
    held = find_targets(teacher(), cohort, split, tmp_path / "store", TRAINER)
    held.hold()
    shutil.rmtree(tmp_path / "store")
    with pytest.raises(UserError, match="repeat the command, which makes it again"):
        found.model()
    assert held.model().num_parameters == held.parameters == targets.parameters


def test_answers_that_are_no_table_are_named(store, targets, cohort, tmp_path):
    from meddistill.teachers.targets import ANSWERS, _read

    for content in (b"", b"PAR1", (targets.folder / ANSWERS).read_bytes()[:-9]):
        (tmp_path / ANSWERS).write_bytes(content)
        with pytest.raises(UserError, match=r"answers\.parquet is damaged .* makes it again"):
            _read(tmp_path / ANSWERS, cohort.row)
