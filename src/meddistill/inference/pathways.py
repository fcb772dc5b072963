"""What the gene sets of a pathway network do, patient by patient and between the classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from meddistill.data.cohort import Cohort
from meddistill.data.split import Split
from meddistill.files.atomic import write_atomically
from meddistill.inference.model import Model
from meddistill.inference.network import MeanOfProbabilities, NetworkModel
from meddistill.models.pathway import Pathway

ACTIVATIONS = "activations.parquet"
"""Of a run's folder: a line a patient and set, of the first network where there are several."""
TOP = 20
MOST = 50_000_000
"""Activations that are written; of more rows those of the test part alone."""


def described(model: Model, cohort: Cohort, split: Split, folder: Path) -> dict[str, Any] | None:
    """Write the activations of a model's gene sets, and say which differ most between the classes.

    Args:
        model: Any.
        cohort: Its rows.
        split: Their parts; the classes are compared on labelled test rows.
        folder: Of the run.

    Returns:
        For `metrics.json`: the number of `sets` by layer; of the `top` ones `layer`, `set`, the
        `share` of its activation's variance that lies between the classes, and its `means` by
        class; how many test rows were `tested`. None where the model has no gene sets.
    """
    network = _pathway(model)
    if network is None:
        return None
    sizes = [len(names) for names in network.sets]
    rows = np.arange(len(cohort.target))
    if len(rows) * sum(sizes) > MOST:
        rows = split.test
    found = _activations(cast(NetworkModel, model), network, cohort, rows)
    names = [(layer, name) for layer, each in enumerate(network.sets, 1) for name in each]
    frame = pd.DataFrame(found, columns=[f"{layer}: {name}" for layer, name in names])
    frame.insert(0, "row", cohort.row[rows])
    frame.insert(1, "split", split.names()[rows])
    write_atomically(folder / ACTIVATIONS, frame.to_parquet(index=False))
    tested = np.isin(rows, split.test) & (cohort.target[rows] >= 0)
    target = cohort.target[rows][tested]
    shares = between_classes(found[tested], target)
    means = [found[tested][target == k].mean(axis=0) for k in range(len(cohort.classes))]
    order = np.argsort(-np.nan_to_num(shares), kind="stable")[:TOP]
    top = [
        {"layer": names[at][0], "set": names[at][1], "share": float(shares[at]),
         "means": [float(mean[at]) for mean in means]}
        for at in order
    ]  # fmt: skip
    return {"sets": sizes, "top": top, "tested": int(tested.sum())}


def between_classes(values: NDArray[np.float32], target: NDArray[np.integer[Any]]) -> NDArray[Any]:
    """[columns] share of the variance of [rows, columns] that lies between classes.

    It is the correlation ratio (Fisher 1925), 0 to 1; NaN where nothing varies.
    """
    wide = values.astype(np.float64)
    mean = wide.mean(axis=0)
    between = np.zeros(wide.shape[1])
    for number in np.unique(target):
        own = wide[target == number]
        between += len(own) * (own.mean(axis=0) - mean) ** 2
    whole = ((wide - mean) ** 2).sum(axis=0)
    shares: NDArray[np.float64] = np.full(len(whole), np.nan)
    np.divide(between, whole, out=shares, where=whole > 0)
    return shares


def _pathway(model: Model) -> Pathway | None:
    if not isinstance(model, NetworkModel):
        return None
    first = next(iter(cast(MeanOfProbabilities, model.network).members))
    return first if isinstance(first, Pathway) else None


def _activations(
    model: NetworkModel, network: Pathway, cohort: Cohort, rows: NDArray[np.intp]
) -> NDArray[np.float32]:
    """[rows, sets] of all layers side by side."""
    preprocessing = model.preprocessing
    step, parts = preprocessing.evaluation_rows, []
    with torch.inference_mode():
        for first in range(0, len(rows), step):
            records = preprocessing.read(cohort.records.take(rows[first : first + step]))
            inputs = preprocessing.front(torch.from_numpy(model.prepare(records)))
            parts.append(torch.cat(network.activations(inputs), dim=1).numpy())
    return np.concatenate(parts)
