"""`meddistill pick`: one student of a sweep as an ordinary run folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from meddistill.config.identity import flatten, identity, short_hash
from meddistill.errors import DamagedError, UserError
from meddistill.evaluation.surface import find_axes, surface
from meddistill.files.atomic import read_json, write_atomically
from meddistill.measures import lower_is_better
from meddistill.runs.reading import read_predictions
from meddistill.runs.runfolder import RunFolder
from meddistill.stack.folder import MEMBERS, METRICS, PREDICTIONS, read_entry, undumped
from meddistill.sweeps.jobs import JOBS
from meddistill.sweeps.students import collect, members


def pick(folder: Path, wanted: Sequence[str], best: bool, to: Path | None) -> tuple[Path, int]:
    """Write a chosen student of a sweep (or of a job with many) into a run folder.

    Args:
        folder: Of the sweep or the job.
        wanted: What the student has, as `loss.temperature=4`.
        best: Choose among those the setting with the best mean validation score, and of its
            students the one with the best score.
        to: The run folder; by default the one that the same student trained alone would have.

    Returns:
        The run folder, and how many students have what is wanted.

    Raises:
        UserError: No student fits, or more than one.
    """
    fitting = _matching(_students(folder), wanted)
    rows = _best(fitting) if best else fitting
    if len(rows) != 1:
        raise UserError(_ambiguous(rows, wanted))
    row = rows.iloc[0]
    job = folder / str(row["folder"]) if "folder" in rows else folder
    if not (job / METRICS).exists():
        return _copied(job, to), len(fitting)
    return _written(job, row, to), len(fitting)


def _students(folder: Path) -> pd.DataFrame:
    """All finished students."""
    if (folder / JOBS).exists():
        frame, _ = collect(folder)
    elif (folder / METRICS).exists():
        frame = members(folder)
    else:
        raise UserError(f"{folder} is no folder of a sweep, nor of a job with many students")
    return frame[frame["status"] == "completed"]


def _matching(frame: pd.DataFrame, wanted: Sequence[str]) -> pd.DataFrame:
    for each in wanted:
        key, equals, value = each.partition("=")
        if not equals or key not in frame or "/" in key:
            axes = ", ".join(axis for group in find_axes(frame) for axis in group)
            raise UserError(f"{each}: not an axis of this sweep; there are {axes or 'none'}")
        parsed = yaml.safe_load(value)
        same = [_same(cell, parsed, value) for cell in frame[key]]
        if not any(same):
            there = ", ".join(_values(frame[key]))
            raise UserError(f"{each}: no finished student has it; there are {there}")
        frame = frame[same]
    return frame


def _same(cell: Any, parsed: Any, text: str) -> bool:
    is_null = cell == "null" or bool(pd.isna(cell))
    if parsed is None or is_null:
        return parsed is None and is_null
    try:
        return float(cell) == float(parsed)
    except (TypeError, ValueError):
        return str(cell) == text


def _best(frame: pd.DataFrame) -> pd.DataFrame:
    """The best student of the setting with the best mean validation score."""
    found = surface(frame)
    for axis in found.settings:
        value = found.table.iloc[0][axis]
        frame = frame[frame[axis].isna() if pd.isna(value) else frame[axis] == value]
    score = frame["score"] if lower_is_better(found.monitor) else -frame["score"]
    return frame.loc[[score.idxmin()]]


def _ambiguous(frame: pd.DataFrame, wanted: Sequence[str]) -> str:
    if frame.empty:
        return "no finished student fits all of " + " ".join(wanted)
    axes = [axis for group in find_axes(frame) for axis in group]
    open_axes = "; ".join(f"{axis}={', '.join(_values(frame[axis]))}" for axis in axes)
    if not axes:
        jobs = ", ".join(map(str, frame["folder"]))
        return (
            f"{len(frame)} students fit, alike in every setting, but their data or teacher differ: "
            f"pick in the folder of one's job ({jobs}), or --best"
        )
    return f"{len(frame)} students fit: say which ({open_axes}), or --best"


def _values(column: pd.Series[Any]) -> list[str]:
    """The first values of an axis, as they are typed."""
    is_null = column.isna() | (column == "null")
    found = [str(value) for value in sorted(column[~is_null].unique())[:12]]
    return [*found, *(["null"] if is_null.any() else [])]


def _copied(job: Path, to: Path | None) -> Path:
    """A student that was trained in a run folder of its own already."""
    if to is None:
        return job
    if to.exists():
        raise UserError(f"{to} is there already; choose another --to")
    shutil.copytree(job, to)
    return to


def _written(job: Path, row: pd.Series[Any], to: Path | None) -> Path:
    """A member of a job, in the files of a single run."""
    from meddistill.data.preprocessing import PREPROCESSING
    from meddistill.inference import scorecard
    from meddistill.inference.card import save_card
    from meddistill.inference.card_checks import card_of
    from meddistill.inference.known_rows import save_known_rows
    from meddistill.inference.loading import load_model

    entry = _entry(job, int(row["member"]))
    settings = _settings(job, entry["changes"])
    name = f"{settings['verb']}-{short_hash(identity(settings))}"
    path = to or Path("outputs") / name
    run = RunFolder(path, settings)
    if run.open() is not None:
        return path
    try:
        inputs = f"tables/{entry.get('inputs', entry['table'])}"
        facts = json.loads(read_entry(job, f"{inputs}.json"))
        treated = {"imbalance": entry["imbalance"]} if "imbalance" in entry else {}
        network = {**settings["student"], **entry.get("network", {})}
        card = card_of({**facts, "network": network}).treated(entry.get("imbalance", {}))
        save_known_rows(path, json.loads(read_entry(job, f"tables/{entry['table']}.rows.json")))
        preprocessing = read_entry(job, f"{inputs}.{PREPROCESSING}")
        write_atomically(path / PREPROCESSING, preprocessing)
        _save_weights(job, entry, path / card.checkpoints[0])
        table = _predictions(job, entry["member"])
        write_atomically(path / PREDICTIONS, table.to_parquet(index=False))
        metrics = _metrics(job, entry, row, table, card.classes)
        save_card(path, card.deciding(metrics["threshold"], metrics["student"]))
        described = scorecard.described(load_model(path))
        run.finish({**metrics, **treated, **({"scorecard": described} if described else {})})
    finally:
        run.close()
    return path


def _entry(job: Path, member: int) -> dict[str, Any]:
    index: list[dict[str, Any]] = json.loads(read_entry(job, "index.json"))
    return next(entry for entry in index if entry["member"] == member)


def _settings(job: Path, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The member's resolved config, that of the same student trained alone."""
    from meddistill.stack.members import as_single, with_changes

    return with_changes(as_single(_config(job)), changes)


