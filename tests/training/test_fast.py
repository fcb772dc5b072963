"""Many steps at once are taken where nothing can tell the difference, and there is none."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, Timer
from lightning.pytorch.loggers import CSVLogger

from meddistill.config.compose import build_network
from meddistill.data.datamodule import CohortDataModule
from meddistill.losses.kd import KD
from meddistill.training.checkpoints import BestEpoch
from meddistill.training.classifier import Classifier
from meddistill.training.distiller import Distiller
from meddistill.training.fast import reason_for_plain
from meddistill.training.fit import fit

MLP = {"_target_": "meddistill.models.mlp.MLP", "width": 8, "depth": 1, "dropout": 0.2}
SGD = partial(torch.optim.SGD, lr=0.5)
WAYS = {
    "the student alone": {},
    "distilled": {"loss": KD(2.0, 0.5)},
    "sgd": {"optimizer": SGD},
    "accumulated": {"accumulate_grad_batches": 4},
    "accumulated over the epoch": {"accumulate_grad_batches": 50, "loss": KD(2.0, 0.5)},
    "clipped by norm": {"gradient_clip_val": 0.05},
    "clipped by value": {"gradient_clip_val": 0.01, "gradient_clip_algorithm": "value"},
    "not clipped": {"gradient_clip_val": 0},
    "all of it": {"accumulate_grad_batches": 5, "gradient_clip_val": 0.05, "loss": KD(2.0, 0.5)},
}


class Noise(torch.nn.Module):
    """A random view."""

    def forward(self, inputs):
        return inputs + torch.randn_like(inputs)


class SeesSteps(Callback):
    """Asks for every step, and counts what it gets."""

    def __init__(self):
        self.outputs = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.outputs.append(float(outputs["loss"]))


def module(optimizer, loss=None, seed=0):
    network = build_network(MLP, "student", (30,), 2, seed)
    if loss is None:
        return Classifier(network, 2, optimizer, seed=seed)
    return Distiller(network, 2, optimizer, loss, seed=seed)


def weights(trained):
    return torch.cat([value.flatten() for value in trained.network.state_dict().values()])


@pytest.mark.parametrize("name", WAYS)
def test_both_ways_lead_to_the_same_weights_bit_for_bit(
    name, tmp_path, cohort, data, adam, trainer_settings
):
    data.batch_size = 9  # 39 steps an epoch: more than one run, and a last group of its own size
    data = data.with_answers(np.log(np.full((len(cohort.target), 2), 0.5, dtype=np.float32)))
    settings = {**trainer_settings, "max_epochs": 3, **WAYS[name]}
    parts = [settings.pop("optimizer", adam), settings.pop("loss", None)]
    fast, plain, sees = module(*parts), module(*parts), SeesSteps()
    assert reason_for_plain(fast, data, settings, [BestEpoch("val/log_loss", True, 9)]) is None
    first = fit(fast, data, tmp_path / "fast", settings)
    second = fit(plain, data, tmp_path / "plain", settings, callbacks=[sees])
    assert len(sees.outputs) == 3 * 39
    assert torch.equal(weights(fast), weights(plain))
    assert (first.score, first.epochs) == (second.score, second.epochs)


@pytest.mark.parametrize("plain", [False, True])
def test_a_shorter_last_group_weighs_as_the_mean_of_its_batches(
    plain, tmp_path, data, trainer_settings
):
    """Two batches an epoch and groups of eight: one step, by the mean of two gradients."""
    data.batch_size = -(-len(data.train_rows) // 2)
    network = build_network({**MLP, "dropout": 0.0}, "student", (30,), 2, 0)
    expected = build_network({**MLP, "dropout": 0.0}, "student", (30,), 2, 0)
    loss = [Classifier(expected, 2, SGD).batch_loss(batch) for batch in data.train_dataloader()]
    (sum(loss) / 2).backward()
    SGD(expected.parameters()).step()
    settings = {**trainer_settings, "max_epochs": 1, "accumulate_grad_batches": 8}
    callbacks = [SeesSteps()] if plain else []
    fit(Classifier(network, 2, SGD), data, tmp_path, settings, callbacks=callbacks)
    for mine, own in zip(network.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(mine, own, rtol=0, atol=1e-7)


class OwnStep(Classifier):
    def training_step(self, batch, batch_idx):
        return super().training_step(batch, batch_idx)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"max_epochs": 3, "deterministic": True}, None),
        ({"limit_train_batches": 1}, "limit_train_batches=1"),
        ({"val_check_interval": 0.5}, "val_check_interval"),
        ({"max_steps": 3}, "max_steps"),
        ({"profiler": "simple"}, "profiler"),
        ({"log_every_n_steps": 10}, "log_every_n_steps"),
        ({"precision": "bf16-mixed"}, "precision"),
        ({"precision": "64-true"}, "precision"),
        ({"devices": 2}, "several devices"),
        ({"devices": "auto"}, "several devices"),
        ({"strategy": "ddp"}, "strategy"),
        ({"some_argument_of_the_future": 1}, "some_argument_of_the_future"),
    ],
)
def test_the_trainers_settings_decide_who_sees_steps(settings, reason, data, adam):
    settings = {"accelerator": "cpu", "devices": 1, **settings}
    found = reason_for_plain(module(adam), data, settings, [])
    assert (found is None) == (reason is None)
    assert reason is None or reason in found


def test_callbacks_and_modules_of_ones_own_see_every_step(data, adam):
    settings = {"devices": 1}
    for callback in (SeesSteps(), EarlyStopping("val/log_loss"), Timer("00:00:00:01")):
        found = reason_for_plain(module(adam), data, settings, [callback])
        assert type(callback).__name__ in found
    own = OwnStep(build_network(MLP, "student", (30,), 2, 0), 2, adam)
    assert "OwnStep" in reason_for_plain(own, data, settings, [])
    assert "LBFGS" in reason_for_plain(module(torch.optim.LBFGS), data, settings, [])


def test_rows_under_a_view_and_large_ones_are_read_batch_by_batch(cohort, split, data, adam):
    settings = {"devices": 1}
    viewed = CohortDataModule(cohort, split, view=Noise())
    assert "rows that are" in reason_for_plain(module(adam), viewed, settings, [])
    data.in_shape = (1, 64, 64)
    assert "rows that are" in reason_for_plain(module(adam), data, settings, [])


def test_the_step_is_counted_alike(tmp_path, data, adam, trainer_settings):
    counted = []

    class Notes(Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            counted.append((trainer.global_step, pl_module.global_step))

    fit(module(adam), data, tmp_path, {**trainer_settings, "max_epochs": 2}, callbacks=[Notes()])
    assert counted == [(6, 6), (12, 12)]


class StoppedError(Exception):
    """A kill, as far as one process can play it."""


class KillingLogger(CSVLogger):
    """Ends the fit in an epoch; no callback, so that many steps are taken at once."""

    def log_metrics(self, metrics, step=None):
        if metrics["epoch"] == 3:
            raise StoppedError


@pytest.mark.parametrize("every", [1, 2])
def test_a_fit_killed_where_steps_are_taken_at_once_resumes_to_the_same_weights(
    every, tmp_path, data, adam, trainer_settings
):
    settings = {**trainer_settings, "max_epochs": 7, "check_val_every_n_epoch": every}
    whole, resumed, sees = module(adam), module(adam), SeesSteps()
    expected = fit(whole, data, tmp_path / "whole", settings, callbacks=[sees])
    with pytest.raises(StoppedError):
        fit(module(adam), data, tmp_path / "killed", settings, save_seconds=0,
            loggers=[KillingLogger(tmp_path)])  # fmt: skip
    assert (tmp_path / "killed/checkpoints/last.ckpt").exists()
    result = fit(resumed, data, tmp_path / "killed", settings)
    assert torch.equal(weights(whole), weights(resumed))
    assert (result.score, result.epochs, result.steps) == (expected.score, 7, 7 * 6)


def test_a_fit_killed_under_a_random_view_sees_the_same_views_when_it_goes_on(
    tmp_path, cohort, split, adam, trainer_settings
):
    data = CohortDataModule(cohort, split, view=Noise())
    settings = {**trainer_settings, "max_epochs": 5}
    whole, resumed, plain = module(adam), module(adam), module(adam)
    fit(whole, data, tmp_path / "whole", settings)
    with pytest.raises(StoppedError):
        fit(module(adam), data, tmp_path / "killed", settings, save_seconds=0,
            loggers=[KillingLogger(tmp_path)])  # fmt: skip
    fit(resumed, data, tmp_path / "killed", settings)
    assert torch.equal(weights(whole), weights(resumed))
    fit(plain, CohortDataModule(cohort, split), tmp_path / "plain", settings)
    assert not torch.allclose(weights(whole), weights(plain), atol=1e-3)
