"""Lightning's callbacks work beside ours, and the weights kept are those that were scored."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import torch
from lightning.pytorch import callbacks as lightning_callbacks
from lightning.pytorch.callbacks import (
    Callback,
    EMAWeightAveraging,
    GradientAccumulationScheduler,
    ModelCheckpoint,
    ModelPruning,
    SpikeDetection,
    StochasticWeightAveraging,
    WeightAveraging,
)
from lightning.pytorch.loggers import CSVLogger
from torch import nn

from conftest import SMALL_TEACHER
from meddistill.config.compose import build_network
from meddistill.errors import SettingError, UserError
from meddistill.training.callbacks import BASES, REFUSED, build_callbacks
from meddistill.training.classifier import Classifier
from meddistill.training.fit import fit

MLP = {"_target_": "meddistill.models.mlp.MLP", "width": 8, "depth": 1}


class StoppedError(Exception):
    """A kill, as far as one process can play it."""


class KillIn(Callback):
    def __init__(self, epoch):
        self.epoch = epoch

    def on_train_epoch_end(self, trainer, pl_module):
        if trainer.current_epoch == self.epoch:
            raise StoppedError


class Trajectory(Callback):
    """The network's weights after every step."""

    def __init__(self):
        self.weights = []

    def on_train_batch_end(self, trainer, pl_module, *_):
        self.weights.append(flat(pl_module.network).clone())


def flat(network):
    return torch.cat([value.detach().flatten().float() for value in network.state_dict().values()])


def trained(folder, data, settings, *callbacks, network=None, lr=1e-2, patience=99, **more):
    network = build_network(MLP, "student", (30,), 2, 0) if network is None else network
    module = Classifier(network, 2, lambda parameters: torch.optim.Adam(parameters, lr=lr))
    result = fit(module, data, folder, settings, patience=patience, callbacks=callbacks, **more)
    return network, result


def log_loss(network, data):
    rows = torch.from_numpy(data.labelled_validation)
    with torch.no_grad():
        chosen = network.eval()(data.rows.inputs[rows]).log_softmax(1)
    return float(nn.functional.nll_loss(chosen, data.rows.target[rows]))


def swa(**changes):
    return StochasticWeightAveraging(
        **{"swa_lrs": 0.05, "swa_epoch_start": 3, "annealing_epochs": 2, **changes}
    )


AVERAGES = {
    "swa": swa,
    "ema": lambda: EMAWeightAveraging(decay=0.8),
    "mean": WeightAveraging,
}


@pytest.mark.parametrize("name", AVERAGES)
def test_the_score_is_that_of_the_averaged_weights_which_are_kept(
    name, tmp_path, data, trainer_settings
):
    path = Trajectory()
    network, result = trained(tmp_path, data, trainer_settings, AVERAGES[name](), path)
    assert log_loss(network, data) == pytest.approx(result.score, abs=1e-6)
    assert not any(torch.equal(flat(network), weights) for weights in path.weights)
    saved = torch.load(tmp_path / "checkpoints/best.ckpt", weights_only=True)["state_dict"]
    assert torch.equal(torch.cat([v.flatten() for v in saved.values()]), flat(network))


def test_swa_keeps_the_mean_of_the_last_epochs_and_patience_does_not_stop_it(
    tmp_path, data, trainer_settings
):
    path = Trajectory()
    settings = {**trainer_settings, "max_epochs": 6}
    network, result = trained(tmp_path, data, settings, swa(), path, patience=1)
    assert result.epochs == 6
    # Lightning averages at the beginning of an epoch: after epochs 2, 3, 4 and 5, counted from 1
    mean = torch.stack([path.weights[6 * epoch - 1] for epoch in (2, 3, 4, 5)]).mean(dim=0)
    torch.testing.assert_close(flat(network), mean, rtol=0, atol=1e-6)


def test_swa_that_never_came_to_average_says_so_and_keeps_the_best_epoch(
    tmp_path, data, trainer_settings, caplog
):
    settings = {**trainer_settings, "max_steps": 8}
    network, result = trained(tmp_path, data, settings, swa())
    assert "nothing was averaged" in caplog.text
    assert log_loss(network, data) == pytest.approx(result.score, abs=1e-6)


def test_swa_works_out_batch_norms_statistics_anew(tmp_path, data, trainer_settings):
    network = nn.Sequential(nn.Linear(30, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))
    network, result = trained(tmp_path, data, trainer_settings, swa(), network=network)
    assert log_loss(network, data) == pytest.approx(result.score, abs=1e-6)


@pytest.mark.parametrize("name", AVERAGES)
def test_a_killed_run_goes_on_to_the_same_average(name, tmp_path, data, trainer_settings):
    settings = {**trainer_settings, "max_epochs": 7}
    whole, expected = trained(tmp_path / "whole", data, settings, AVERAGES[name]())
    with pytest.raises(StoppedError):
        trained(tmp_path / "killed", data, settings, AVERAGES[name](), KillIn(4), save_seconds=0)
    resumed, result = trained(tmp_path / "killed", data, settings, AVERAGES[name]())
    assert torch.equal(flat(whole), flat(resumed))
    assert (result.score, result.epochs) == (expected.score, expected.epochs)