def _config(job: Path) -> dict[str, Any]:
    """The job's resolved config.

    Raises:
        DamagedError: It is cut, or is not the one that made the job.
    """
    file = job / "config.yaml"
    try:
        config = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DamagedError(file, str(error)) from error
    there = dict(flatten(config)) if isinstance(config, dict) else {}
    there = json.loads(json.dumps(there, default=str))
    made_by = read_json(job / "job.json")["identity"]
    for key, value in made_by.items():
        if not key.startswith("content of ") and there.get(key, "absent") != value:
            raise DamagedError(file, f"{key} is not as in job.json")
    return dict(config)


def _save_weights(job: Path, entry: Mapping[str, Any], checkpoint: Path) -> None:
    from meddistill.inference.weights import save_weights

    part = undumped(read_entry(job, entry["part"]), job / MEMBERS)
    save_weights({name: value[entry["place"]].clone() for name, value in part.items()}, checkpoint)


def _predictions(job: Path, member: int) -> pd.DataFrame:
    """A member's predictions, as a single run has them."""
    table = read_predictions(job / PREDICTIONS, ("row", "split", "label", "member"), member)
    texts = dict.fromkeys(("row", "split", "label"), "str")
    numbers = {name: "float64" for name in table.columns if name.startswith("p_")}
    return table.astype({**texts, **numbers}).assign(member=0)


def _metrics(
    job: Path,
    entry: Mapping[str, Any],
    row: pd.Series[Any],
    table: pd.DataFrame,
    classes: Sequence[str],
) -> dict[str, Any]:
    from meddistill.evaluation.predictions import judge
    from meddistill.evaluation.thresholds import as_given

    facts = read_json(job / "job.json")["summary"]["tables"][entry["table"]]
    threshold = as_given(row["threshold"])
    student = {"name": row["name"], "parameters": int(row["parameters"])}
    return {
        "score": float(row["score"]),
        "monitor": row["monitor"],
        "epochs": int(row["epochs"]),
        "seconds": float(row["seconds"]),
        "threshold": threshold,
        "trained_in": {"job": job.name, "member": entry["member"]},
        **facts,
        **entry.get("facts", {}),
        "student": {**student, **judge(table, classes, threshold)},
    }
