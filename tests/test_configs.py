"""Every yaml under conf/ is composed, built, and run for one batch; no list names them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch
from hydra import compose, initialize_config_dir
from lightning.pytorch.loggers import CSVLogger
from omegaconf import OmegaConf

from composing import composed
from kinds import (
    LAYOUTS,
    SHAPES,
    SOURCES,
    STUDENTS,
    classes_of,
    layout_of,
    rows_for,
    save_gmt,
)
from meddistill.config.compose import build, build_network, build_optimizer
from meddistill.config.confdir import VERBS, choices, conf_dir
from meddistill.config.resolvers import register_resolvers, resolved
from meddistill.data.cohort import Cohort
from meddistill.data.preprocessing import Features
from meddistill.data.source import SPLIT_KEYS
from meddistill.losses import DistillationLoss, Step, reduce_terms
from meddistill.losses.base import Searched
from meddistill.losses.building import build_loss, loss_at
from meddistill.losses.imbalance import treatment_of
from meddistill.students.columns import build_columns
from meddistill.students.rows import student_rows
from meddistill.training.callbacks import build_callbacks
from meddistill.training.classifier import Classifier
from meddistill.training.fit import fit
from meddistill.training.schedulers import schedule_of
from meddistill.training.trainer import make_trainer
from meddistill.trial.arms import Arm
from meddistill.views.building import build_view

GROUPS = sorted(
    folder.name for folder in conf_dir().iterdir() if folder.is_dir() and folder.name != "hydra"
)


def names(group: str) -> list[str]:
    return choices(group)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_a_root_config_that_composes(verb):
    assert composed(verb).verb == verb


def test_every_root_config_has_a_verb():
    roots = {path.stem for path in conf_dir().glob("*.yaml") if not path.stem.startswith("_")}
    assert roots == set(VERBS)


def test_this_file_has_a_test_for_every_group():
    tested = {
        "data",
        "teacher",
        "student",
        "loss",
        "init",
        "optimizer",
        "scheduler",
        "callbacks",
        "accelerator",
        "logger",
        "experiment",
        "arm",
        "schedule",
        "synthetic",
        "preprocessing",
        "missing",
        "view",
        "columns",
        "imbalance",
        "debug",
    }
    assert set(GROUPS) == tested


@pytest.mark.parametrize("name", names("data"))
def test_every_data_source_gives_a_cohort(name, tmp_path, cohort):
    cohort.records.frame.assign(target=cohort.target).to_csv(tmp_path / "table.csv", index=False)
    more = [f"data.path={tmp_path}/table.csv", "data.target=target"] if name == "table" else []
    more += SOURCES[name](tmp_path) if name in SOURCES else []
    node = OmegaConf.to_container(composed("distill", f"data={name}", *more).data)
    if not Path(node.get("path", tmp_path)).exists():
        pytest.skip(f"{node['path']} is absent")
    for key in (*SPLIT_KEYS, "labels"):
        del node[key]
    made = build(node, "data")
    assert isinstance(made, Cohort)
    assert len(made.target) == len(made.records) == len(made.row)


@pytest.mark.parametrize("name", [n for n in names("preprocessing") if n != "usual"])
def test_every_preprocessing_is_read_by_a_student(name, tmp_path, meddistill):
    kind = build(OmegaConf.to_container(composed("distill", f"preprocessing={name}").preprocessing),
                 "preprocessing").reads  # fmt: skip
    rows = [each for each in rows_for(LAYOUTS[kind], tmp_path) if not each.startswith("student=")]
    codes = {
        student: meddistill(
            "distill", *rows, f"preprocessing={name}", f"student={student}", "loss=ce",
            "trainer.max_epochs=1",
        )
        for student in STUDENTS.values()
    }  # fmt: skip
    assert [code for code, _, _ in codes.values()].count(0) == 1, codes


@pytest.mark.parametrize("name", names("missing"))
def test_every_way_with_empty_cells_makes_inputs_of_a_table(name, cohort, split):
    settings = resolved(composed("distill", f"missing={name}", "missing.hide=0.2"))
    data = student_rows(settings, cohort, split)
    batch = next(iter(data.train_dataloader()))
    assert batch.inputs.shape[1:] == data.in_shape
    assert batch.inputs.isfinite().all()


@pytest.mark.parametrize("name", names("view"))
def test_every_view_changes_rows_and_keeps_their_shape(name):
    view = build_view(composed("distill", f"view={name}").view, "images")
    assert (view is None) == (name == "none")
    if view is not None:
        pictures = torch.rand(4, 1, 12, 12)
        seen = view(pictures)
        assert seen.shape == pictures.shape
        assert not torch.equal(seen, pictures)


@pytest.mark.parametrize("name", names("student"))
def test_every_student_takes_a_training_step(name, tmp_path):
    node = composed("distill", f"student={name}").student
    shape = SHAPES[layout_of(node)]
    if name == "pathway":
        shape = Features(map(str, range(7)))
        node.gmt = save_gmt(tmp_path, shape.columns)
    for classes in classes_of(layout_of(node)):
        network = build_network(node, "student", shape, classes, seed=0)
        logits = network(torch.rand(5, *shape))
        assert logits.shape == (5, classes)
        logits.sum().backward()
        assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize("name", names("loss"))
def test_every_loss_gives_terms_per_row_and_a_gradient(name):
    loss = build_loss(OmegaConf.to_container(composed("distill", f"loss={name}").loss))
    if isinstance(loss, Searched):
        loss = build_loss(loss.node(loss.candidates()[-1]))
    assert isinstance(loss, DistillationLoss)
    classes = max(2, loss.min_classes)
    logits = torch.randn(6, classes, requires_grad=True)
    teacher = torch.randn(6, classes).log_softmax(1)
    read = {"": logits.unsqueeze(1).tile(1, 3, 1)}, {"": teacher.unsqueeze(1).tile(1, 3, 1)}
    weight = torch.full((6,), 1 / 6)
    step = Step(logits, torch.arange(6) % classes, weight, teacher, *read)
    loss.connect(step, seed=0)
    terms = loss.of_step(step)
    for term in (*terms.label.values(), *terms.teacher.values()):
        assert term.shape == (6,)
    reduce_terms(terms, weight, weight).backward()
    assert logits.grad.norm() > 1e-3


@pytest.mark.parametrize("name", names("schedule"))
def test_every_schedule_sets_a_temperature(name):
    node = composed("distill", f"+schedule@loss.temperature={name}").loss
    loss = build_loss(OmegaConf.to_container(node))
    assert float(loss.temperature) == 4.0
    assert float(loss_at(node, 100).temperature) == 1.0


@pytest.mark.parametrize("name", names("synthetic"))
def test_every_way_to_synthetic_rows_runs(name, meddistill):
    small = ["teacher=forest", "teacher.trees=5", "trainer.max_epochs=1"]
    code, out, err = meddistill("distill", f"synthetic={name}", *small)
    assert code == 0, err
    assert ("synthetic:" in out) == (name != "none")


@pytest.mark.parametrize("name", names("init"))
def test_every_start_of_a_student_is_said(name, meddistill):
    small = ["teacher=mlp", "teacher.network.width=8", "teacher.trainer.max_epochs=1"]
    small += ["student.width=4", "trainer.max_epochs=1"]
    code, out, err = meddistill("distill", f"init={name}", "loss=ce", *small)
    assert code == 0, err
    assert ("what the student takes of its teacher" in out) == (name != "scratch")
    assert ("started student" in out) == (name != "scratch")


@pytest.mark.parametrize("name", names("optimizer"))
def test_every_optimizer_takes_a_step(name):
    parameter = torch.nn.Parameter(torch.ones(3))
    node = OmegaConf.to_container(composed("distill", f"optimizer={name}").optimizer)
    optimizer = build_optimizer(node, "optimizer")([parameter])
    parameter.square().sum().backward()
    optimizer.step()
    assert (parameter < 1).all()


@pytest.mark.parametrize("name", names("scheduler"))
def test_every_scheduler_moves_the_learning_rate(name):
    node = OmegaConf.to_container(composed("distill", f"scheduler={name}").scheduler)
    schedule = schedule_of(node, 10)
    assert (schedule is None) == (name == "none")
    if schedule is not None:
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0, momentum=0.9)
        scheduler, rates = schedule.built(optimizer, 10, 10), set()
        for _ in range(10):
            rates.add(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step(*([1.0] if schedule.is_plateau else []))
        assert len(rates) > 1


@pytest.mark.parametrize("name", names("callbacks"))
def test_every_callback_sees_a_fit(name, tmp_path, data, trainer_settings, adam):
    register_resolvers()
    callbacks = build_callbacks(resolved(composed("distill", f"callbacks={name}"))["callbacks"])
    assert len(callbacks) == (name != "none")
    network = build_network(composed("distill").student, "student", (30,), 2, 0)
    loggers = [CSVLogger(tmp_path)]
    fit(Classifier(network, 2, adam), data, tmp_path, trainer_settings, loggers=loggers,
        callbacks=callbacks)  # fmt: skip


@pytest.mark.parametrize("name", names("accelerator"))
def test_every_accelerator_writes_arguments_of_lightnings_trainer(name):
    trainer = OmegaConf.to_container(composed("distill", f"accelerator={name}").trainer)
    absent = {"gpu": not torch.cuda.is_available(), "mps": not torch.backends.mps.is_available()}
    if absent.get(name):
        pytest.skip(f"no {name} here")
    assert make_trainer(trainer, logger=False).max_epochs == 200


@pytest.mark.parametrize("name", names("logger"))
def test_every_logger_logs_a_run(name, meddistill, monkeypatch):
    if name in ("tensorboard", "wandb", "mlflow"):
        pytest.importorskip(name, reason=f"needs meddistill[{name}]")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    code, _, err = meddistill(
        "distill", "loss=ce", f"logger={name}", "trainer.max_epochs=2", "hydra.run.dir=run"
    )
    assert code == 0, err
    folders = {"wandb": "wandb", "mlflow": "."}
    logs = [path for path in Path("run", folders.get(name, "logs")).rglob("*") if path.is_file()]
    assert bool(logs) == (name != "none")


@pytest.mark.parametrize("name", [n for n in names("teacher") if n != "checkpoint"])
def test_every_teacher_teaches_a_student(name, meddistill, cohort, tmp_path):
    small = ["teacher.network.width=8", "teacher.trainer.max_epochs=1", "teacher.members=2"]
    network = composed("distill", f"teacher={name}").teacher.get("network")
    if network is not None and name != "self":
        small += rows_for(layout_of(network), tmp_path)
    if name == "pathway":
        gmt = save_gmt(tmp_path, cohort.records.columns)
        small = [f"teacher.network.gmt={gmt}", "teacher.trainer.max_epochs=1"]
    if name == "monai_densenet":
        pytest.importorskip("monai", reason="needs meddistill[monai]")
        small += ["teacher.network.blocks=[1,1]"]
    if name in ("resnet", "ft_transformer"):
        pytest.importorskip("rtdl_revisiting_models", reason="needs meddistill[tabular]")
        small = ["teacher.trainer.max_epochs=1"]
    if name == "forest":
        small = ["teacher.trees=5"]
    if name == "self":  # its network is the student's
        small = ["student.width=8", "teacher.trainer.max_epochs=1"]
    if name == "several_series":
        small = [
            *rows_for("series", tmp_path),
            "teacher.of.gru_ensemble.network.width=4",
            "teacher.of.gru_ensemble.trainer.max_epochs=1",
            "teacher.of.boosting.estimator.max_iter=5",
        ]
    if name == "several":
        small = ["teacher.of.forest.trees=5", "teacher.of.mlp_ensemble.trainer.max_epochs=1"]
    if name == "boosting":
        small = ["teacher.estimator.max_iter=5"]
    if name == "estimator":
        small = ["teacher.estimator._target_=sklearn.naive_bayes.GaussianNB"]
    if name == "scores":
        pd.DataFrame({"malignant": cohort.target, "other": 0}).to_csv("scores.csv", index=False)
        small = ["teacher.path=scores.csv", "teacher.column=malignant"]
    code, _, err = meddistill("distill", f"teacher={name}", *small, "trainer.max_epochs=1")
    assert code == 0, err


@pytest.mark.parametrize("name", names("arm"))
def test_every_arm_is_built(name):
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        node = resolved(compose("trial", [f"arm=[{name},distilled]"]))["arms"][name]
    assert isinstance(build(node, f"arms.{name}", _recursive_=False), Arm)


def is_of_trials(experiment):
    return "override /arm" in (conf_dir() / "experiment" / f"{experiment}.yaml").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in names("experiment") if is_of_trials(n)])
def test_every_experiment_of_trials_runs(name, meddistill, tmp_path):
    source = composed("trial", f"experiment={name}").data["_target_"].rpartition(".")[2]
    small = ["teacher.trainer.max_epochs=1", "teacher.members=1", "teacher.network.width=4"]
    small += ["trainer.max_epochs=1", "trial.repeats=2", "trial.seeds=1", "data.split=random"]
    small += ["arm=[teacher,student_alone,distilled]", "trial.few_labels=null"]
    rows = SOURCES.get(source, lambda _: [])(tmp_path)
    code, out, err = meddistill("trial", f"experiment={name}", *rows, *small)
    assert code == 0, err
    assert "distilled student" in out


@pytest.mark.parametrize("name", [n for n in names("experiment") if not is_of_trials(n)])
def test_every_experiment_runs(name, meddistill):
    if name == "optuna":
        pytest.importorskip("hydra_plugins.hydra_optuna_sweeper", reason="needs meddistill[optuna]")
    small = ["teacher=mlp", "teacher.network.width=8", "teacher.trainer.max_epochs=1"]
    small += ["student=mlp_tiny"]
    small += ["hydra.sweeper.n_trials=2"] if name == "optuna" else []
    code, out, err = meddistill("distill", f"experiment={name}", *small, "trainer.max_epochs=1")
    assert code == 0, err
    assert "distilled student" in out
    if name != "optuna":  # it tries alpha = 0 by chance only
        assert "student alone" in out


@pytest.mark.parametrize("name", names("columns"))
def test_every_choice_of_columns_is_built(name):
    columns = build_columns(resolved(composed("distill", f"columns={name}")))
    assert columns.are_all == (name == "all")
    assert columns.asks_teacher == (name == "few")


@pytest.mark.parametrize("name", names("debug"))
def test_every_debug_says_what_is_small(name):
    assert composed("distill", f"debug={name}").debug == (None if name == "none" else name)


@pytest.mark.parametrize("name", names("imbalance"))
def test_every_treatment_of_an_imbalance_is_worked_out(name, data):
    node = resolved(composed("distill", f"imbalance={name}"))["imbalance"]
    assert (treatment_of(node, data) is None) == (name == "none")
