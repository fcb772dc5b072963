"""Predictions by row: the table that every evaluation and report starts from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from meddistill.data.cohort import Cohort
from meddistill.data.split import PARTS, Split
from meddistill.evaluation.metrics import diagnostic_metrics
from meddistill.evaluation.thresholds import rule_of
from meddistill.files.atomic import write_atomically


def probability_columns(classes: Sequence[str]) -> list[str]:
    """Names of the columns of class probabilities."""
    return [f"p_{name}" for name in classes]


def predictions_table(
    cohort: Cohort,
    split: Split,
    labelled: NDArray[np.bool_],
    probabilities: NDArray[np.float64],
    member: int = 0,
) -> pd.DataFrame:
    """One line a row: `row`, `split`, `labelled`, `label`, `member`, `p_<class>`..."""
    names = np.array(cohort.classes, dtype=object)
    table = pd.DataFrame(probabilities, columns=probability_columns(cohort.classes))
    front = {
        "row": pd.Series(cohort.row, dtype="str"),
        "split": pd.Series(split.names(), dtype="str"),
        "labelled": labelled,
        "label": pd.Series(names[cohort.target], dtype="str"),
        "member": member,
    }
    return pd.concat([pd.DataFrame(front), table], axis=1)


def evaluate(
    probabilities: NDArray[np.float64], target: NDArray[np.int64], threshold: float = 0.5
) -> dict[str, float]:
    """Every diagnostic measure of probabilities [rows, classes] against class numbers [rows]."""
    # The arrays are whole: under DDP torchmetrics would wait for ranks that have none.
    metrics = diagnostic_metrics(probabilities.shape[1], threshold, sync_on_compute=False)
    # A rounding error above 1 would make it take all of them for logits.
    metrics.update(torch.tensor(np.clip(probabilities, 0, 1)), torch.tensor(target))
    return {name: float(value) for name, value in metrics.compute().items()}


def judge(table: pd.DataFrame, classes: Sequence[str], threshold: float | str) -> dict[str, Any]:
    """Measures of one member's predictions on the labelled rows of each part.

    Args:
        table: As `predictions_table` makes it.
        classes: Their names.
        threshold: As `rule_of` reads it; where it is no number, the result says what it came to on
            validation rows.
    """
    codes = {name: code for code, name in enumerate(classes)}
    found = {}
    for part in PARTS:
        rows = table[(table["split"] == part) & table["labelled"]]
        probabilities = rows[probability_columns(classes)].to_numpy(dtype=np.float64)
        found[part] = probabilities, np.asarray(rows["label"].map(codes), dtype=np.int64)
    rule = rule_of(threshold)
    chosen = rule(*found["validation"])
    said = {} if rule.is_number else {"threshold": chosen}
    return {**{part: evaluate(*rows, chosen) for part, rows in found.items()}, **said}


def judge_model(
    name: str,
    parameters: int,
    log_probabilities: NDArray[Any],
    cohort: Cohort,
    split: Split,
    labels: float,
    threshold: float | str,
    predictions: Path | None = None,
) -> dict[str, Any]:
    """Measures of a model on each part; its predictions by row are written to `predictions`."""
    labelled = split.labelled(cohort.target, labels)
    probabilities = np.exp(np.asarray(log_probabilities, dtype=np.float64))
    table = predictions_table(cohort, split, labelled, probabilities)
    if predictions is not None:
        write_atomically(predictions, table.to_parquet(index=False))
    return {"name": name, "parameters": parameters, **judge(table, cohort.classes, threshold)}
