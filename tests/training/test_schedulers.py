"""The learning rate moves as the config says, from a killed run on as in a whole one."""

from __future__ import annotations

import math

import pandas as pd
import pytest
import torch
from hydra import compose, initialize_config_dir
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import CSVLogger
from omegaconf import OmegaConf

from meddistill.config.compose import build_network
from meddistill.config.confdir import choices, conf_dir
from meddistill.errors import UserError
from meddistill.training.classifier import Classifier
from meddistill.training.fit import fit
from meddistill.training.schedulers import schedule_of

MLP = {"_target_": "meddistill.models.mlp.MLP", "width": 8, "depth": 1, "dropout": 0.2}


class StoppedError(Exception):
    """A kill, as far as one process can play it."""


class Rates(Callback):
    """Notes the learning rate of every step, and ends the fit after an epoch."""

    def __init__(self, stop=None):
        self.rates, self.stop = [], stop

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.rates.append(trainer.optimizers[0].param_groups[0]["lr"])

    def on_train_epoch_end(self, trainer, pl_module):
        if trainer.current_epoch == self.stop:
            raise StoppedError


def node(name, **changes):
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        composed = compose("distill", [f"scheduler={name}"]).scheduler
    return {**OmegaConf.to_container(composed, resolve=True), **changes}


def trained(folder, data, settings, scheduler, stop=None, **more):
    network = build_network(MLP, "student", (30,), 2, 0)
    module = Classifier(
        network, 2, lambda parameters: torch.optim.Adam(parameters, lr=1e-3, fused=True),
        scheduler=schedule_of(scheduler, settings["max_epochs"]),
    )  # fmt: skip
    rates = Rates(stop)
    try:
        fit(module, data, folder, settings, patience=99, callbacks=[rates], **more)
    except StoppedError:
        assert stop is not None
    return rates.rates, torch.cat([value.flatten() for value in network.state_dict().values()])


def test_cosine_rises_to_the_learning_rate_and_falls_to_its_floor(tmp_path, data, trainer_settings):
    settings = {**trainer_settings, "max_epochs": 10}
    rates, _ = trained(tmp_path, data, settings, node("cosine", warmup=0.2, floor=0.1))
    epochs = [rate / 1e-3 for rate in rates[::6]]
    assert len(set(rates)) == 10  # one an epoch
    assert epochs[:3] == pytest.approx([1 / 3, 2 / 3, 1.0])
    expected = [0.1 + 0.9 * (1 + math.cos(math.pi * k / 8)) / 2 for k in range(8)]
    assert epochs[2:] == pytest.approx(expected)


def test_any_warm_up_is_one_epoch_at_least(tmp_path, data, trainer_settings):
    rates, _ = trained(tmp_path, data, {**trainer_settings, "max_epochs": 4}, node("cosine"))
    assert rates[0] == pytest.approx(1e-3 / 2)
    assert rates[6] == pytest.approx(1e-3)


def test_the_learning_rate_that_is_logged_is_the_one_that_the_epoch_was_trained_with(
    tmp_path, data, trainer_settings
):
    settings = {**trainer_settings, "max_epochs": 4}
    logger = CSVLogger(str(tmp_path))
    rates, _ = trained(tmp_path, data, settings, node("cosine"), loggers=[logger])
    logged = pd.read_csv(f"{logger.log_dir}/metrics.csv").groupby("epoch")["lr"].first()
    assert logged.tolist() == pytest.approx(rates[::6])


def test_cosine_by_steps_moves_every_step_of_the_whole_training(tmp_path, data, trainer_settings):
    settings = {**trainer_settings, "max_epochs": 4, "accumulate_grad_batches": 2}
    rates, _ = trained(tmp_path, data, settings, node("cosine", interval="step", warmup=0.0))
    assert rates[::2] == rates[1::2]  # three steps an epoch of six batches
    expected = [1e-3 * (1 + math.cos(math.pi * k / 12)) / 2 for k in range(12)]
    assert rates[::2] == pytest.approx(expected)


