"""From the settings of a run to its rows, and which of them train, validate and test."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from meddistill.config.compose import build
from meddistill.data.batches import SMALLEST_BATCH, batch_size_for
from meddistill.data.cohort import Cohort
from meddistill.data.datamodule import CohortDataModule
from meddistill.data.split import OFFICIAL, PARTS, RANDOM, Split, split_cohort
from meddistill.errors import SettingError, integer
from meddistill.measures import HALF
from meddistill.once import NOTE
from meddistill.runs.runfolder import is_main_process

log = logging.getLogger(__name__)
SPLIT_KEYS = ("split", "split_seed", "test", "validation", "fold", "validation_labels")


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
        for note in (*cohort.notes, *_of_parts(settings, cohort)):
            log.info("  %s", note, **NOTE)
        _say_batch_size(settings, cohort)
    return cohort


def _of_parts(settings: Mapping[str, Any], cohort: Cohort) -> list[str]:
    """That official parts are there and others are drawn."""
    if cohort.parts is None or settings["data"]["split"] != RANDOM:
        return []
    counts = " / ".join(str(np.sum(cohort.parts == part)) for part in PARTS)
    return [
        f"official parts ({counts} rows to train, validate and test) came with these data and are "
        f"not kept: data.split={OFFICIAL} keeps them"
    ]


def _check_threshold(threshold: float | str, classes: int) -> None:
    """Refuse one where no class is the positive one: the likeliest class is called there."""
    if classes > 2 and threshold != HALF:
        mend = f"there are {classes} classes, so none is positive, and the likeliest is called"
        raise SettingError("threshold", threshold, f"{mend}: leave it out")


def _say_batch_size(settings: Mapping[str, Any], cohort: Cohort) -> None:
    """Where it goes by the rows and is not the usual one."""
    by_rows = "batch_size" in settings and settings["batch_size"] is None
    size = batch_size_for(len(cohort.target), cohort.records.row_size)
    if by_rows and size > SMALLEST_BATCH:
        log.info(
            "  batch_size: %d rows a step, by the number of rows (batch_size=64 sets it)", size
        )


def source(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The part of the data's settings that says where they come from."""
    return {k: v for k, v in settings["data"].items() if k not in (*SPLIT_KEYS, "labels")}


def split_rows(settings: Mapping[str, Any], cohort: Cohort) -> Split:
    """Which rows train, validate and test."""
    return split_cohort(cohort, **{key: settings["data"][key] for key in SPLIT_KEYS})


def describe_rows(data: CohortDataModule) -> dict[str, Any]:
    """What a run's metrics say of its data, with the rows that the teacher alone answered."""
    added = {kind: count for kind, count in data.added.items() if count}
    return describe_data(data.cohort, data.split) | ({"added": added} if added else {})


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
