"""The page of a single run: what the student (or teacher) does on the test rows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from meddistill.evaluation.calibration import calibration_measures
from meddistill.evaluation.delong import delong_interval
from meddistill.evaluation.operating import confusion_matrix, operating_points
from meddistill.evaluation.predictions import probability_columns
from meddistill.files.atomic import read_json
from meddistill.report.classes import classes_table
from meddistill.report.curves import Answered, curves
from meddistill.report.page import Cell, DataTable, Notice, Page, Section, Text
from meddistill.report.pathways import pathways_section
from meddistill.report.prior import run_table as prior_table
from meddistill.report.scorecard import card_section
from meddistill.report.tables import TOLD, bent_said, columns_said, meaning, number, rows_said
from meddistill.report.threshold import run_tables
from meddistill.report.trial_tables import CALIBRATION, MAIN, OPERATING
from meddistill.runs.reading import check_numbers, read_predictions

ROWS = "Test rows of one split."
ONE_RUN = (
    "These are one student's measures on one split of the patients: another split would give "
    "others. Whether the teacher was worth it is a comparison with the same student alone over "
    "many splits: 'meddistill trial' makes it, with the same settings."
)


def run_page(folder: Path, metrics: Mapping[str, Any], examples: int | None = None) -> Page:
    """The page of a finished run, from its metrics and its predictions by row.

    Args:
        folder: The run's.
        metrics: Of the run.
        examples: Pictures of the largest errors to show; None for none.

    Raises:
        UserError: The pictures can't be shown.
    """
    data, model = metrics["data"], metrics.get("student") or metrics["teacher"]
    threshold = model.get("threshold", metrics["threshold"])  # that validation rows chose
    classes = data["classes"]
    columns = ("row", "split", "label", *probability_columns(classes))
    predictions = read_predictions(folder / "predictions.parquet", columns)
    check_numbers(predictions, folder / "predictions.parquet")
    test, held = (_answered(predictions, part, classes, model["name"]) for part in
                  ("test", "validation"))  # fmt: skip
    more = operating_points(test.probabilities, test.target) | calibration_measures(
        test.probabilities, test.target, held.probabilities, held.target
    )
    found = {**model["test"], **more}
    card = metrics.get("scorecard")
    lead = f"{data['name']}: {model['name']} with {model['parameters']:,} parameters"
    sections = [
        Section("What was found", [_models(metrics), *_area(test), Notice("One run", ONE_RUN)]),
        *([card_section(card, test, data["positive"])] if card else []),
        *([pathways_section(metrics["pathways"], classes)] if "pathways" in metrics else []),
        *_columns(metrics),
        Section("Curves", curves([test], classes, "run", ROWS), side_by_side=True),
        Section("More measures", [
            _measures(found, CALIBRATION, "Calibration"),
            *([prior_table(test, metrics["imbalance"], classes)] if "imbalance" in metrics else []),
            _measures(found, OPERATING, "Operating points"),
            *run_tables(test, metrics["threshold"], threshold),
            _confusion(test, classes, threshold),
            *([classes_table(test.label, test.probabilities, test.target, classes, ROWS)]
              if len(classes) > 2 else []),
        ]),
        *_examples(folder, metrics, examples),
        Section("How it was done", [_rows(metrics), _settings(folder)]),
    ]  # fmt: skip
    environment = (folder / "environment.txt").read_text(encoding="utf-8").splitlines()
    footer = [*environment, f"data: {data['name']}, fingerprint {data['fingerprint'][:16]}"]
    return Page("What this run found", lead, sections, footer)


def _examples(folder: Path, metrics: Mapping[str, Any], count: int | None) -> list[Section]:
    if count is None:
        return []
    from meddistill.report.examples import examples_section  # it takes torch, which others don't

    return [examples_section(folder, metrics, count)]


def _answered(predictions: pd.DataFrame, part: str, classes: list[str], label: str) -> Answered:
    rows = predictions[predictions["split"] == part]
    values = rows[probability_columns(classes)].to_numpy(dtype=np.float64)
    target = pd.Categorical(rows["label"], categories=classes).codes
    return Answered(label, 0, values, np.asarray(target, dtype=np.int64))


def _columns(metrics: Mapping[str, Any]) -> list[Section]:
    """What the student reads of a row, and why, where this is not all."""
    if "columns" not in metrics:
        return []
    found = metrics["columns"]
    said, told, alone, costs = columns_said(metrics), found["told"], found["alone"], found["costs"]
    if not told:
        return [Section("Columns", [Text(*said)])]
    rows: list[list[Cell]] = [
        [
            name,
            _told(told.get(name), name in found["columns"]),
            (f"{alone[name]:.1%}", alone[name]),
            *([(f"{costs.get(name, 0):g}", costs.get(name, 0.0))] if costs else []),
        ]
        for name in [*told, *(name for name in alone if name not in told)]
    ]
    heads = ["column", "told with those before", "told alone", *(["cost"] if costs else [])]
    return [Section("Columns", [DataTable(heads, rows, [*said, TOLD], "Columns")])]


def _told(share: float | None, is_read: bool) -> Cell:
    """What a column tells with those before it; a card may do without one that was chosen."""
    if share is None:
        return "not read", 2.0
    return f"{share:.1%}" if is_read else f"{share:.1%}, not read", share


def _models(metrics: Mapping[str, Any]) -> DataTable:
    data = metrics["data"]
    rows: list[list[Cell]] = []
    for who in ("teacher", "student"):
        if model := metrics.get(who):
            size = model["parameters"]
            shown = [_cell(model["test"].get(name)) for name in MAIN]
            rows.append([model["name"], (f"{size:,}" if size else "-", float(size)), *shown])
    notes = [meaning(data["positive"], len(data["classes"]), metrics["threshold"])]
    notes += bent_said(metrics)
    caption = f"Measures on {data['rows']['test']:,} test rows"
    return DataTable(["model", "parameters", *MAIN.values()], rows, notes, caption)


def _area(test: Answered) -> list[Text]:
    """The AUROC's interval, for two classes."""
    if test.probabilities.shape[1] != 2:
        return []
    area, low, high = delong_interval(test.probabilities[:, 1], test.target == 1)
    said = f"The {test.label}'s AUROC is {number(area)}"
    if area != area:
        return [Text("Of the two classes only one occurs in the test rows: there is no AUROC.")]
    if low != low:
        return [Text(f"{said}; DeLong's interval can't be worked out of so few or such rows.")]
    interval = f"{number(low)} to {number(high)}"
    meant = "what other test rows alone could have made of this very model"
    return [Text(f"{said}, with DeLong's 95 % interval {interval}: {meant}.")]


