"""Optuna's sweeper: trials that are jobs of several seeds, in a study that goes on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import meddistill as meddistill_package
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_killed_trial_is_run_again_with_its_settings(optuna, meddistill, monkeypatch):
    from meddistill.stack import chunks

    train = chunks._train_chunk
    calls = []

    def killed_at_the_second(*given):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return train(*given)

    monkeypatch.setattr(chunks, "_train_chunk", killed_at_the_second)
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


@pytest.mark.parametrize(
    "axis", ["seed=range(0,5)", "data.split_seed=0,1", "++seed=1,2", "init.seed=0,1"]
)
def test_seeds_and_splits_are_never_optimised(optuna, meddistill, axis):
    code, _, err = meddistill(SWEEP[0], "-m", *SWEEP[1:], "init=subset", axis)
    assert code == 2
    assert f"Average over it inside each job: stack.axes=['{axis.lstrip('+')}']" in err
    assert not Path("store").exists()


def test_a_sweep_of_which_no_trial_finished_says_where_the_reasons_are(optuna, meddistill):
    wrong = ("loss.alpha=choice(2,3)", "hydra.sweeper.n_trials=2")
    code, _, err = meddistill(*SWEEP, *wrong, "hydra.sweeper.max_failure_rate=1")
    assert code == 2
    assert "no trial finished; the column error of sweep/jobs.csv says why" in err
    assert pd.read_csv("sweep/jobs.csv")["error"].str.contains("loss.alpha").all()


def test_the_first_failure_ends_a_sweep_with_its_reason(optuna, meddistill):
    wrong = ("loss.alpha=choice(2,3)", "hydra.sweeper.n_trials=2")
    code, _, err = meddistill(*SWEEP, *wrong)
    assert code == 2
    assert "must be a number" in err.splitlines()[-1]
    assert len(trials(optuna)) == 1


@pytest.mark.slow
def test_jobs_are_counted_on_after_a_resume(optuna, meddistill):
    meddistill(*SWEEP, "hydra.sweeper.n_trials=1")
    _, out, _ = meddistill(*SWEEP, "hydra.sweeper.n_trials=2")
    assert "#1 :" in out
    assert pd.read_csv("sweep/jobs.csv")["job"].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("max_failure_rate=2", "hydra.sweeper.max_failure_rate=2: must be a number"),
        ("n_trials=0", "hydra.sweeper.n_trials=0: must be a whole number"),
        ("sampler={_target_: optuna.samplers.GridSampler}", "hydra/sweeper=stacked"),
    ],
)
def test_a_wrong_setting_is_named(optuna, meddistill, setting, says):
    code, _, err = meddistill(*SWEEP, f"hydra.sweeper.{setting}")
    assert code == 2
    assert says in err


def test_ours_is_offered_wherever_the_plugin_stands_on_the_path(optuna):
    """Hydra's scan meets plugins in the order of the path, and the last to register wins."""
    source = Path(meddistill_package.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-m", "meddistill", "distill", "experiment=optuna", "--cfg", "hydra"],
        env={**os.environ, "PYTHONPATH": str(source)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "hydra_plugins.meddistill_sweepers.optuna.OptunaSweeper" in done.stdout


def test_without_optuna_the_extra_is_named(meddistill, monkeypatch):
    monkeypatch.setitem(sys.modules, "hydra_plugins.hydra_optuna_sweeper._impl", None)
    code, _, err = meddistill(*SWEEP)
    assert code == 2
    assert "pip install 'meddistill[optuna]'" in err
