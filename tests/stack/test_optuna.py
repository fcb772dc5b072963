"""Optuna's sweeper: trials that are jobs of several seeds, in a study that goes on."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import pytest

from conftest import SMALL_TEACHER

SWEEP = ("distill", *SMALL_TEACHER, "student=mlp_tiny", "trainer.max_epochs=2", "logger=none",
         "experiment=optuna", "stack.axes=['seed=range(0,2)']",
         "hydra.sweep.dir=sweep")  # fmt: skip


@pytest.fixture
def optuna():
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper", reason="needs meddistill[optuna]")
    return pytest.importorskip("optuna")


def trials(optuna):
    study = optuna.load_study(study_name="meddistill", storage="sqlite:///sweep/optuna.db")
    return study.get_trials()


def students():
    return pd.read_csv("sweep/sweep.csv")


def test_a_trial_is_the_mean_over_the_seeds_of_its_job(optuna, meddistill):
    code, out, err = meddistill(*SWEEP, "hydra.sweeper.n_trials=3")
    assert code == 0, err
    means = students().groupby("folder", sort=False)["score"].mean()
    found = [trial.value for trial in trials(optuna)]
    assert sorted(found) == pytest.approx(sorted(means), abs=1e-6)
    assert students().groupby("folder").size().tolist() == [2, 2, 2]
    assert "Best value" not in out  # the winner's own score is nothing to expect
    assert "Choose on validation, look at test" in out


def test_a_repeated_command_runs_the_missing_trials_alone(optuna, meddistill):
    meddistill(*SWEEP, "hydra.sweeper.n_trials=2")
    before = [trial.params for trial in trials(optuna)]
    code, out, _ = meddistill(*SWEEP, "hydra.sweeper.n_trials=2")
    assert code == 0
    assert "Launching" not in out
    meddistill(*SWEEP, "hydra.sweeper.n_trials=3")
    after = [trial.params for trial in trials(optuna)]
    assert after[:2] == before
    assert len(after) == 3
    assert after[2] not in before


def test_a_killed_trial_is_run_again_with_its_settings(optuna, meddistill, monkeypatch):
    from meddistill.tasks import stack

    train = stack._train_chunk
    calls = []

    def killed_at_the_second(*given):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return train(*given)

    monkeypatch.setattr(stack, "_train_chunk", killed_at_the_second)
    assert meddistill(*SWEEP, "hydra.sweeper.n_trials=3")[0] == 130
    killed = next(trial for trial in trials(optuna) if trial.state.name == "RUNNING")
    assert meddistill(*SWEEP, "hydra.sweeper.n_trials=3")[0] == 0
    done = [trial.params for trial in trials(optuna) if trial.state.name == "COMPLETE"]
    assert len(done) == 3
    assert done[1] == killed.params


def test_a_score_that_is_better_when_higher_is_maximised(optuna, meddistill):
    assert meddistill(*SWEEP, "hydra.sweeper.n_trials=1", "monitor=val/auroc")[0] == 0
    study = optuna.load_study(study_name="meddistill", storage="sqlite:///sweep/optuna.db")
    assert study.direction.name == "MAXIMIZE"


@pytest.mark.parametrize("axis", ["seed=range(0,5)", "data.split_seed=0,1"])
def test_seeds_and_splits_are_never_optimised(optuna, meddistill, axis):
    code, _, err = meddistill(SWEEP[0], "-m", *SWEEP[1:], axis)
    assert code == 2
    assert f"Average over it inside each job: stack.axes=['{axis}']" in err
    assert not Path("store").exists()


def test_without_optuna_the_extra_is_named(meddistill, monkeypatch):
    monkeypatch.setitem(sys.modules, "hydra_plugins.hydra_optuna_sweeper._impl", None)
    code, _, err = meddistill(*SWEEP)
    assert code == 2
    assert "pip install 'meddistill[optuna]'" in err