def _measures(found: Mapping[str, Any], shown: Mapping[str, str], caption: str) -> DataTable:
    rows = [[head.strip(), _cell(found.get(name))] for name, head in shown.items()]
    return DataTable(["measure", "test rows"], rows, (), caption)


def _confusion(test: Answered, classes: list[str], threshold: float) -> DataTable:
    counts = confusion_matrix(test.probabilities, test.target, threshold)
    rows: list[list[Cell]] = [
        [truth, *((f"{value:,}", float(value)) for value in line)]
        for truth, line in zip(classes, counts.tolist(), strict=True)
    ]
    return DataTable(["truth \\ called", *classes], rows, (), "Test rows by truth and answer")


def _rows(metrics: Mapping[str, Any]) -> Text:
    rows = metrics["data"]["rows"]
    said = [
        f"{rows['train']:,} training rows, {rows['validation']:,} validation, {rows['test']:,} "
        "test.",
        *rows_said(metrics),
    ]
    if "epochs" in metrics:
        said.append(f"The best of {metrics['epochs']} epochs by {metrics['monitor']} was kept.")
    return Text(" ".join(said))


def _settings(folder: Path) -> DataTable:
    settings = read_json(folder / "identity.json")
    rows: list[list[Cell]] = [[key, str(value)] for key, value in sorted(settings.items())]
    return DataTable(["setting", "value"], rows, (), "Settings that decide the results")


def _cell(value: float | None) -> Cell:
    return number(value), float("nan") if value is None else float(value)
