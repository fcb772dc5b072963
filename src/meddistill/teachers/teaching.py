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
from meddistill.errors import SettingError
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


def teach(
    teacher: Teacher, settings: Mapping[str, Any], data: CohortDataModule
) -> tuple[Targets, CohortDataModule]:
    """Find the teacher's answers, or train it; and the rows with its answers beside them."""
    store, trainer = from_call(settings["store"]), settings["trainer"]
    targets = find_targets(teacher, data.cohort, data.split, store, trainer)
    log.debug("teacher: %d parameters", targets.parameters)  # known before the store may be gone
    return targets, data.with_answers(answers(targets, data))


def with_synthetic_rows(node: Mapping[str, Any], data: CohortDataModule) -> CohortDataModule:
    """The rows with others made of the training rows, by the generator of a config node.

    An empty node makes none. A generator is called with training rows, as records and as a network
    reads them, and returns records.

    Raises:
        SettingError: The generator makes rows of another kind.
    """
    if not node:
        return data
    train, make = data.split.train, build(node, "synthetic")
    kind = data.cohort.records.kind
    if make.reads != kind:
        name = node["_target_"].rpartition(".")[2].lower()
        raise SettingError("synthetic", name, f"makes rows of {make.reads}, and these are {kind}")
    made = make(data.cohort.records.take(train), data.inputs_at(train))
    if is_main_process():
        log.info("synthetic: %d rows made of %d training rows", len(made), len(train))
    return data.with_synthetic(made)


def answers(targets: Targets, data: CohortDataModule) -> NDArray[np.float32]:
    """[rows, classes] the teacher's log-probabilities of the cohort's rows, then of synthetic ones.

    Synthetic rows are answered by the model that was fitted on all labelled training rows.
    """
    if data.synthetic is None:
        return targets.log_probabilities
    more = targets.model().log_probabilities(data.synthetic).astype(np.float32)
    return np.concatenate([targets.log_probabilities, more])
