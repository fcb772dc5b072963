"""A student's rows: split, preprocessed, and seen as its settings say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from meddistill.data.cohort import Cohort
from meddistill.data.datamodule import CohortDataModule
from meddistill.data.split import Split
from meddistill.data.unlabelled import check_unlabelled
from meddistill.views.building import build_view


def student_rows(settings: Mapping[str, Any], cohort: Cohort, split: Split) -> CohortDataModule:
    """The rows that a resolved config's student learns from, without a teacher's answers.

    Raises:
        UserError: The cohort's unlabelled rows can't join them.
    """
    data = CohortDataModule(
        cohort, split,
        labels=settings["data"]["labels"],
        batch_size=settings["batch_size"],
        seed=settings["seed"],
        preprocessing=settings["preprocessing"],
        view=build_view(settings["view"], cohort.records.kind),
    )  # fmt: skip
    check_unlabelled(data)
    return data
