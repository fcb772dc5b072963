"""Each of the Trainer's arguments does in a stack what it does alone, or there is no stack."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir

from meddistill.config.confdir import conf_dir
from meddistill.stack.alone import why_alone
from meddistill.stack.fit import fit_stack
from meddistill.stack.members import expand
from stack_and_alone import MEMBERS, TRAINER, assert_members_as_alone, recipe, three_tables

PAGE = (Path(__file__).parents[2] / "docs/trainer.md").read_text()
WORKS = re.findall(r"^\| `(\w+)` \| works \|", PAGE, re.MULTILINE)
STACKED = {
    "max_epochs": {"max_epochs": 5},
    "min_epochs": {"min_epochs": 12},
    "check_val_every_n_epoch": {"check_val_every_n_epoch": 3},
    "accumulate_grad_batches": {"accumulate_grad_batches": 4},
    "gradient_clip_val": {"gradient_clip_val": 0.05},
    "gradient_clip_algorithm": {"gradient_clip_val": 0.01, "gradient_clip_algorithm": "value"},
}  # fmt: skip
NEUTRAL = {
    "accelerator": "cpu", "num_sanity_val_steps": 2, "enable_progress_bar": False,
    "benchmark": False, "deterministic": True, "inference_mode": False,
    "default_root_dir": "elsewhere", "enable_autolog_hparams": False,
}  # fmt: skip
ALONE = {
    "strategy": "ddp", "devices": 2, "num_nodes": 2, "precision": "64-true", "fast_dev_run": 1,
    "max_steps": 8, "min_steps": 25, "max_time": "00:00:01:00", "limit_train_batches": 2,
    "limit_val_batches": 1, "overfit_batches": 1, "val_check_interval": 0.5,
    "log_every_n_steps": 2, "enable_checkpointing": True, "enable_model_summary": True,
    "profiler": "simple", "detect_anomaly": True, "sync_batchnorm": True,
    "reload_dataloaders_every_n_epochs": 1,
}  # fmt: skip
HASTY = [
    replace(MEMBERS[2], optimizer={"lr": 3e-2, "weight_decay": 0.0}),
    replace(MEMBERS[3], optimizer={"lr": 1e-1, "weight_decay": 0.0}),
]
"""They overshoot, and so stop early."""
SHORT = {"patience": 2, "max_epochs": 16}


@pytest.fixture(scope="module")
def tables(cohort):
    return three_tables(cohort)


@pytest.fixture(scope="module")
def plain(tables, tmp_path_factory):
    fitted = fit_stack(recipe(**SHORT), HASTY, tables, tmp_path_factory.mktemp("plain"))
    assert fitted.epochs.min() < 12
    return fitted


@cache
def settings():
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        config = compose("distill", ["student=mlp_tiny", "stack.axes=['seed=0']"])
    return expand(config)[0].settings


def reason(data, **trainer):
    return why_alone({**settings(), "trainer": {**TRAINER, **trainer}}, data)


def test_every_argument_that_works_is_in_one_of_the_lists():
    assert sorted([*STACKED, *NEUTRAL, *ALONE]) == sorted(WORKS)


@pytest.mark.parametrize("name", STACKED)
def test_a_member_under_the_argument_equals_the_student_alone(name, plain, tables, tmp_path):
    assert reason(tables[0], **STACKED[name]) is None
    made = recipe(**{**SHORT, **STACKED[name]})
    fitted = assert_members_as_alone(made, HASTY, tables, tmp_path)
    assert np.abs(fitted.probabilities - plain.probabilities).max() > 1e-3


def test_arguments_that_change_no_weights_change_none_in_a_stack(plain, tables, tmp_path):
    assert reason(tables[0], **NEUTRAL) is None
    try:
        fitted = fit_stack(recipe(**SHORT, **NEUTRAL), HASTY, tables, tmp_path)
    finally:
        torch.use_deterministic_algorithms(False)
    np.testing.assert_array_equal(fitted.probabilities, plain.probabilities)


@pytest.mark.parametrize("name", ALONE)
def test_students_under_other_arguments_are_trained_one_by_one_for_the_reason(name, tables):
    assert f"trainer.{name}={ALONE[name]}" in reason(tables[0], **{name: ALONE[name]})


def test_what_an_argument_is_without_being_given_stacks(tables):
    plain = {"precision": 32, "devices": "1", "detect_anomaly": False, "max_steps": -1}
    assert reason(tables[0], **plain) is None


def test_a_least_number_of_epochs_that_ends_between_validations_is_for_no_stack(tables):
    """A student alone is validated once more where it ends."""
    assert reason(tables[0], min_epochs=12, check_val_every_n_epoch=4) is None
    said = reason(tables[0], min_epochs=12, check_val_every_n_epoch=5)
    assert "no multiple of check_val_every_n_epoch" in said
