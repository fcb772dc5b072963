"""Tables of a finished folder, read with their damage named."""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from meddistill.errors import DamagedError
from meddistill.files.atomic import read_json
from meddistill.runs.runfolder import RunFolder

ANEW = "remove the file's folder and repeat the command that made it"
REPEAT = "the command that made it, repeated, makes it again"


def parse(text: str, **options: Any) -> pd.DataFrame:
    """The text of a table of ours: an empty cell is missing, and null is a value of a setting."""
    frame: pd.DataFrame = pd.read_csv(
        io.StringIO(text), keep_default_na=False, na_values=[""], **options
    )
    return frame


def read_csv(path: Path, columns: Collection[str]) -> pd.DataFrame:
    """A table of ours that has at least `columns`.

    Raises:
        DamagedError: It is cut, or is another table.
    """
    try:
        text = path.read_text(encoding="utf-8")
        frame = parse(text)
    except ValueError as error:  # pandas' own errors, and text that is none
        raise DamagedError(path, str(error), ANEW) from error
    if not text.endswith("\n"):
        raise DamagedError(path, "it ends within a line", ANEW)
    return _with_columns(frame, columns, path)


def read_metrics(folder: Path) -> dict[str, Any]:
    """What came of a finished run.

    Raises:
        DamagedError: Its file is damaged.
    """
    file = folder / "metrics.json"
    metrics = RunFolder.sound(read_json(file))
    if metrics is None:
        raise DamagedError(file, "it lacks what every run's has", REPEAT)
    return metrics


def read_predictions(
    path: Path, columns: Collection[str], member: int | None = None
) -> pd.DataFrame:
    """Predictions by row, which have at least `columns`; of all members, or of one.

    Raises:
        DamagedError: It is cut, or is another table.
    """
    content = io.BytesIO(path.read_bytes())
    wanted = None if member is None else [("member", "==", member)]
    try:
        frame = pd.read_parquet(content, filters=wanted)
    except (pa.ArrowException, ValueError, OSError) as error:
        raise DamagedError(path, str(error), ANEW) from error
    return _with_columns(frame, columns, path)


def check_numbers(predictions: pd.DataFrame, path: Path) -> None:
    """Refuse to report predictions of which a probability is no number.

    Raises:
        DamagedError: It says how many rows, and the first.
    """
    probabilities = predictions[[name for name in predictions if str(name).startswith("p_")]]
    wrong = ~np.isfinite(probabilities.to_numpy(dtype=np.float64)).all(axis=1)
    if wrong.any():
        first = predictions["row"][wrong].iloc[0]
        why = f"{wrong.sum()} line(s) hold a probability that is no number, first of row {first}"
        raise DamagedError(path, why, ANEW)


def _with_columns(frame: pd.DataFrame, columns: Collection[str], path: Path) -> pd.DataFrame:
    missing = [name for name in columns if name not in frame]
    if missing:
        raise DamagedError(path, f"it has no column {', '.join(missing)}", ANEW)
    return frame


def flat_metrics(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """A run's numbers as columns: `score`, `val/...`, `test/...`, `teacher/...`, `rows/...`."""
    facts = ("score", "monitor", "threshold", "epochs", "seconds")
    row: dict[str, Any] = {key: metrics[key] for key in facts if key in metrics}
    data = metrics["data"]
    row |= {"classes": len(data["classes"]), "positive": data["positive"]}
    for who, prefix in {"student": "", "teacher": "teacher/"}.items():
        model = metrics.get(who) or {}
        row |= {f"{prefix}{k}": model[k] for k in ("name", "parameters", "key") if k in model}
        if "threshold" in model:  # that validation rows chose
            row[f"{prefix}val/threshold"] = model["threshold"]
        for part, name in {"validation": "val", "test": "test"}.items():
            row |= {f"{prefix}{name}/{key}": value for key, value in model.get(part, {}).items()}
    rows = data["rows"] | data.get("added", {})
    return row | {f"rows/{part}": count for part, count in rows.items()}
