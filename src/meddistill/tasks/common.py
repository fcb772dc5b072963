"""Steps that the verbs share, one call each."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from meddistill.config.compose import build
from meddistill.data.batches import FEW_ROWS, batch_size_for
from meddistill.data.cohort import Cohort
from meddistill.data.split import PARTS, Split, split_cohort
from meddistill.errors import SettingError, integer, number
from meddistill.evaluation.predictions import judge, predictions_table
from meddistill.files.atomic import write_atomically
from meddistill.once import NOTE
from meddistill.runs.runfolder import is_main_process
from meddistill.teachers.targets import Targets
from meddistill.training.trainer import make_trainer, quiet

log = logging.getLogger(__name__)
HALF = 0.5
"""The threshold by default, which calls the likelier of two classes."""
SPLIT_KEYS = ("split_seed", "test", "validation", "fold", "validation_labels")


def check(settings: Mapping[str, Any]) -> None:
    """Refuse settings of no component in particular; sets the number of threads."""
    torch.set_num_threads(integer("threads", settings["threads"], at_least=1))
    number("threshold", settings["threshold"], above=0, at_most=1)
    with quiet():
        make_trainer(settings["trainer"], logger=False)
    number("data.labels", settings["data"]["labels"], above=0, at_most=1)


def prepare(settings: Mapping[str, Any]) -> tuple[Cohort, Split]:
    """Read and split the data, and say what was found in them."""
    cohort = read_cohort(settings)
    return cohort, split_rows(settings, cohort)


def read_cohort(settings: Mapping[str, Any]) -> Cohort:
    """Read the data, and say what was found in them."""
    read: Cohort = build(source(settings), "data")
    fewest = integer("privacy.fewest", settings["privacy"]["fewest"], at_least=1)
    cohort = replace(read, fewest=fewest)
    _check_threshold(settings["threshold"], len(cohort.classes))
    if is_main_process():
        log.info("%s", cohort.describe())
        for note in cohort.notes:
            log.info("  %s", note, **NOTE)
        _say_batch_size(settings, len(cohort.target))
    return cohort


def _check_threshold(threshold: float, classes: int) -> None:
    """Refuse one where no class is the positive one: the likeliest class is called there."""
    if classes > 2 and threshold != HALF:
        mend = f"there are {classes} classes, so none is positive, and the likeliest is called"
        raise SettingError("threshold", threshold, f"{mend}: leave it out")


def _say_batch_size(settings: Mapping[str, Any], rows: int) -> None:
    """Where it goes by the rows and is not the usual one."""
    by_rows = "batch_size" in settings and settings["batch_size"] is None
    if by_rows and rows > FEW_ROWS:
        size = batch_size_for(rows)
        log.info(
            "  batch_size: %d rows a step, by the number of rows (batch_size=64 sets it)", size
        )


def source(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The part of the data's settings that says where they come from."""
    return {k: v for k, v in settings["data"].items() if k not in (*SPLIT_KEYS, "labels")}


def split_rows(settings: Mapping[str, Any], cohort: Cohort) -> Split:
    """Which rows train, validate and test."""
    return split_cohort(cohort, **{key: settings["data"][key] for key in SPLIT_KEYS})


def judge_model(
    name: str,
    parameters: int,
    log_probabilities: NDArray[Any],
    cohort: Cohort,
    split: Split,
    labels: float,
    threshold: float,
    predictions: Path | None = None,
) -> dict[str, Any]:
    """Measures of a model on each part; its predictions by row are written to `predictions`."""
    labelled = split.labelled(cohort.target, labels)
    probabilities = np.exp(np.asarray(log_probabilities, dtype=np.float64))
    table = predictions_table(cohort, split, labelled, probabilities)
    if predictions is not None:
        write_atomically(predictions, table.to_parquet(index=False))
    return {"name": name, "parameters": parameters, **judge(table, cohort.classes, threshold)}


def judge_teacher(
    targets: Targets,
    cohort: Cohort,
    split: Split,
    labels: float,
    threshold: float,
    predictions: Path | None = None,
) -> dict[str, Any]:
    """Measures of a teacher by its stored answers, and whether its test rows are known to be so."""
    judged = judge_model(
        "teacher", targets.parameters, targets.log_probabilities, cohort, split, labels, threshold,
        predictions,
    )  # fmt: skip
    return {**judged, "key": targets.key, "test_rows_checked": targets.knows_rows}


def describe_data(cohort: Cohort, split: Split) -> dict[str, Any]:
    """What a run's metrics say of its data."""
    return {
        "name": cohort.name,
        "fingerprint": cohort.fingerprint,
        "classes": list(cohort.classes),
        "positive": cohort.positive,
        "rows": {part: len(split.part(part)) for part in PARTS},
        "notes": list(cohort.notes),
    }
