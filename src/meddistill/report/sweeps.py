"""A sweep's rows as one table: teachers first, then students by validation score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from meddistill.evaluation.direction import lower_is_better
from meddistill.report.tables import SHOWN, Table, meaning, number

FIXED = ("job", "seed", "status", "folder", "score", "monitor", "threshold", "epochs", "seconds",
         "classes", "positive", "name", "parameters", "error")  # fmt: skip
MOST_TEACHERS = 3


def sweep_table(rows: Sequence[Mapping[str, Any]], most: int) -> Table:
    """The table of a sweep.

    Args:
        rows: Of `sweep.csv`, as text.
        most: Rows to show.
    """
    finished = [row for row in rows if row.get("status") == "completed"]
    failed = [row for row in rows if row.get("status") != "completed"]
    monitor = finished[0]["monitor"] if finished else "score"
    highest_first = not lower_is_better(monitor)
    finished.sort(key=lambda row: float(row["score"] or "nan"), reverse=highest_first)
    axes = _axes(rows)
    notes = [
        f"Sorted by {monitor} on validation rows. The first row was chosen for its score: its "
        "validation score is too good to expect again.",
        *_meanings(finished),
        *[f"job {row['job']} failed: {row.get('error', '')}" for row in failed],
    ]
    hidden = len(finished) - most
    if hidden > 0:
        notes.insert(0, f"{hidden} more row(s) in the CSV file.")
    return Table(
        title="Sweep: measures on the test rows",
        columns=["model", *axes, "parameters", _head(monitor), *SHOWN.values()],
        rows=[
            *[_cells(row, axes, monitor, "teacher/") for row in _teachers(finished)],
            *[_cells(row, axes, monitor, "") for row in finished[:most]],
        ],
        notes=notes,
    )


def _meanings(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the measures mean, once for each kind of data in the sweep."""
    kinds = {(row["positive"], int(row["classes"]), float(row["threshold"])) for row in rows}
    return [meaning(name or None, classes, threshold) for name, classes, threshold in sorted(kinds)]


def _axes(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Overrides that differ between jobs."""
    keys = dict.fromkeys(key for row in rows for key in row if "/" not in key and key not in FIXED)
    keys = dict.fromkeys([*keys, "seed"])
    return [key for key in keys if len({row.get(key) for row in rows}) > 1]


def _teachers(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """A row for each teacher, unless there are many."""
    by_key = {row["teacher/key"]: row for row in rows if row.get("teacher/key")}
    return list(by_key.values()) if len(by_key) <= MOST_TEACHERS else []


def _cells(row: Mapping[str, Any], axes: Sequence[str], monitor: str, prefix: str) -> list[str]:
    score = row["score"] if not prefix else row.get(f"{prefix}{monitor}")
    return [
        row.get(f"{prefix}name") or "",
        *(("" if prefix else row.get(axis) or "") for axis in axes),
        f"{int(row.get(f'{prefix}parameters') or 0):,}",
        number(_float(score)),
        *(number(_float(row.get(f"{prefix}test/{name}"))) for name in SHOWN),
    ]


def _head(monitor: str) -> str:
    return monitor.replace("/", " ").replace("_", " ")


def _float(text: Any) -> float | None:
    return float(text) if text not in (None, "") else None
