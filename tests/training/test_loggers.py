"""Loggers are told a run's settings and what became of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from lightning.pytorch.loggers import Logger

from meddistill.errors import UserError
from meddistill.training.loggers import build_loggers, finalized

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