def test_a_model_checkpoint_of_ones_own_is_written_beside_ours(tmp_path, data, trainer_settings):
    every = ModelCheckpoint(tmp_path / "mine", every_n_train_steps=4, save_top_k=-1)
    best = ModelCheckpoint(tmp_path / "best", monitor="val/log_loss")
    trained(tmp_path, data, trainer_settings, every, best)
    steps = {torch.load(file, weights_only=True)["global_step"] for file in
             (tmp_path / "mine").iterdir()}  # fmt: skip
    assert steps == {4, 8, 12, 16, 20, 24, 28}
    assert best.best_model_score is not None
    assert (tmp_path / "checkpoints/best.ckpt").exists()


def test_a_scheduler_of_accumulation_changes_the_steps(tmp_path, data, trainer_settings):
    seen = []

    class Steps(Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            seen.append(trainer.global_step)

    accumulation = GradientAccumulationScheduler({0: 1, 1: 3})
    trained(tmp_path, data, {**trainer_settings, "max_epochs": 3}, accumulation, Steps())
    assert seen == [6, 8, 10]


ARGUMENTS = {
    "DeviceStatsMonitor": {"cpu_stats": True},
    "EarlyStopping": {"monitor": "val/log_loss"},
    "GradientAccumulationScheduler": {"scheduling": {0: 1, 1: 3}},
    "ModelPruning": {"pruning_fn": "l1_unstructured", "amount": 0.1},
    "OnExceptionCheckpoint": {"dirpath": "exceptions"},
    "StochasticWeightAveraging": {"swa_lrs": 0.05},
    "ThroughputMonitor": {
        "batch_size_fn": {"_target_": "hydra.utils.get_method", "path": "builtins.len"},
    },
}  # fmt: skip
CANNOT = {*REFUSED, *(base.__name__ for base in BASES)}


@pytest.mark.parametrize("name", sorted(set(lightning_callbacks.__all__) - CANNOT))
def test_each_of_lightnings_callbacks_works(name, tmp_path, data, trainer_settings, monkeypatch):
    if name == "DeviceStatsMonitor":
        pytest.importorskip("psutil", reason="this callback needs it")
    monkeypatch.chdir(tmp_path)
    del trainer_settings["enable_progress_bar"]
    target = f"lightning.pytorch.callbacks.{name}"
    callbacks = build_callbacks({"mine": {"_target_": target, **ARGUMENTS.get(name, {})}})
    settings = {**trainer_settings, "max_epochs": 2, "log_every_n_steps": 1}
    network, result = trained(tmp_path, data, settings, *callbacks, loggers=[CSVLogger(tmp_path)])
    assert result.epochs == 2
    assert log_loss(network, data) == pytest.approx(result.score, abs=1e-6)


@pytest.mark.parametrize("name", sorted(CANNOT))
def test_each_of_the_others_is_refused_by_name_in_one_sentence(name):
    target = f"lightning.pytorch.callbacks.{name}"
    node = {"_target_": target, **ARGUMENTS.get(name, {})}
    with pytest.raises(SettingError, match=rf"^callbacks\.mine\._target_={target}: .+") as refused:
        build_callbacks({"mine": node})
    assert "\n" not in str(refused.value)


class PrunesLess(ModelPruning):
    """One's own."""


def test_a_subclass_of_a_refused_callback_is_refused():
    node = {"_target_": f"{__name__}.PrunesLess", **ARGUMENTS["ModelPruning"]}
    with pytest.raises(SettingError, match="is a ModelPruning, which puts other parameters"):
        build_callbacks({"mine": node})


class WeightNorm(Callback):
    def on_fit_start(self, trainer, pl_module):
        nn.utils.parametrizations.weight_norm(next(
            each for each in pl_module.modules() if isinstance(each, nn.Linear)
        ))  # fmt: skip


def test_other_parameters_in_the_place_of_the_networks_are_no_model(
    tmp_path, data, trainer_settings
):
    with pytest.raises(UserError, match=r"callbacks: one puts other parameters.*original0"):
        trained(tmp_path, data, trainer_settings, WeightNorm())
    assert not (tmp_path / "checkpoints/best.ckpt").exists()


def test_a_detected_spike_is_one_message(tmp_path, data, trainer_settings):
    detection = SpikeDetection(window=2, warmup=1, atol=0.0, rtol=0.0, mode="max")
    with pytest.raises(UserError, match="SpikeDetection ended training"):
        trained(tmp_path, data, trainer_settings, detection)


class Stops(Callback):
    def on_fit_start(self, trainer, pl_module):
        trainer.should_stop = True


def test_a_fit_without_a_step_is_refused(tmp_path, data, trainer_settings):
    with pytest.raises(UserError, match="not one step was taken"):
        trained(tmp_path, data, trainer_settings, Stops())


@pytest.mark.parametrize("name", ["DeviceStatsMonitor", "ThroughputMonitor", "LearningRateMonitor"])
def test_a_callback_that_logs_needs_a_logger(name):
    node = {"_target_": f"lightning.pytorch.callbacks.{name}", **ARGUMENTS.get(name, {})}
    with pytest.raises(UserError, match=r"callbacks\.mine writes to loggers"):
        build_callbacks({"mine": node}, loggers=False)


def test_an_absent_package_of_a_callback_is_named(monkeypatch):
    monkeypatch.setattr("meddistill.training.callbacks.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"callbacks\.mine .*pip install psutil"):
        build_callbacks({"mine": {"_target_": "lightning.pytorch.callbacks.DeviceStatsMonitor"}})


@pytest.mark.parametrize(
    ("node", "said"),
    [
        (
            {"mine": {"_target_": "lightning.pytorch.callbacks.Timer", "duration": "00:00:00:00"}},
            r"callbacks\.mine\.duration=0: nothing would be trained",
        ),
        (
            {"mine": {"_target_": "lightning.pytorch.callbacks.EarlyStopping", "monitor": "loss"}},
            r"callbacks\.mine\.monitor=loss: must be one of val/log_loss",
        ),
        ({"mine": 3}, r"callbacks\.mine=3.*_target_"),
        ({"mine": {"_target_": "torch.nn.Identity"}}, "is no Lightning callback"),
        ({"mine": {"_target_": "nowhere.Mine"}}, r"callbacks\.mine.*can't be imported"),
        (
            {"swa": {"_target_": "lightning.pytorch.callbacks.StochasticWeightAveraging",
                     "swa_lrs": -1.0}},
            r"callbacks\.swa",
        ),
        (
            {"stop": {"_target_": "lightning.pytorch.callbacks.EarlyStopping", "monitor": "val/x",
                      "patients": 2}},
            r"callbacks\.stop\.patients=2: no such setting",
        ),
    ],
)  # fmt: skip
def test_a_wrong_callback_is_refused_before_anything_is_trained(node, said):
    with pytest.raises(UserError, match=said):
        build_callbacks(node)


# On the command line

SMALL = [*SMALL_TEACHER, "trainer.max_epochs=4", "hydra.run.dir=run"]


def test_callbacks_are_combined_on_the_command_line(meddistill):
    code, _, err = meddistill(
        "distill", "callbacks=[swa,learning_rate_monitor,model_checkpoint]", *SMALL
    )
    assert code == 0, err
    metrics = json.loads(Path("run/metrics.json").read_text())
    assert metrics["student"]["validation"]["log_loss"] == pytest.approx(metrics["score"], abs=1e-5)
    rows = pd.concat(map(pd.read_csv, Path("run/logs").rglob("metrics.csv")))
    assert any(column.startswith("lr-Adam") for column in rows)
    test = metrics["student"]["test"]
    assert rows["test/log_loss"].dropna().tolist() == [pytest.approx(test["log_loss"])]
    assert rows["step"][rows["val/auroc"].notna()].tolist() == [5, 11, 17, 23, 23]
    assert rows["val/log_loss"].dropna().iloc[-1] == pytest.approx(metrics["score"])
    assert rows["step"][rows["test/log_loss"].notna()].tolist() == [24], "after the last step"
    assert rows["lr"][rows["val/auroc"].notna()].notna().all()
    assert list(Path("run").rglob("epoch=*.ckpt"))


def test_a_callback_without_a_logger_to_write_to_is_refused(meddistill):
    code, _, err = meddistill("distill", "callbacks=learning_rate_monitor", "logger=none", *SMALL)
    assert code == 2
    assert "logger=csv" in err


def test_students_of_a_sweep_with_callbacks_are_trained_one_by_one(meddistill):
    code, out, err = meddistill(
        "distill", "-m", "seed=0,1", "callbacks=ema", *SMALL_TEACHER, "trainer.max_epochs=2"
    )
    assert code == 0, err
    assert "2 student(s) are trained one by one: callbacks=ema" in out + err


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("loss.temperature=inf", r"loss.temperature=inf: must be a finite number"),
        ("optimizer.lr=3e38", r"optimizer.lr=3e+38: a step of it leaves the range"),
        ("teacher.optimizer.lr=3e38", r"teacher.optimizer.lr=3e+38: a step of it leaves the range"),
        ("+trainer.limit_test_batches=1", "trainer.limit_test_batches=1: has no meaning here"),
        ("compile=fast", "compile=fast: must be one of"),
        ("callbacks=[swa,nothing]", "callbacks"),
    ],
)
def test_a_setting_that_can_not_be_is_one_message_before_training(setting, said, meddistill):
    code, _, err = meddistill("distill", setting, *SMALL)
    assert code == 2
    assert said in err
    assert "Traceback" not in err
