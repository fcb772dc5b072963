"""Small made series: gaps, padding, static columns, and an outcome that the series tell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from meddistill.data.cohort import Cohort, number_rows
from meddistill.data.series.reading import read_records
from meddistill.data.series.records import NAMES, SeriesRecords

VARIABLES = ("HR", "pH", "rare")


def made_arrays(rows: int = 60, steps: int = 8, seed: int = 0) -> dict[str, np.ndarray]:
    """Arrays as in an .npz file; half of the cells are missing, and rows are of several lengths."""
    random = np.random.default_rng(seed)
    target = random.permutation(np.arange(rows) % 2)
    values = random.normal(size=(rows, steps, len(VARIABLES)))
    values[:, :, 0] = 80 + 10 * values[:, :, 0] + 8 * target[:, None]
    values[:, :, 1] = 7.4 + 0.05 * values[:, :, 1]
    values[random.random(values.shape) < 0.5] = np.nan
    values[:, :, 2] = np.nan
    values[:3, 0, 2] = 1.0
    return {
        "X": values.astype(np.float16),
        "y": target,
        "lengths": random.integers(3, steps + 1, rows),
        "variables": np.array(VARIABLES),
        "age": random.normal(60, 10, rows).round(1),
        "unit": np.array(["medical", "surgical", "rare"])[random.integers(0, 2, rows)],
        "record_id": np.arange(100, 100 + rows),
        "set": np.array(["a", "b"])[(np.arange(rows) >= rows * 2 // 3).astype(int)],
    }


def made_spec(**changed) -> dict:
    """What rows as `made_arrays` makes them are read by."""
    spec = {
        "variables": list(VARIABLES),
        "static": {"age": "number", "unit": "category"},
        "steps": 8,
        "step": 1.0,
        "until": None,
        "time_kind": "number",
        "names": dict(NAMES),
    }
    return spec | changed


def made_records(rows: int = 60, steps: int = 8, seed: int = 0) -> SeriesRecords:
    return read_records(made_arrays(rows, steps, seed), made_spec(steps=steps))


def made_cohort(rows: int = 60) -> Cohort:
    """Made series with their outcomes."""
    target = made_arrays(rows)["y"].astype(np.int64)
    return Cohort("made series", made_records(rows), target, ("well", "ill"), number_rows(rows))


def as_long(arrays: dict[str, np.ndarray]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The same series as a long table, a row a measurement or a visit, and static columns."""
    measured = []
    for row, length in enumerate(arrays["lengths"]):
        for step in range(length):
            for place, name in enumerate(arrays["variables"]):
                value = float(arrays["X"][row, step, place])
                if value == value or place == 0:
                    measured.append((arrays["record_id"][row], float(step), str(name), value))
    long = pd.DataFrame(measured, columns=["id", "time", "variable", "value"])
    static = pd.DataFrame({"id": arrays["record_id"], "age": arrays["age"], "unit": arrays["unit"]})
    return long, static


def save_series(folder: Path) -> list[str]:
    """An .npz file of made series: what a command line says to read it."""
    np.savez(folder / "series.npz", **made_arrays(rows=90))
    return [
        "data=series_npz", f"data.path={folder}/series.npz", "data.static=[age,unit]",
        "data.id=record_id", "data.positive=1",
    ]  # fmt: skip


def save_long(folder: Path) -> list[str]:
    """The same as a long table beside outcomes."""
    arrays = made_arrays(rows=90)
    long, static = as_long(arrays)
    long.to_csv(folder / "long.csv", index=False)
    static.assign(died=arrays["y"]).to_csv(folder / "outcomes.csv", index=False)
    return [
        "data=series_table", f"data.path={folder}/long.csv", "data.target=died",
        f"data.outcomes_path={folder}/outcomes.csv", "data.static=[age,unit]",
    ]  # fmt: skip
