"""`meddistill teacher`: train a teacher, once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from meddistill.model import copy_model
from meddistill.runfolder import RunFolder, is_main_process
from meddistill.targets import find_targets
from meddistill.tasks.common import check, describe_data, judge_model, prepare
from meddistill.teaching import build_teacher


def train_teacher(settings: Mapping[str, Any], run: RunFolder) -> dict[str, Any]:
    """Find or train the teacher, judge it, and leave it in the run's folder.

    Returns:
        The run's metrics; `score` is the validation log loss.
    """
    check(settings)
    teacher = build_teacher(settings)
    cohort, split = prepare(settings)
    targets = find_targets(teacher, cohort, split, Path(settings["store"]), settings["trainer"])
    if not is_main_process():
        return {"score": math.nan}
    model = targets.model()
    copy_model(model.card, targets.folder, run.path)
    labels = settings["teacher"].get("labels", settings["data"]["labels"])
    judged = judge_model(
        "teacher", model.num_parameters, targets.log_probabilities, cohort, split, labels,
        settings["threshold"], run.path / "predictions.parquet",
    )  # fmt: skip
    metrics = {
        "score": judged["validation"]["log_loss"],
        "monitor": "val/log_loss",
        "threshold": settings["threshold"],
        "data": describe_data(cohort, split),
        "teacher": {**judged, "key": targets.key},
    }
    run.finish(metrics)
    return metrics
