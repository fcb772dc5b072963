"""A teacher of the student's own architecture: its generations, and what is left of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from meddistill.errors import SettingError
from meddistill.inference.loading import load_model
from meddistill.losses.kd import KD
from meddistill.teachers.born_again import BornAgainTeacher
from meddistill.teachers.neural import NeuralTeacher
from meddistill.teachers.targets import find_targets
from meddistill.training.distiller import Distiller

TRAINER = {"accelerator": "cpu", "precision": "32-true", "enable_progress_bar": False}


def teacher(**changes):
    settings = {
        "network": {"_target_": "meddistill.models.mlp.MLP", "width": 8, "depth": 1},
        "optimizer": {"_target_": "torch.optim.Adam", "_partial_": True, "lr": 1e-2},
        "trainer": {"max_epochs": 2},
    }
    return BornAgainTeacher(**{**settings, **changes})


@pytest.fixture(scope="module")
def targets(cohort, split, tmp_path_factory):
    store = tmp_path_factory.mktemp("store")
    return find_targets(teacher(generations=2), cohort, split, store, TRAINER)


def generation(folder, number):
    file = folder / "generations" / str(number) / "checkpoints" / "best.ckpt"
    return torch.load(file, weights_only=True)


def test_the_last_generation_is_the_teacher_and_has_the_students_size(targets, cohort, split):
    card = targets.model().card
    assert card.checkpoints == ["generations/2/checkpoints/best.ckpt"]
    assert targets.model().num_parameters == 30 * 8 + 8 + 8 * 2 + 2
    found = load_model(targets.folder).log_probabilities(cohort.records.frame)
    assert np.allclose(found, targets.log_probabilities, atol=1e-6)


def test_each_generation_has_first_weights_of_its_own(targets):
    flat = [
        torch.cat([value.flatten() for value in _tensors(generation(targets.folder, number))])
        for number in range(3)
    ]
    assert not torch.allclose(flat[0], flat[1], atol=0.01)
    assert not torch.allclose(flat[1], flat[2], atol=0.01)


def _tensors(node):
    if isinstance(node, torch.Tensor):
        yield node.float()
    elif isinstance(node, dict):
        for value in node.values():
            yield from _tensors(value)


def test_generation_0_learns_from_labels_and_later_ones_from_the_one_before(
    cohort, split, tmp_path, monkeypatch
):
    taught = []

    def watch(self, step):
        taught.append(step.teacher.exp())
        return original(self, step)

    original = KD.of_step
    monkeypatch.setattr(KD, "of_step", watch)
    made = teacher(trainer={"max_epochs": 1})
    made.fit(cohort, split, tmp_path, TRAINER)
    assert sum(len(answers) for answers in taught) == len(split.train)
    network, _ = made.built(_data(cohort, split), 0)
    from meddistill.inference.weights import load_weights

    load_weights(network, tmp_path / "generations" / "0" / "checkpoints" / "best.ckpt")
    with torch.no_grad():
        expected = network(_data(cohort, split).rows.inputs[split.train]).softmax(1)
    found = torch.cat(taught)
    assert torch.allclose(found.sort(dim=0).values, expected.sort(dim=0).values, atol=1e-5)


def _data(cohort, split):
    from meddistill.data.datamodule import CohortDataModule

    return CohortDataModule(cohort, split)


def test_a_killed_teacher_goes_on_with_its_finished_generations(
    targets, cohort, split, tmp_path, monkeypatch
):
    original, trained = NeuralTeacher.train, []

    def kill_second(self, module, data, folder, trainer):
        if trained and not (tmp_path / "killed").exists():
            (tmp_path / "killed").touch()
            raise KeyboardInterrupt
        trained.append(type(module))
        return original(self, module, data, folder, trainer)

    monkeypatch.setattr(NeuralTeacher, "train", kill_second)
    with pytest.raises(KeyboardInterrupt):
        find_targets(teacher(generations=2), cohort, split, tmp_path / "a", TRAINER)
    resumed = find_targets(teacher(generations=2), cohort, split, tmp_path / "a", TRAINER)
    assert [kind is Distiller for kind in trained] == [False, True, True]
    assert np.array_equal(resumed.log_probabilities, targets.log_probabilities)


def test_every_setting_makes_another_teacher():
    base = teacher().identity()
    changes = [{"generations": 2}, {"temperature": 3.0}, {"alpha": 1.0}, {"seed": 1}]
    assert all(teacher(**change).identity() != base for change in changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"generations": 0}, r"generations=0: must be a whole number of at least 1"),
        ({"alpha": 2.0}, r"alpha=2.0: must be a number at least 0 and at most 1"),
        ({"members": 3}, r"members=3: a generation is one network"),
        ({"network": None}, r"network=null: is the student's network.*student=mlp_small"),
        ({"out_of_fold": True}, r"out_of_fold=true: networks are stopped early"),
    ],
)
def test_settings_out_of_range_are_refused(changes, message):
    with pytest.raises(SettingError, match=message):
        teacher(**changes)


def test_its_network_is_the_students(meddistill, cohort):
    small = ["teacher.trainer.max_epochs=1", "hydra.run.dir=run"]
    code, _, err = meddistill("teacher", "teacher=self", *small)
    assert code == 2
    assert "add student=mlp_small" in err
    code, _, err = meddistill("teacher", "teacher=self", "student=mlp_small", *small)
    assert code == 0, err
    assert load_model("run").num_parameters == 30 * 32 + 32 + 32 * 2 + 2
