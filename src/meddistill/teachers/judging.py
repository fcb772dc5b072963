"""What a teacher's stored answers are worth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from meddistill.data.cohort import Cohort
from meddistill.data.split import Split
from meddistill.evaluation.predictions import judge_model
from meddistill.teachers.targets import Targets


def judge_teacher(
    targets: Targets,
    cohort: Cohort,
    split: Split,
    labels: float,
    threshold: float | str,
    predictions: Path | None = None,
) -> dict[str, Any]:
    """Measures of a teacher by its stored answers, and whether its test rows are known to be so."""
    judged = judge_model(
        "teacher", targets.parameters, targets.log_probabilities, cohort, split, labels, threshold,
        predictions,
    )  # fmt: skip
    return {**judged, "key": targets.key, "test_rows_checked": targets.knows_rows}
