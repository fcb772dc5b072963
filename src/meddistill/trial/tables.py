"""The rows of every split of a trial, with the teacher's answers as they are and dealt out anew."""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from meddistill.data.cohort import Cohort
from meddistill.data.datamodule import CohortDataModule
from meddistill.pace import Pace, quiet
from meddistill.seeding import derive
from meddistill.stack.tables import Table, read_rows
from meddistill.teaching import add_synthetic, answers, teach
from meddistill.trial.units import Unit

log = logging.getLogger(__name__)


def read_units(units: Sequence[Unit]) -> list[CohortDataModule]:
    """Each unit's rows; equal sources are read once."""
    cohorts: dict[str, Cohort] = {}
    return [read_rows(unit.settings, cohorts) for unit in units]


def teach_units(units: Sequence[Unit], modules: Sequence[CohortDataModule]) -> list[Table]:
    """Each unit's own rows with its teacher's answers, from the store or trained now."""
    tables: list[Table] = []
    pace = Pace("teachers: {} splits", len(units))
    log.info("teachers: from the store (%s), or trained now", units[0].settings["store"])
    with quiet("meddistill.targets", "meddistill.teachers"):
        for unit, data in zip(units, modules, strict=True):
            targets = teach({**unit.settings, "synthetic": {}}, data)
            tables.append(Table(unit.settings, data, targets))
            pace.step()
    return tables


def variant(table: Table, teacher: str, synthetic: Mapping[str, Any]) -> Table:
    """The table as an arm reads it.

    Args:
        table: A unit's own rows with its teacher's answers.
        teacher: `true` or `permuted`, as of a `StudentArm`.
        synthetic: Config node, likewise.
    """
    read = with_synthetic(table, synthetic) if synthetic else table
    return with_permuted_teacher(read) if teacher == "permuted" else read


def with_synthetic(table: Table, node: Mapping[str, Any]) -> Table:
    """The table with synthetic rows beside the training rows, answered by the teacher."""
    assert table.targets is not None  # a trial has a teacher in every table
    data = copy.copy(table.data)
    add_synthetic(node, data)
    data.teach(answers(table.targets, data))
    return replace(table, data=data)


def with_permuted_teacher(table: Table) -> Table:
    """The table with the teacher's answers on training rows dealt out to other training rows.

    Their distribution stays; what they know of a row is gone. Equal settings deal alike.
    """
    data = copy.copy(table.data)
    assert data.rows.answers is not None  # a trial has a teacher in every table
    dealt, train = data.rows.answers.numpy().copy(), data.train_rows
    random = np.random.default_rng(derive(table.settings["seed"], "permuted teacher"))
    dealt[train] = dealt[random.permutation(train)]
    data.teach(dealt)
    return replace(table, data=data)
