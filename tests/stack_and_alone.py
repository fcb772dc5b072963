"""Students in a stack and the same students trained alone."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from sklearn.linear_model import LogisticRegression

from meddistill.config.compose import build_network, build_optimizer
from meddistill.config.confdir import conf_dir
from meddistill.data.datamodule import CohortDataModule
from meddistill.data.split import split_cohort
from meddistill.losses.base import Searched
from meddistill.losses.building import build_loss
from meddistill.losses.treated import treat, treatment_by
from meddistill.stack.fit import Recipe, Student, fit_stack
from meddistill.training.distiller import Distiller
from meddistill.training.fit import fit
from meddistill.training.schedulers import schedule_of

TRAINER = {"accelerator": "cpu", "devices": 1, "max_epochs": 30, "num_sanity_val_steps": 0,
           "enable_progress_bar": False}  # fmt: skip


@cache
def node(group, name):
    """A choice of a group; not to be changed."""
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return OmegaConf.to_container(compose("distill", [f"{group}={name}"])[group])


def taught(cohort, split_seed, labels=1.0, hide=0.0):
    data = CohortDataModule(cohort, split_cohort(cohort, split_seed), labels=labels, hide=hide)
    train, inputs = data.split.train, data.rows.inputs.numpy()
    teacher = LogisticRegression(C=0.1).fit(inputs[train], cohort.target[train])
    return data.with_answers(np.log(teacher.predict_proba(inputs).clip(1e-9)))


def three_tables(cohort):
    """Two splits of equal size, and the first one with few labels."""
    return [taught(cohort, 0), taught(cohort, 1), taught(cohort, 0, labels=0.3)]


def recipe(student="mlp_tiny", loss="kd", optimizer="adam", patience=4, scheduler=None, **trainer):
    loss_node = node("loss", loss)
    if isinstance(searched := build_loss(loss_node), Searched):
        loss_node = searched.node(searched.candidates()[0])
    return Recipe(
        student if isinstance(student, dict) else node("student", student),
        loss_node, node("optimizer", optimizer), {**TRAINER, **trainer}, patience,
        scheduler or {},
    )  # fmt: skip


def alone(made, student, tables, folder):
    """The student trained by the ordinary way: probabilities [rows, classes], score, epochs."""
    data = tables[student.table].with_seed(student.seed)
    classes = data.num_classes
    network = build_network(made.student, "student", data.in_shape, classes, student.seed)
    loss = build_loss({**made.loss, **student.loss})
    if treatment := treatment_by(loss, student.imbalance, data):
        treat(loss, [treatment])
        data = data.with_balance(treatment.balanced)
    module = Distiller(
        network, classes, build_optimizer({**made.optimizer, **student.optimizer}, "optimizer"),
        loss, seed=student.seed,
        scheduler=schedule_of(made.scheduler, made.trainer["max_epochs"]),
    )  # fmt: skip
    fitted = fit(module, data, folder, made.trainer, patience=made.patience)
    answers = data.answers_of(network.eval()).double().softmax(dim=-1).numpy()
    return answers, fitted.score, fitted.epochs


def assert_members_as_alone(made, students, tables, tmp_path, most=1e-5):
    stacked = fit_stack(made, students, tables, tmp_path / "stack")
    for number, student in enumerate(students):
        answers, score, epochs = alone(made, student, tables, tmp_path / str(number))
        assert np.abs(stacked.probabilities[number] - answers).max() < most, student
        assert stacked.score[number] == pytest.approx(score, abs=1e-6)
        assert stacked.epochs[number] == epochs
    return stacked


def kd(temperature, alpha, label_smoothing=0.0):
    return {"temperature": temperature, "alpha": alpha, "label_smoothing": label_smoothing}


MEMBERS = [
    Student(0, 0, kd(1.0, 0.0), {"lr": 1e-3, "weight_decay": 0.0}),
    Student(0, 0, kd(4.0, 0.9), {"lr": 1e-3, "weight_decay": 0.0}),
    Student(0, 3, kd(2.0, 1.0, 0.2), {"lr": 1e-3, "weight_decay": 0.0}),
    Student(1, 3, kd(0.7, 0.3), {"lr": 1e-3, "weight_decay": 0.0}),
    Student(1, 4, kd(2.0, 0.5), {"lr": 5e-3, "weight_decay": 0.0}),
    Student(0, 5, kd(2.0, 0.5), {"lr": 5e-3, "weight_decay": 1e-2}),
]
