"""The rows of every split of a trial, with the teacher's answers as they are and dealt out anew."""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from meddistill.compose import build
from meddistill.data.cohort import Cohort
from meddistill.data.datamodule import CohortDataModule
from meddistill.pace import Pace, quiet
from meddistill.seeding import derive
from meddistill.stack.tables import Table, read_rows
from meddistill.targets import find_targets
from meddistill.trial.units import Unit

log = logging.getLogger(__name__)


def read_units(units: Sequence[Unit]) -> list[CohortDataModule]:
    """Each unit's rows; equal sources are read once."""
    cohorts: dict[str, Cohort] = {}
    return [read_rows(unit.settings, cohorts) for unit in units]


def teach_units(units: Sequence[Unit], modules: Sequence[CohortDataModule]) -> list[Table]:
    """Each unit's rows with its teacher's answers, from the store or trained now."""
    tables: list[Table] = []
    pace = Pace("teachers: {} splits", len(units))
    log.info("teachers: from the store (%s), or trained now", units[0].settings["store"])
    with quiet("meddistill.targets", "meddistill.teachers"):
        for unit, data in zip(units, modules, strict=True):
            settings = unit.settings
            teacher = build(settings["teacher"], "teacher", _recursive_=False)
            targets = find_targets(
                teacher, data.cohort, data.split, Path(settings["store"]), settings["trainer"]
            )
            data.teach(targets.log_probabilities)
            tables.append(Table(settings, data, targets))
            pace.step()
    return tables


def with_permuted_teacher(table: Table) -> Table:
    """The table with the teacher's answers on training rows dealt out to other training rows.

    Their distribution stays; what they know of a row is gone. Equal settings deal alike.
    """
    assert table.targets is not None  # a trial has a teacher in every table
    answers = table.targets.log_probabilities.copy()
    train = table.data.split.train
    random = np.random.default_rng(derive(table.settings["seed"], "permuted teacher"))
    answers[train] = answers[random.permutation(train)]
    data = copy.copy(table.data)
    data.teach(answers)
    return replace(table, data=data)
