"""Pictures and series of the largest errors; only where asked for.

A page is sent by mail and kept in folders for years: examinations of patients get into it by an
explicit `--examples` alone, and it says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from numpy.typing import NDArray

from meddistill.config.identity import from_call
from meddistill.data.cohort import Cohort
from meddistill.data.images.records import ImageRecords
from meddistill.data.records import Records
from meddistill.data.series.records import SeriesRecords
from meddistill.data.source import read_cohort
from meddistill.errors import UserError
from meddistill.evaluation.predictions import probability_columns
from meddistill.inference.loading import load_model
from meddistill.inference.model import Model
from meddistill.inference.saliency import saliency
from meddistill.report.page import Notice, Plot, Section
from meddistill.report.picture_plot import Panel, pictures_plot
from meddistill.report.series_plot import series_plot
from meddistill.report.tables import number
from meddistill.runs.reading import read_predictions

MOST = 50
Target = NDArray[np.int64]
PRIVACY = (
    "This page holds {what} of {count} patients, with their ids. Whoever gets it gets them: share "
    "it as you would share the {what}, or make it again without --examples."
)
SIGNALS = (
    "Blank cells, and marks below a line, are values that were missing. Of many variables each has "
    "a row, from dark to light over its range in these series."
)
MEANT = (
    "Bright places are those whose pixels move the log-probability of the true class most "
    "(gradients averaged over noisy copies). They say where a model "
    "looks, not whether it is right to."
)


def examples_section(folder: Path, metrics: Mapping[str, Any], count: int) -> Section:
    """The test rows with the largest log loss.

    Args:
        folder: Of a finished run on pictures or series.
        metrics: Of the run.
        count: How many rows.

    Raises:
        UserError: They are rows of a table, or the data are not there any more, or others.
    """
    if not 1 <= count <= MOST:
        raise UserError(f"--examples {count}: a page shows from 1 to {MOST}")
    cohort = _cohort(folder, metrics)
    rows, losses = _worst(folder, metrics["data"]["classes"], count)
    place = {name: number for number, name in enumerate(cohort.row.tolist())}
    places = np.array([place[row] for row in rows["row"]], dtype=np.int64)
    records, target = cohort.records.take(places), cohort.target[places]
    models = _models(folder, metrics)
    titles = [
        f"{row}: {cohort.classes[code]}" for row, code in zip(rows["row"], target, strict=True)
    ]
    if isinstance(records, SeriesRecords):
        what, meant, drawn = "series", SIGNALS, _series(records, models, titles, target)
    else:
        what, meant, drawn = "pictures", MEANT, _pictures(records, models, titles, target)
    words = [
        f"{title}, log loss {number(loss)}" for title, loss in zip(titles, losses, strict=True)
    ]
    given = "Beside a model's name is the probability that it gave to the true class."
    said = f"The {len(rows)} test rows of the largest log loss. {given} {meant}"
    privacy = PRIVACY.format(count=len(rows), what=what)
    notice = Notice(f"{what.capitalize()} of patients", privacy)
    return Section("The largest errors", [notice, Plot(drawn, "; ".join(words), said)])


def _pictures(
    records: Records, models: Mapping[str, Model], titles: Sequence[str], target: Target
) -> str:
    """Each picture, and where models look."""
    assert isinstance(records, ImageRecords)
    panels = [
        Panel(name, maps, model.answer(model.prepare(model.preprocessing.read(records))))
        for name, model in models.items()
        if (maps := saliency(model, records, target)) is not None
    ]
    return pictures_plot("examples", records.pixels, titles, panels, target)


def _series(
    records: SeriesRecords, models: Mapping[str, Model], titles: Sequence[str], target: Target
) -> str:
    """Each row's signals, under what models say of its class."""
    said = list(titles)
    for name, model in models.items():
        answers = np.exp(model.log_probabilities(records))
        said = [
            f"{title}; {name}: {answers[row, target[row]]:.2f}" for row, title in enumerate(said)
        ]
    return series_plot("examples", records, said)


def _cohort(folder: Path, metrics: Mapping[str, Any]) -> Cohort:
    """The run's data, read again."""
    settings = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    cohort = read_cohort(settings)
    if not isinstance(cohort.records, (ImageRecords, SeriesRecords)):
        kind = cohort.records.kind
        raise UserError(f"--examples shows pictures and series, and the run's rows are {kind}")
    if cohort.fingerprint != metrics["data"]["fingerprint"]:
        raise UserError(
            f"--examples: {cohort.name} is not what the run was made of any more (another content)"
        )
    return cohort


def _worst(
    folder: Path, classes: list[str], count: int
) -> tuple[pd.DataFrame, NDArray[np.float64]]:
    """Test rows by falling log loss, and that."""
    columns = probability_columns(classes)
    table = read_predictions(folder / "predictions.parquet", ("row", "split", "label", *columns))
    test = table[table["split"] == "test"]
    code = pd.Categorical(test["label"], categories=classes).codes
    said = test[columns].to_numpy(dtype=np.float64)[np.arange(len(test)), code]
    losses = -np.log(np.clip(said, np.finfo(np.float32).tiny, 1))
    order = np.argsort(-losses, kind="stable")[:count]
    return test.iloc[order], losses[order]


def _models(folder: Path, metrics: Mapping[str, Any]) -> dict[str, Model]:
    """The teacher, where the store still has it, and the run's own model."""
    own = metrics.get("student") or metrics["teacher"]
    models = {own["name"]: load_model(folder)}
    key = metrics.get("teacher", {}).get("key")
    if metrics.get("student") and key:
        settings = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
        entry = from_call(settings["store"]) / "teachers" / key
        if entry.exists():
            return {"teacher": load_model(entry), **models}
    return models
