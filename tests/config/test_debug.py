"""`debug=fast` runs every part once and leaves nothing."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from meddistill import tasks
from meddistill.config.confdir import conf_dir
from meddistill.config.debug import SCRATCH, WORKED
from meddistill.config.resolvers import register_resolvers


@pytest.fixture
def seen(monkeypatch):
    """What each job came to."""
    found, work = [], tasks._work

    def watched(config, settings, *more):
        found.append((settings, work(config, settings, *more)))
        return found[-1][1]

    monkeypatch.setattr(tasks, "_work", watched)
    return found


def test_a_config_that_is_only_composed_makes_no_folder(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    register_resolvers()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        assert compose("distill", ["debug=fast"]).store == f"{tmp_path}/meddistill-debug/store"
    assert SCRATCH not in os.environ
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments",
    [
        ["teacher", "teacher=several", "teacher.of.forest.trees=3"],
        ["distill", "teacher.members=2"],
        ["distill", "-m", "teacher=mlp", "seed=0,1", "student=mlp_tiny,logistic"],
        ["distill", "-m", "teacher=mlp", "hydra/sweeper=basic", "loss=ce,kd"],
        ["trial", "teacher=mlp", "arm=[teacher,student_alone,distilled]"],
    ],
)
def test_a_debug_run_takes_one_epoch_and_leaves_nothing(meddistill, seen, arguments):
    code, out, err = meddistill(*arguments, "debug=fast")
    assert code == 0, err
    assert out.count(WORKED) == 1
    assert len(seen) == (2 if "-m" in arguments else 1)
    settings, metrics = seen[0]
    if settings["verb"] == "distill" and "-m" not in arguments:
        assert metrics["epochs"] == 1
    if settings["verb"] == "trial":
        assert [arm["tries"] for arm in metrics["arms"].values()] == [1, 1, 1]
    assert not list(Path().iterdir())
    assert not Path(settings["store"]).exists()
    assert SCRATCH not in os.environ


@pytest.mark.parametrize("kept", ["hydra.run.dir=mine", "store=mine", "trainer.precision=3"])
def test_a_debug_run_that_would_keep_something_or_fails_says_why(meddistill, kept):
    code, out, err = meddistill("distill", "debug=fast", "loss=ce", kept)
    assert code == 2
    assert kept.partition("=")[0] in err
    assert WORKED not in out
    assert not list(Path().iterdir())


def test_a_debug_run_names_the_loggers_that_it_does_not_try(meddistill):
    code, out, err = meddistill("distill", "debug=fast", "loss=ce", "logger=[csv,tensorboard]")
    assert code == 0, err
    assert "debug=fast: csv in place of logger=tensorboard, which is not tried" in out
