"""`meddistill teacher`: train a teacher, once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import yaml

from meddistill.config.compose import choice_name
from meddistill.config.confdir import conf_dir
from meddistill.config.identity import from_call
from meddistill.data.cohort import UNLABELLED
from meddistill.data.datamodule import CohortDataModule
from meddistill.data.source import describe_data, prepare
from meddistill.errors import SettingError
from meddistill.inference import pathways
from meddistill.inference.card import save_card
from meddistill.inference.loading import copy_model
from meddistill.losses.imbalance import of_teacher, treatment_of
from meddistill.runs.runfolder import RunFolder, is_main_process
from meddistill.students.rows import check_threshold
from meddistill.tasks.common import check
from meddistill.teachers.judging import judge_teacher
from meddistill.teachers.targets import SHARED, find_targets
from meddistill.teachers.teaching import build_teacher, teacher_node

PLACE = ("devices", "num_nodes", "strategy")
"""Arguments of the Trainer that a teacher is said not to take: it is trained on one device."""


def train_teacher(settings: Mapping[str, Any], run: RunFolder) -> dict[str, Any]:
    """Find or train the teacher, judge it, and leave it in the run's folder.

    Returns:
        The run's metrics; `score` is the validation log loss.
    """
    check(settings)
    _check_read(settings)
    teacher = build_teacher(settings)
    cohort, split = prepare(settings)
    labels = settings["teacher"].get("labels", settings["data"]["labels"])
    known = split.labelled(cohort.target, labels)[split.validation]
    check_threshold(settings["threshold"], cohort.target[split.validation][known])
    if settings["imbalance"]:  # a class that it names is refused by the key that was given
        treatment_of(settings["imbalance"], CohortDataModule(cohort, split, labels=labels))
    targets = find_targets(
        teacher, cohort, split, from_call(settings["store"]), settings["trainer"]
    )
    if not is_main_process():
        return {"score": math.nan}
    model = targets.model()
    copy_model(model.card, targets.folder, run.path)
    judged = judge_teacher(
        targets, cohort, split, labels, settings["threshold"], run.path / "predictions.parquet"
    )
    sets = pathways.described(model, cohort, split, run.path)
    save_card(run.path, model.card.deciding(settings["threshold"], judged))
    metrics = {
        "score": judged["validation"]["log_loss"],
        "monitor": "val/log_loss",
        "threshold": settings["threshold"],
        "data": describe_data(cohort, split),
        "teacher": judged,
        **({"pathways": sets} if sets else {}),
    }
    run.finish(metrics)
    return metrics


def _check_read(settings: Mapping[str, Any]) -> None:
    """Refuse what a teacher alone does not read.

    Raises:
        SettingError: A student that nobody teaches, its rows, or the Trainer's arguments of one.
    """
    student = settings.get("student")
    if student is not None and student not in settings["teacher"].values():
        mend = "only teacher=self reads it; a student is trained by 'meddistill distill'"
        raise SettingError("student", student["_target_"], mend)
    unlabelled = settings["data"].get("unlabelled")
    if unlabelled is not None:
        mend = "a teacher learns from labelled rows; its student reads these ('meddistill distill')"
        raise SettingError(UNLABELLED, unlabelled, mend)
    _check_imbalance(settings)
    plain = yaml.safe_load((conf_dir() / "accelerator" / "_trainer.yaml").read_text("utf-8"))
    for name, value in settings["trainer"].items():
        if name not in (*SHARED, *PLACE) and value != plain.get(name):
            mend = f"is a student's; a teacher's own is teacher.trainer.{name}"
            raise SettingError(f"trainer.{name}", value, mend)


def _check_imbalance(settings: Mapping[str, Any]) -> None:
    """Refuse an imbalance that would do nothing to a teacher, or nothing reads."""
    node = settings["imbalance"]
    if not node:
        return
    name = choice_name(node)
    if not of_teacher(node):
        mend = "does nothing to a teacher, whose answers are brought back always: leave it out"
        raise SettingError("imbalance", name, mend)
    if teacher_node(settings) == settings["teacher"]:
        mend = "this teacher was made elsewhere, or has its own (teacher.imbalance): leave it out"
        raise SettingError("imbalance", name, mend)