def test_one_cycle_rises_and_falls_within_the_training(tmp_path, data, trainer_settings):
    rates, _ = trained(tmp_path, data, {**trainer_settings, "max_epochs": 10}, node("one_cycle"))
    assert rates[0] == pytest.approx(1e-3 / 25)
    assert max(rates) == pytest.approx(1e-3, rel=0.01)
    assert rates[-1] < 1e-6


@pytest.mark.parametrize("interval", ["epoch", "step"])
def test_a_schedule_ends_with_max_steps_where_these_end_the_training(
    interval, tmp_path, data, trainer_settings
):
    settings = {**trainer_settings, "max_epochs": 50, "max_steps": 30}
    rates, _ = trained(tmp_path, data, settings, node("one_cycle", interval=interval))
    assert len(rates) == 30
    assert rates[-1] < 0.1 * max(rates)


def test_plateau_lowers_the_learning_rate_where_validation_stands_still(
    tmp_path, data, trainer_settings
):
    still = {**trainer_settings, "max_epochs": 8}
    rates, _ = trained(tmp_path, data, still, node("plateau", patience=2, threshold=0.9))
    assert [rate / 1e-3 for rate in rates[::6]] == pytest.approx([1, 1, 1, 1, 0.5, 0.5, 0.5, 0.25])


@pytest.mark.parametrize("stop", [2, 4, 5])
@pytest.mark.parametrize("name", choices("scheduler"))
def test_a_resumed_run_continues_the_schedule(name, stop, tmp_path, data, trainer_settings):
    changes = {"patience": 0, "threshold": 0.5} if name == "plateau" else {}
    scheduler, settings = node(name, **changes), {**trainer_settings, "max_epochs": 7}
    rates, whole = trained(tmp_path / "whole", data, settings, scheduler)
    assert (len(set(rates)) > 1) == (name != "none")
    trained(tmp_path / "killed", data, settings, scheduler, stop, save_seconds=0)
    later, resumed = trained(tmp_path / "killed", data, settings, scheduler)
    assert later == rates[6 * stop :]  # from the state of the epoch before
    assert torch.equal(whole, resumed)


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("cosine", {"warmup": 2}, r"scheduler\.warmup=2"),
        ("cosine", {"interval": "batch"}, r"scheduler\.interval=batch.*epoch, step"),
        ("cosine", {"frequency": 0}, r"scheduler\.frequency=0"),
        ("cosine", {"warm_up": 0.1}, r"scheduler\.warm_up=0\.1"),
        ("one_cycle", {"pct_start": 7}, r"scheduler.*pct_start"),
        ("plateau", {"factor": 2}, r"scheduler.*actor"),
        ("plateau", {"mode": "max"}, r"scheduler\.mode=max: val/log_loss needs min"),
        ("plateau", {"monitor": None}, r"scheduler\.monitor=null"),
        ("plateau", {"interval": "step"}, r"scheduler\.interval=step"),
        ("cosine", {"_target_": "torch.optim.lr_scheduler.Cosine"}, r"torch.*Cosine"),
    ],
)
def test_a_wrong_setting_is_refused_before_training(name, changes, said):
    with pytest.raises(UserError, match=said):
        schedule_of(node(name, **changes), 10)


def test_a_schedule_over_the_whole_training_needs_its_length():
    with pytest.raises(UserError, match=r"trainer\.max_epochs=-1.*when training ends"):
        schedule_of(node("cosine"), -1)


def test_any_scheduler_of_torchs_can_be_taken(tmp_path, data, trainer_settings):
    steps = {"_target_": "torch.optim.lr_scheduler.StepLR", "step_size": 2, "gamma": 0.1}
    rates, _ = trained(tmp_path, data, trainer_settings, steps)
    assert rates[::6] == pytest.approx([1e-3, 1e-3, 1e-4, 1e-4, 1e-5])
