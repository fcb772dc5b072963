"""A command imports what it needs."""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest

from meddistill import cli


def test_a_student_is_trained_and_a_network_answers_without_what_they_do_not_need():
    heavy = ("skops", "sklearn.ensemble", "sklearn.compose", "sklearn.neighbors", "optuna")
    code = (
        "import sys, meddistill.tasks.distill, meddistill.inference.model\n"
        f"print(*[name for name in {heavy!r} if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []


def test_load_model_and_predict_are_imported_without_lightning_and_hydra():
    heavy = ("lightning", "torchmetrics", "hydra", "matplotlib")
    code = (
        "import sys; from meddistill import load_model, predict\n"
        f"print(*[name for name in {heavy!r} if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []


@pytest.fixture
def threshold():
    """What it was is set again."""
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


@pytest.mark.usefixtures("threshold")
def test_a_command_looks_for_cycles_rarely_which_imports_make_none_of(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["meddistill", "--version"])
    cli.main()
    assert gc.isenabled()
    assert gc.get_threshold()[0] == cli.RARELY
