"""Small real data, small real models, and the command line in this process."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from meddistill import cli
from meddistill.data.cohort import Cohort
from meddistill.data.datamodule import CohortDataModule
from meddistill.data.split import Split, split_cohort
from meddistill.data.tables.breast_cancer import breast_cancer
from meddistill.teachers.targets import Targets
from meddistill.teachers.teaching import build_teacher
from meddistill.trial import costs
from started import TEACHER, settings

SMALL_TEACHER = (
    "teacher=mlp",
    "teacher.network.width=16",
    "teacher.network.depth=1",
    "teacher.trainer.max_epochs=3",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the longest tests first: begun last they would keep one worker of two busy alone."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _few_calls_to_time():
    """A trial's latencies are medians of few calls: no test reads how exact they are."""
    costs.WARM_UP, costs.LEAST, costs.SECONDS = 1, 3, 0.0


@pytest.fixture(scope="session")
def cohort() -> Cohort:
    return breast_cancer()


@pytest.fixture(scope="session")
def split(cohort: Cohort) -> Split:
    return split_cohort(cohort)


@pytest.fixture(scope="session")
def targets(tmp_path_factory, cohort: Cohort, split: Split) -> Targets:
    """A small trained network, whose answers say nothing."""
    folder = tmp_path_factory.mktemp("teacher")
    teacher = build_teacher(settings(*TEACHER))
    teacher.fit(cohort, split, folder, {"accelerator": "cpu", "devices": 1})
    answers = np.full((len(cohort.target), 2), np.log(0.5), dtype=np.float32)
    return Targets("key", folder, answers)


@pytest.fixture
def data(cohort: Cohort, split: Split) -> CohortDataModule:
    return CohortDataModule(cohort, split)


@pytest.fixture(scope="session")
def adam():
    return partial(torch.optim.Adam, lr=1e-3, fused=True)


@pytest.fixture
def trainer_settings() -> dict[str, object]:
    return {"accelerator": "cpu", "devices": 1, "max_epochs": 5, "enable_progress_bar": False,
            "num_sanity_val_steps": 0}  # fmt: skip


@pytest.fixture
def meddistill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run the command line in an empty folder: arguments -> exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    monkeypatch.setenv("MEDDISTILL_STORE", str(tmp_path / "store"))

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["meddistill", *arguments])
        capfd.readouterr()
        code, handlers = 0, list(logging.getLogger().handlers)
        try:
            cli.main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        finally:  # Hydra's handlers write to a captured stream that later tests do not have
            logging.getLogger().handlers[:] = handlers
            os.environ.pop("HYDRA_FULL_ERROR", None)  # the command line sets it for its process
        out, err = capfd.readouterr()
        return code, out, err

    return run
