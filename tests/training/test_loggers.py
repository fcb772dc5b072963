"""Loggers are told a run's settings and what became of it."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger

from meddistill.config.compose import build_network
from meddistill.config.confdir import conf_dir
from meddistill.errors import UserError
from meddistill.runs import preemption
from meddistill.training.classifier import Classifier
from meddistill.training.fit import fit
from meddistill.training.loggers import build_loggers, finalized, make_loggers

MLP = {"_target_": "meddistill.models.mlp.MLP", "width": 8, "depth": 1}
QUICK = ("loss=ce", "trainer.max_epochs=2", "hydra.run.dir=run")


class Notebook(Logger):
    """One's own logger, which takes no `save_dir`; it writes to a file of its own name."""

    def __init__(self, file: str) -> None:
        super().__init__()
        self.file = Path(file)

    name = version = None

    def _note(self, what, value):
        with self.file.open("a") as file:
            file.write(json.dumps([what, value], default=str) + "\n")

    def log_hyperparams(self, params):
        self._note("settings", params)

    def log_metrics(self, metrics, step=None):
        self._note("metrics", metrics)

    def finalize(self, status):
        self._note("status", status)


def notes(file: str) -> list:
    return [json.loads(line) for line in Path(file).read_text().splitlines()]


OWN = ("logger=none", f"+logger.own._target_={__name__}.Notebook", "+logger.own.file=own.jsonl")


def test_a_logger_without_a_save_dir_gets_settings_curves_test_measures_and_the_end(meddistill):
    code, _, err = meddistill("distill", *QUICK, *OWN)
    assert code == 0, err
    found = notes("own.jsonl")
    assert found[0][0] == "settings"
    assert found[0][1]["student.width"] == 32
    rows = [value for what, value in found if what == "metrics"]
    assert {"lr", "train/loss", "val/log_loss"} <= set(rows[0])
    assert any("test/auroc" in row for row in rows)
    assert found[-1] == ["status", "success"]


def test_a_logger_is_told_of_a_failure(meddistill):
    code, _, _ = meddistill("distill", *QUICK, *OWN, "data=table", "data.path=no.csv",
                            "data.target=x")  # fmt: skip
    assert code == 2
    assert notes("own.jsonl")[-1] == ["status", "failed"]


def test_several_loggers_and_a_save_dir_of_ones_own(meddistill):
    own = (*OWN[1:], "logger=csv", "+logger.csv.save_dir=mine")
    code, _, err = meddistill("distill", *QUICK, *own)
    assert code == 0, err
    (params,) = Path("mine").rglob("hparams.yaml")
    assert yaml.safe_load(params.read_text())["student.width"] == 32
    assert notes("own.jsonl")


def fitted(folder, data, settings, *callbacks, **more):
    """Train with a file of rows: the result, and the rows of every file there."""
    network = build_network(MLP, "student", (30,), 2, 0)
    module = Classifier(network, 2, lambda parameters: torch.optim.Adam(parameters, lr=1e-2))
    (csv,) = make_loggers({"csv": conf("csv")}, folder)
    result = fit(module, data, folder, settings, callbacks=callbacks, loggers=[csv], **more)
    return result, rows_of(folder)


def conf(name):
    return yaml.safe_load((conf_dir() / "logger" / f"{name}.yaml").read_text())[name]


def rows_of(folder):
    return pd.concat(map(pd.read_csv, sorted(folder.rglob("metrics.csv"))), ignore_index=True)


@pytest.mark.parametrize("plain", [True, False], ids=["plain", "many steps at once"])
@pytest.mark.parametrize(
    ("settings", "at"),
    [({"max_steps": 8}, (1, 7)), ({"check_val_every_n_epoch": 2}, (4, 29))],
    ids=["max_steps", "check_val_every_n_epoch"],
)
def test_the_validation_after_the_last_step_has_a_row(
    tmp_path, data, trainer_settings, settings, at, plain
):
    callbacks = [Callback()] if plain else []
    _, rows = fitted(tmp_path, data, {**trainer_settings, **settings}, *callbacks)
    last = rows[rows["val/log_loss"].notna()].iloc[-1]
    assert (last["epoch"], last["step"]) == at


class TellIn(Callback):
    """Tells the process to stop in an epoch, after a look at the rows that are on the disk."""

    def __init__(self, epoch, folder):
        self.epoch, self.folder = epoch, folder

    def on_train_epoch_start(self, trainer, pl_module):
        if trainer.current_epoch == self.epoch:
            self.rows = rows_of(self.folder)
            os.kill(os.getpid(), signal.SIGTERM)


def test_each_epoch_has_one_row_over_a_stop_and_what_went_on(tmp_path, data, trainer_settings):
    tells = TellIn(2, tmp_path)
    with pytest.raises(preemption.Stopped), preemption.watched():
        fitted(tmp_path, data, trainer_settings, tells, save_seconds=0)
    assert tells.rows["epoch"].tolist() == [0, 1], "the state of both was saved"
    assert rows_of(tmp_path)["epoch"].tolist() == [0, 1, 2]
    with preemption.watched():  # as the next process would
        result, rows = fitted(tmp_path, data, trainer_settings)
    assert rows["epoch"].tolist() == [0, 1, 2, 3, 4]
    assert rows["train/loss"].notna().all()
    assert rows["val/log_loss"].min() == pytest.approx(result.score)


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_an_absent_package_is_named_with_its_extra(name, tmp_path, monkeypatch):
    target = {"wandb": "WandbLogger", "mlflow": "MLFlowLogger"}[name]
    module = f"lightning.pytorch.loggers.{name}"
    monkeypatch.setattr(f"{module}._{name.upper()}_AVAILABLE", False)
    node = {"_target_": f"lightning.pytorch.loggers.{target}"}
    with pytest.raises(UserError, match=rf"logger.{name}: its package .*meddistill\[{name}\]"):
        build_loggers({name: node}, tmp_path, {})


class Refusing(Notebook):
    def __init__(self) -> None:
        raise RuntimeError("no\nserver")


def test_what_a_logger_refuses_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match=r"^logger.a: no server$"):
        build_loggers({"a": {"_target_": f"{__name__}.Refusing"}}, tmp_path, {})


def test_what_is_no_logger_is_refused(tmp_path):
    with pytest.raises(UserError, match="is no Lightning logger"):
        build_loggers({"a": {"_target_": "fractions.Fraction"}}, tmp_path, {})


def test_loggers_are_closed_with_an_interrupt_too(tmp_path):
    logger = Notebook(str(tmp_path / "own.jsonl"))
    with pytest.raises(KeyboardInterrupt), finalized([logger]):
        raise KeyboardInterrupt
    assert notes(str(logger.file)) == [["status", "failed"]]


def test_a_run_of_wandbs_ends_with_the_run_so_that_the_next_has_its_own(tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb", reason="needs meddistill[wandb]")
    monkeypatch.setenv("WANDB_MODE", "offline")
    node = {"_target_": "lightning.pytorch.loggers.WandbLogger"}
    runs = set()
    for seed in range(2):
        with finalized(build_loggers({"wandb": node}, tmp_path, {"seed": seed})):
            runs.add(wandb.run.id)
        assert wandb.run is None
    assert len(runs) == 2
