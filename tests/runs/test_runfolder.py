"""Of several processes one writes, and none works on a finished run."""

from __future__ import annotations

import pytest

from meddistill.runs.runfolder import RANKS, RunFolder, is_main_process

METRICS = {"score": 1.0, "monitor": "val/log_loss", "threshold": 0.5, "data": {}}
CONFIG = {"verb": "distill", "seed": 0}


@pytest.fixture(autouse=True)
def _alone(monkeypatch):
    for name in RANKS:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("ranks", "main"),
    [
        ({}, True),
        ({"LOCAL_RANK": "0"}, True),
        ({"LOCAL_RANK": "1"}, False),  # Lightning's second process
        ({"LOCAL_RANK": "0", "NODE_RANK": "1"}, False),  # Lightning on the second machine
        ({"LOCAL_RANK": "0", "RANK": "2"}, False),  # torchrun on the second machine
        ({"SLURM_PROCID": "0"}, True),
        ({"SLURM_PROCID": "1"}, False),
        ({"SLURM_PROCID": "0", "LOCAL_RANK": "1"}, False),  # started by Lightning in a SLURM job
    ],
)
def test_the_first_process_of_the_first_node_writes(monkeypatch, ranks, main):
    for name, value in ranks.items():
        monkeypatch.setenv(name, value)
    assert is_main_process() is main


def test_no_process_works_on_a_finished_run(tmp_path, monkeypatch):
    first = RunFolder(tmp_path / "run", CONFIG)
    assert first.open() is None
    monkeypatch.setenv("SLURM_PROCID", "1")
    assert RunFolder(tmp_path / "run", CONFIG).open() is None  # unfinished: it takes its part
    monkeypatch.delenv("SLURM_PROCID")
    first.finish(METRICS)
    monkeypatch.setenv("SLURM_PROCID", "1")
    assert RunFolder(tmp_path / "run", CONFIG).open() == METRICS
