"""A frozen teacher's answers beside the rows that a student learns from."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
from hydra.utils import get_class
from numpy.typing import NDArray

from meddistill.config.compose import build, choice_name
from meddistill.config.identity import from_call
from meddistill.data.datamodule import CohortDataModule
from meddistill.errors import SettingError
from meddistill.runs.runfolder import is_main_process
from meddistill.teachers.base import Teacher
from meddistill.teachers.targets import Targets, find_targets

INHERITED = "teacher.imbalance"
log = logging.getLogger(__name__)


def build_teacher(settings: Mapping[str, Any]) -> Teacher:
    """The teacher of a resolved config, not trained yet.

    Raises:
        UserError: It refuses a setting, which is named as it was given: for teacher or student.
    """
    try:
        teacher: Teacher = build(teacher_node(settings), "teacher", _recursive_=False)
    except SettingError as error:
        if not error.key.startswith(INHERITED) or "imbalance" in settings["teacher"]:
            raise
        key = error.key.removeprefix("teacher.")
        raise SettingError(key, error.value, error.mend) from None
    return teacher


def teacher_node(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The teacher's config node; it treats an imbalance as its student does, or as it says."""
    return _treated(settings["teacher"], settings["imbalance"])


def _treated(node: Mapping[str, Any], imbalance: Mapping[str, Any]) -> dict[str, Any]:
    """The node, or each of a committee, with the student's imbalance where it has none of its own.

    Whether the student's answers are brought back is its own affair.
    """
    if isinstance(node.get("of"), Mapping):
        return {**node, "of": {k: _treated(each, imbalance) for k, each in node["of"].items()}}
    if not imbalance or "imbalance" in node or not _treats_imbalance(node):
        return dict(node)
    return {**node, "imbalance": {k: v for k, v in imbalance.items() if k != "correct"}}


def _treats_imbalance(node: Mapping[str, Any]) -> bool:
    try:
        return bool(getattr(get_class(node["_target_"]), "treats_imbalance", False))
    except Exception:  # no teacher's class, or of one's own: `build` says so
        return False


class Teachers:
    """Teachers of many resolved configs, each built once: some rehearse a fit, or read files."""

    def __init__(self) -> None:
        self._built: dict[str, Teacher] = {}

    def of(self, settings: Mapping[str, Any]) -> Teacher:
        """That of a resolved config."""
        key = json.dumps(teacher_node(settings), default=str)
        if key not in self._built:
            self._built[key] = build_teacher(settings)
        return self._built[key]


def find(teacher: Teacher, settings: Mapping[str, Any], data: CohortDataModule) -> Targets:
    """The teacher from the store; it is trained first where nobody did."""
    store, trainer = from_call(settings["store"]), settings["trainer"]
    targets = find_targets(teacher, data.cohort, data.split, store, trainer, data.unlabelled)
    log.debug("teacher: %d parameters", targets.parameters)  # known before the store may be gone
    return targets


def with_unlabelled_rows(node: Mapping[str, Any], data: CohortDataModule) -> CohortDataModule:
    """The rows with all that a teacher alone answers: the cohort's unlabelled ones, then synthetic.

    Args:
        node: Config node of what makes synthetic rows; an empty one makes none.
        data: The cohort's rows.
    """
    more = data.cohort.unlabelled
    if more is not None:
        data = data.with_unlabelled(more.records)
    return _with_synthetic_rows(node, data)


def _with_synthetic_rows(node: Mapping[str, Any], data: CohortDataModule) -> CohortDataModule:
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
        name = choice_name(node)
        raise SettingError("synthetic", name, f"makes rows of {make.reads}, and these are {kind}")
    whole = data.with_columns(None)  # rows are alike by all that is known of them
    made = make(whole.records.take(train), whole.inputs_at(train))
    if is_main_process():
        log.info("synthetic: %d rows made of %d training rows", len(made), len(train))
    return data.with_unlabelled(made)


def answers(targets: Targets, data: CohortDataModule) -> NDArray[np.float32]:
    """[rows, classes] the teacher's log-probabilities of the cohort, then of unlabelled rows."""
    if not data.unlabelled:
        return targets.log_probabilities
    return np.concatenate([targets.log_probabilities, targets.of(data.unlabelled)])
