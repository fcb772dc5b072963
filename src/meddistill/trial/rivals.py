"""Arms that are no students: the teacher, its best part, and scikit-learn's classifiers."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from meddistill.config.compose import build
from meddistill.data.datamodule import CohortDataModule
from meddistill.data.records import Records
from meddistill.inference.classifiers import asked, check_classifier, fit_classifier
from meddistill.inference.estimator import EstimatorModel
from meddistill.inference.model import Model
from meddistill.stack.folder import StackFolder
from meddistill.stack.tables import Table
from meddistill.trial.answers import Answers, choose, validation_log_loss
from meddistill.trial.arms import EstimatorArm
from meddistill.trial.folder import PART

log = logging.getLogger(__name__)


def teacher_answers(unit: int, name: str, table: Table) -> Answers:
    """The teacher as it is: one try."""
    assert table.targets is not None  # a trial has a teacher in every table
    probabilities = np.exp(table.targets.log_probabilities)[None]
    scores = validation_log_loss(probabilities, table)[:, None]
    models = [table.targets.model()] if table.settings["trial"]["hide"] else []
    asked = [model for model in models if model.answers_new_rows]
    return Answers(unit, name, [{}], scores, probabilities, table.targets.seconds(), models=asked)


def pruned_answers(unit: int, name: str, table: Table) -> Answers | None:
    """The best on validation rows of the smaller models within the teacher; None without any."""
    assert table.targets is not None  # a trial has a teacher in every table
    parts = table.targets.model().pruned()
    if not parts:
        return None
    probabilities = np.exp(_answers_of(parts, table.data.cohort.records))
    scores = validation_log_loss(probabilities, table)[:, None]
    best = choose(scores)
    tries = [_described(part, number) for number, part in enumerate(parts)]
    chosen = probabilities[best].astype(np.float32)[None]
    seconds = table.targets.seconds()  # the whole is fitted before a part of it is chosen
    return Answers(unit, name, tries, scores, chosen, seconds)


def _answers_of(parts: Sequence[Model], records: Records) -> NDArray[np.float64]:
    """[parts, rows, classes] log-probabilities; parts of one preprocessing share its inputs."""
    prepared: dict[int, Any] = {}
    answers = []
    for part in parts:
        read, key = part.preprocessing.read(records), id(part.preprocessing)
        if not read.in_memory:
            answers.append(part.of_records(read))
            continue
        if key not in prepared:
            prepared[key] = part.prepare(read)
        answers.append(part.answer(prepared[key]))
    return np.stack(answers)


def _described(part: Model, number: int) -> dict[str, int]:
    """What a try of the pruned teacher is: which part, and its size."""
    trees = part.num_trees if isinstance(part, EstimatorModel) else 0
    size = {"trees": trees} if trees else {"parameters": part.num_parameters}
    return {PART: number, **size}


def estimator_answers(
    unit: int, name: str, arm: EstimatorArm, table: Table, run: StackFolder
) -> Answers:
    """A classifier's tries, fitted on the labelled training rows; a finished one is read again."""
    part = f"{name}-{unit:05d}"
    if not run.has_part(part):
        run.save_part(part, _fitted(arm, table))
    kept = run.read_part(part)
    scores, probabilities = kept["scores"].numpy(), kept["probabilities"].numpy()
    return Answers(unit, name, arm.tries(), scores, probabilities, seconds=kept["seconds"])


def check_estimators(arms: Mapping[str, EstimatorArm]) -> None:
    """Build and rehearse every classifier that will be tried, before anything is trained."""
    for name, arm in arms.items():
        for attempt in arm.tries():
            key = f"arms.{name}.estimator"
            classifier = build(arm.with_try(attempt), key)
            check_classifier(classifier, arm.estimator["_target_"], key)


def rows_of(arm: EstimatorArm, rows: CohortDataModule, name: str = "NAME") -> CohortDataModule:
    """A split's rows as the arm's classifier reads them; `name` is the arm's, for the message.

    They are the student's inputs where these are lists of numbers, and else the usual ones.

    Raises:
        SettingError: They are no lists of numbers.
    """
    data = rows.with_preprocessing(arm.preprocessing, f"arms.{name}.preprocessing")
    if not arm.preprocessing and data.preprocessing.layout != "vector":
        data = data.with_usual_preprocessing()
    data.check_layout("vector", "arm", name, f"preprocessing@arms.{name}.preprocessing")
    return data


def fit_estimator(
    arm: EstimatorArm, settings: Mapping[str, Any], table: Table, data: CohortDataModule
) -> Any:
    """A classifier with a try's settings, fitted on the labelled training rows of `data`."""
    rows = data.labelled_train
    node = arm.with_try(settings)
    estimator = build(node, "estimator", **_seed(node, table))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an unconverged try is judged by its validation rows
        what = f"{arm.label} ({_said(settings)})"
        fit_classifier(estimator, data.inputs_at(rows), data.cohort.target[rows], what)
    return estimator


def _fitted(arm: EstimatorArm, table: Table) -> dict[str, Any]:
    started = time.perf_counter()
    data = rows_of(arm, table.data)
    inputs, classes = data.inputs_at(np.arange(len(data.cohort.target))), data.num_classes
    answers = [
        asked(fit_estimator(arm, settings, table, data), inputs, classes)
        for settings in arm.tries()
    ]
    probabilities = np.stack(answers).astype(np.float32)
    scores = validation_log_loss(probabilities, table)[:, None]
    return {
        "scores": torch.from_numpy(scores),
        "probabilities": torch.from_numpy(probabilities[choose(scores)][None]),
        "seconds": (time.perf_counter() - started) / len(answers),
    }


def _said(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in settings.items()) or "one try"


def _seed(node: Mapping[str, Any], table: Table) -> dict[str, int]:
    """The run's seed, for classifiers that take one and weren't given it."""
    import inspect

    from hydra.utils import get_object

    takes = inspect.signature(get_object(node["_target_"])).parameters
    wanted = "random_state" in takes and node.get("random_state") is None
    return {"random_state": table.settings["seed"]} if wanted else {}
