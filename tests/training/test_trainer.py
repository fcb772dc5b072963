"""Every argument of Lightning's Trainer works or is refused; docs/trainer.md says which."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import lightning.pytorch as pl
import pandas as pd
import pytest
import torch
from lightning.pytorch.accelerators import CPUAccelerator
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.strategies import DDPStrategy

from meddistill.config.compose import build_network
from meddistill.errors import SettingError, UserError
from meddistill.inference.weights import load_weights
from meddistill.training.classifier import Classifier
from meddistill.training.fit import fit
from meddistill.training.progress import EpochProgress
from meddistill.training.trainer import make_trainer

MLP = {"_target_": "meddistill.models.mlp.MLP", "width": 8, "depth": 1}
PAGE = (Path(__file__).parents[2] / "docs/trainer.md").read_text()
TABLE = dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", PAGE, re.MULTILINE))
CHECKS: dict[str, Callable[..., None]] = {}
STEPS = 6
"""Batches of an epoch of breast cancer."""
STILL = 1e-12
"""A learning rate with which no epoch is better than the first."""


def works(check):
    """Register the check of the argument that its name ends with."""
    CHECKS[check.__name__.removeprefix("check_")] = check
    return check


class Spy(pl.Callback):
    """Counts what Lightning does, and what is switched on while it does it."""

    def __init__(self):
        self.batches, self.validated, self.sanity, self.flags = [], [], 0, {}

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.batches.append(batch.inputs[:, 0].tolist())
        self.steps = trainer.global_step
        self.flags = {
            "deterministic": torch.are_deterministic_algorithms_enabled(),
            "anomaly": torch.is_anomaly_enabled(),
            "benchmark": torch.backends.cudnn.benchmark,
            "dtype": next(pl_module.parameters()).dtype,
        }

    def on_validation_batch_end(self, trainer, pl_module, outputs, batch, batch_idx, *_):
        self.inference = torch.is_inference_mode_enabled()
        self.rows = len(batch.target)

    def on_validation_end(self, trainer, pl_module):
        if trainer.sanity_checking:
            self.sanity += 1
        else:
            self.validated.append(trainer.global_step)


@pytest.fixture
def trained(tmp_path, data, trainer_settings):
    """Fit a small network with settings of the Trainer: its result, what was seen, the folder."""

    def train(lr=1e-2, epochs=3, patience=50, loggers=(), spied=True, **settings):
        network = build_network(MLP, "student", (30,), 2, 0)
        module = Classifier(network, 2, lambda parameters: torch.optim.Adam(parameters, lr=lr))
        spy = Spy()
        result = fit(
            module, data, tmp_path, {**trainer_settings, "max_epochs": epochs, **settings},
            patience=patience, callbacks=[spy] if spied else [], loggers=loggers,
        )  # fmt: skip
        return SimpleNamespace(
            result=result, spy=spy, folder=tmp_path, module=module, network=network, data=data
        )

    return train


def log_loss(run):
    """Of the weights that a fit left, on the labelled validation rows."""
    rows = torch.from_numpy(run.data.labelled_validation)
    with torch.no_grad():
        chosen = run.network.eval()(run.data.rows.inputs[rows]).log_softmax(1)
    return float(torch.nn.functional.nll_loss(chosen, run.data.rows.target[rows]))


def test_the_page_has_a_line_for_every_argument_of_the_trainer():
    assert set(TABLE) | {"self"} == set(inspect.signature(pl.Trainer.__init__).parameters)
    assert {name for name, how in TABLE.items() if how == "works"} == set(CHECKS)
    assert set(TABLE.values()) == {"works", "refused"}


@pytest.mark.parametrize("name", [name for name, how in TABLE.items() if how == "works"])
def test_the_argument_works(name, trained, capfd, caplog, monkeypatch):
    tools = {"trained": trained, "caplog": caplog, "monkeypatch": monkeypatch, "capfd": capfd}
    check = CHECKS[name]
    check(*(tools[tool] for tool in inspect.signature(check).parameters))


@pytest.mark.parametrize("name", [name for name, how in TABLE.items() if how == "refused"])
def test_the_argument_is_refused_by_name(name):
    with pytest.raises(SettingError, match=rf"trainer\.{name}=5: \w+"):
        make_trainer({name: 5})


def test_a_share_of_an_epoch_that_is_no_batch_is_refused_by_its_own_name(trained):
    with pytest.raises(SettingError, match=r"trainer\.overfit_batches=0\.001: an epoch has 6 b"):
        trained(overfit_batches=0.001)


def test_an_unknown_name_is_told_the_nearest():
    with pytest.raises(SettingError, match=r"trainer\.limit_train_batch=3.*limit_train_batches"):
        make_trainer({"limit_train_batch": 3})


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"max_epochs": 0}, r"trainer\.max_epochs=0"),
        ({"max_epochs": 2.5}, r"trainer\.max_epochs=2\.5"),
        ({"limit_train_batches": 0}, "nothing would be trained"),
        ({"max_steps": 0}, "nothing would be trained"),
        ({"accumulate_grad_batches": 0}, r"trainer\.accumulate_grad_batches=0"),
        ({"gradient_clip_val": -1}, r"trainer\.gradient_clip_val=-1"),
        ({"gradient_clip_algorithm": "nrom", "gradient_clip_val": 1}, "nrom"),
        ({"gradient_clip_algorithm": "norm"}, r"algorithm=norm: clips nothing without"),
        ({"min_epochs": 9, "max_epochs": 5}, r"trainer\.min_epochs=9: is above .*max_epochs=5"),
        ({"min_steps": 9, "max_steps": 5}, r"trainer\.min_steps=9: is above trainer\.max_steps=5"),
        ({"precision": "16-true"}, r"trainer\.precision=16-true.*bf16-mixed"),
        ({"precision": "bf16-true"}, r"trainer\.precision=bf16-true.*bf16-mixed"),
        ({"precision": "transformer-engine"}, r"trainer\.precision.*bf16-mixed"),
        ({"precision": "16-mixed", "accelerator": "cpu"}, "needs a GPU"),
        ({"strategy": "fsdp"}, r"trainer\.strategy=fsdp.*ddp"),
        ({"strategy": "ddp_spawn"}, r"trainer\.strategy=ddp_spawn"),
        ({"accelerator": "tpx"}, r"trainer\.accelerator=tpx"),
        ({"max_time": "00:00:00:00"}, r"trainer\.max_time=00:00:00:00: nothing would be trained"),
        ({"max_time": {"hours": 0}}, r"trainer\.max_time=.*: nothing would be trained"),
        ({"max_time": "an hour"}, r"trainer\.max_time=an hour: must be written DD:HH:MM:SS"),
    ],
)
def test_a_value_that_no_fit_could_honour_is_refused(settings, said):
    with pytest.raises(UserError, match=said):
        make_trainer(settings)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"val_check_interval": 100}, r"val_check_interval.*100"),
        ({"limit_train_batches": 1e-6}, "limit_train_batches"),
        ({"limit_val_batches": 1e-6}, "limit_val_batches"),
    ],
)
def test_a_share_of_too_few_batches_is_one_message(settings, said, trained):
    with pytest.raises(UserError, match=said):
        trained(**settings)


# What each argument does


@works
def check_accelerator():
    assert isinstance(make_trainer({"accelerator": "cpu"}).accelerator, CPUAccelerator)


@works
def check_strategy():
    settings = {"accelerator": "cpu", "devices": 1, "strategy": "ddp"}
    assert isinstance(make_trainer(settings).strategy, DDPStrategy)


@works
def check_devices():
    assert make_trainer({"accelerator": "cpu", "devices": 2, "strategy": "ddp"}).world_size == 2


@works
def check_num_nodes():
    settings = {"accelerator": "cpu", "devices": 2, "num_nodes": 3, "strategy": "ddp"}
    assert make_trainer(settings).world_size == 6


@works
def check_precision(trained):
    run = trained(precision="64-true")
    assert run.spy.flags["dtype"] == torch.float64
    assert {value.dtype for value in run.network.state_dict().values()} == {torch.float32}
    load_weights(build_network(MLP, "student", (30,), 2, 0), run.folder / "checkpoints/best.ckpt")
    assert log_loss(run) == pytest.approx(run.result.score, abs=1e-6)


@works
def check_fast_dev_run(trained):
    run = trained(fast_dev_run=True, loggers=[CSVLogger("never written")])
    assert len(run.spy.batches) == run.spy.steps == len(run.spy.validated) == 1
    assert math.isfinite(run.result.score)
    assert list(run.folder.iterdir()) == []
    assert not Path("never written").exists()


@works
def check_max_epochs(trained):
    assert trained(epochs=2).result.epochs == 2
    assert trained(lr=STILL, epochs=-1, patience=2).result.epochs < 9


@works
def check_min_epochs(trained):
    assert trained(lr=STILL, epochs=9, patience=1, min_epochs=5).result.epochs == 5


@works
def check_max_steps(trained):
    run = trained(max_steps=8)
    assert (len(run.spy.batches), run.spy.steps) == (8, 8)
    assert run.spy.validated == [6, 8]
    assert log_loss(run) == pytest.approx(run.result.score, abs=1e-6)


@works
def check_min_steps(trained):
    run = trained(lr=STILL, epochs=9, patience=1, min_steps=25)
    assert 25 <= run.spy.steps < 31


@works
def check_max_time(trained):
    run = trained(epochs=1000, max_time={"milliseconds": 1})
    assert 1 <= len(run.spy.batches) <= 5
    assert log_loss(run) == pytest.approx(run.result.score, abs=1e-6)


@works
def check_limit_train_batches(trained):
    assert len(trained(limit_train_batches=1).spy.batches) == 3
    assert len(trained(limit_train_batches=0.5).spy.batches) == 3 * STEPS // 2


@works
def check_limit_val_batches(trained, caplog):
    caplog.set_level("INFO")
    assert trained(limit_val_batches=1).spy.rows == 64
    run = trained(limit_val_batches=0)
    assert "the last epoch's weights are kept" in caplog.text
    assert run.spy.validated == [3 * STEPS]
    assert log_loss(run) == pytest.approx(run.result.score, abs=1e-6)


@works
def check_overfit_batches(trained):
    first, second, third = trained(overfit_batches=1).spy.batches
    assert first == second == third


@works
def check_val_check_interval(trained):
    logger = CSVLogger(trained(epochs=1).folder)
    run = trained(val_check_interval=0.5, loggers=[logger])
    assert run.spy.validated == [3, 6, 9, 12, 15, 18]
    rows = pd.read_csv(Path(logger.log_dir) / "metrics.csv")
    assert rows["step"][rows["val/log_loss"].notna()].tolist() == [2, 5, 8, 11, 14, 17]
    assert rows["step"][rows["train/loss"].notna()].tolist() == [5, 11, 17]


@works
def check_check_val_every_n_epoch(trained):
    assert trained(check_val_every_n_epoch=2).spy.validated == [12, 18]
    across = trained(check_val_every_n_epoch=None, val_check_interval=4)  # an epoch has 6 steps
    assert across.spy.validated == [4, 8, 12, 16, 18]


@works
def check_num_sanity_val_steps(trained):
    assert trained(num_sanity_val_steps=2).spy.sanity == 1


@works
def check_log_every_n_steps(trained, monkeypatch):
    folder = trained(spied=False, epochs=1).folder
    logger = CSVLogger(folder)
    trained(spied=False, epochs=2, log_every_n_steps=2, loggers=[logger])
    rows = pd.read_csv(Path(logger.log_dir) / "metrics.csv")
    assert rows["step"][rows["train/loss_step"].notna()].tolist() == [1, 3, 5, 7, 9, 11]


@works
def check_enable_checkpointing(trained):
    run = trained(enable_checkpointing=True)
    assert len(list(run.folder.rglob("epoch=*.ckpt"))) == 1


@works
def check_enable_progress_bar(trained, monkeypatch):
    drawn = []
    monkeypatch.setattr(EpochProgress, "on_train_start", lambda *_: drawn.append(True))
    trained(enable_progress_bar=False)
    assert not drawn
    trained(enable_progress_bar=True)
    assert drawn


@works
def check_enable_model_summary(trained, capfd, caplog):
    trained(enable_model_summary=True)
    assert "Trainable params" in capfd.readouterr().out + caplog.text


@works
def check_accumulate_grad_batches(trained):
    assert trained(accumulate_grad_batches=4).spy.steps == 3 * 2


@works
def check_gradient_clip_val(trained):
    first = torch.cat([p.flatten() for p in build_network(MLP, "", (30,), 2, 0).parameters()])
    run = trained(epochs=1, gradient_clip_val=1e-12)
    last = torch.cat([p.detach().flatten() for p in run.network.parameters()])
    assert (last - first).abs().max() < 1e-4  # Adam's epsilon is far above such gradients


@works
def check_gradient_clip_algorithm(trained):
    by = {name: trained(gradient_clip_val=1e-3, gradient_clip_algorithm=name).result.score
          for name in ("norm", "value")}  # fmt: skip
    assert by["norm"] != by["value"]


@works
def check_deterministic(trained):
    assert not trained().spy.flags["deterministic"]
    try:
        assert trained(deterministic=True).spy.flags["deterministic"]
    finally:
        torch.use_deterministic_algorithms(False)


@works
def check_benchmark(trained):
    before = torch.backends.cudnn.benchmark
    try:
        assert trained(benchmark=True).spy.flags["benchmark"]
    finally:
        torch.backends.cudnn.benchmark = before


@works
def check_inference_mode(trained):
    """Lightning means validation on its own by it, such as that of weights that a fit ends with."""
    assert trained(max_steps=8).spy.inference
    assert not trained(max_steps=8, inference_mode=False).spy.inference


@works
def check_profiler(trained, capfd, caplog):
    trained(profiler="simple")
    assert "Profiler Report" in capfd.readouterr().out + caplog.text


@works
def check_detect_anomaly(trained):
    assert not trained().spy.flags["anomaly"]
    assert trained(detect_anomaly=True).spy.flags["anomaly"]


@works
def check_sync_batchnorm():
    settings = {"accelerator": "cpu", "devices": 2, "strategy": "ddp", "sync_batchnorm": True}
    strategy = make_trainer(settings).strategy
    norm = strategy._layer_sync.apply(torch.nn.BatchNorm1d(3))
    assert isinstance(norm, torch.nn.SyncBatchNorm)


@works
def check_reload_dataloaders_every_n_epochs(trained, monkeypatch):
    plain = trained().spy.batches
    assert trained(reload_dataloaders_every_n_epochs=1).spy.batches == plain


@works
def check_default_root_dir(trained):
    run = trained(epochs=1)
    elsewhere = run.folder / "elsewhere"
    trained(enable_checkpointing=True, default_root_dir=str(elsewhere))
    assert list(elsewhere.rglob("*.ckpt"))


@works
def check_enable_autolog_hparams(trained):
    folder = trained(epochs=1).folder
    for wanted in (True, False):
        logger = CSVLogger(folder)
        trained(epochs=1, loggers=[logger], enable_autolog_hparams=wanted)
        assert bool(logger.experiment.hparams) == wanted
