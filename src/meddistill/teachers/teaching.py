"""A frozen teacher's answers beside the rows that a student learns from."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddistill.config.compose import build, from_call
from meddistill.data.datamodule import CohortDataModule
from meddistill.runs.runfolder import is_main_process
from meddistill.teachers.base import Teacher
from meddistill.teachers.targets import Targets, find_targets

log = logging.getLogger(__name__)


def build_teacher(settings: Mapping[str, Any]) -> Teacher:
    """The teacher of a resolved config, not trained yet."""
    teacher: Teacher = build(settings["teacher"], "teacher", _recursive_=False)
    return teacher


class Teachers:
    """Teachers of many resolved configs, each built once: some rehearse a fit, or read files."""

    def __init__(self) -> None:
        self._built: dict[str, Teacher] = {}

    def of(self, settings: Mapping[str, Any]) -> Teacher:
        """That of a resolved config."""
        key = json.dumps(settings["teacher"], default=str)
        if key not in self._built:
            self._built[key] = build_teacher(settings)
        return self._built[key]


def teach(teacher: Teacher, settings: Mapping[str, Any], data: CohortDataModule) -> Targets:
    """Find the teacher's answers, or train it, and put them beside the rows that there are."""
    store, trainer = from_call(settings["store"]), settings["trainer"]
    targets = find_targets(teacher, data.cohort, data.split, store, trainer)
    log.debug("teacher: %d parameters", targets.parameters)  # known before the store may be gone
    data.teach(answers(targets, data))
    return targets


def add_synthetic(node: Mapping[str, Any], data: CohortDataModule) -> None:
    """Make rows of the training rows, by the generator of a config node; an empty one makes none.

    A generator is called with features and inputs of the training rows and returns features.
    """
    if not node:
        return
    train = data.split.train
    make = build(node, "synthetic")
    data.add(make(data.cohort.features.iloc[train], data.inputs.numpy()[train]))
    assert data.synthetic is not None
    if is_main_process():
        log.info("synthetic: %d rows made of %d training rows", len(data.synthetic), len(train))


def answers(targets: Targets, data: CohortDataModule) -> NDArray[np.float32]:
    """[rows, classes] the teacher's log-probabilities of the cohort's rows, then of synthetic ones.

    Synthetic rows are answered by the model that was fitted on all labelled training rows.
    """
    if data.synthetic is None:
        return targets.log_probabilities
    more = targets.model().log_probabilities(data.synthetic).astype(np.float32)
    return np.concatenate([targets.log_probabilities, more])
