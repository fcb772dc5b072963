"""From finished chunks to a job's tables of metrics and predictions and its file of weights."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from meddistill.data.datamodule import CohortDataModule
from meddistill.data.preprocessing import PREPROCESSING
from meddistill.data.source import describe_rows
from meddistill.evaluation.members import evaluate_members
from meddistill.evaluation.predictions import probability_columns
from meddistill.evaluation.thresholds import Rule, rule_of
from meddistill.inference.card import Card, card_values
from meddistill.inference.known_rows import rows_known
from meddistill.losses import DistillationLoss
from meddistill.runs.reading import flat_metrics
from meddistill.stack.folder import MEMBERS, METRICS, PREDICTIONS, StackFolder, dumped
from meddistill.stack.members import Member
from meddistill.stack.plan import Chunk
from meddistill.stack.starts import plans_of, save_plans
from meddistill.stack.tables import Table
from meddistill.students.columns import columns_read
from meddistill.students.start import student_name
from meddistill.teachers.judging import judge_teacher

ROWS_AT_ONCE = 2**17
"""Rows of predictions that are put together and written as one group."""
DIVERGED = "training diverged: validation log loss was never a finite number"


def merge(
    run: StackFolder,
    members: Sequence[Member],
    chunks: Sequence[Chunk],
    tables: Sequence[Table],
    losses: Sequence[DistillationLoss],
) -> dict[str, Any]:
    """Write the job's three result files from its parts, one part in memory at a time.

    Where members start from a teacher, a table of what each took of it is the fourth.

    Returns:
        The job's summary.
    """
    facts = [_facts(table) for table in tables]
    called = {
        m.number: student_name(loss.ever_distils, bool(m.settings["init"]))
        for m, loss in zip(members, losses, strict=True)
    }
    frames: list[pd.DataFrame] = []
    plans: list[dict[str, Any]] = []
    index: list[dict[str, Any]] = []
    with (
        _renamed(run.parts / PREDICTIONS, run.path / PREDICTIONS) as predictions,
        _renamed(run.parts / MEMBERS, run.path / MEMBERS) as archive_path,
        zipfile.ZipFile(archive_path, "w") as archive,
        _Predictions(predictions) as writer,
    ):
        for number, table in enumerate(tables):
            _add_table(archive, number, table, run)
        for chunk in chunks:
            part = run.read_part(chunk.name)
            archive.writestr(f"parts/{chunk.name}.ckpt", dumped(part["weights"]))
            index += _entries(chunk, part)
            if part.get("network"):
                index[-1]["network"] = part["network"]
            if part.get("columns"):
                index[-1] |= _add_narrowed(archive, chunk, part["columns"], tables, run)
            probabilities = part["probabilities"].numpy()
            writer.write(chunk, tables, probabilities)
            frames.append(_metrics(chunk, part, probabilities, tables, facts, called))
            plans += plans_of(chunk, part)
        archive.writestr("index.json", json.dumps(index, default=str))
    frame = pd.concat(frames).sort_values("member")
    with _renamed(run.parts / METRICS, run.path / METRICS) as path:
        frame.to_csv(path, index=False)
    save_plans(run, plans)
    return _summary(frame, members, facts)


class _Predictions:
    """Writes `predictions.parquet` chunk by chunk, with the columns of a single run's.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> _Predictions:
        return self

    def __exit__(self, *error: object) -> None:
        if self._writer is not None:
            self._writer.close()

    def write(
        self, chunk: Chunk, tables: Sequence[Table], probabilities: NDArray[np.float32]
    ) -> None:
        """Add a chunk's members: probabilities [members, rows, classes]."""
        count = max(1, ROWS_AT_ONCE // probabilities.shape[1])
        for number, places in _runs(chunk.tables, count):
            members = [member.number for member in chunk.members[places]]
            rows = _rows(tables[number], members, probabilities[places])
            if self._writer is None:
                self._writer = pq.ParquetWriter(self.path, rows.schema, compression="zstd")
            self._writer.write_table(rows)


def _runs(tables: Sequence[int], most: int) -> Iterator[tuple[int, slice]]:
    """Members side by side that read one table, at most so many at once."""
    end = 0
    for number, run in groupby(tables):
        start, end = end, end + len(list(run))
        for first in range(start, end, most):
            yield number, slice(first, min(first + most, end))


def _rows(table: Table, members: Sequence[int], probabilities: NDArray[np.float32]) -> pa.Table:
    """Predictions [members, rows, classes]; text is stored as codes of a dictionary."""
    data, count = table.data, len(members)
    cohort, rows = data.cohort, len(data.cohort.target)

    def coded(column: pa.DictionaryArray) -> pa.DictionaryArray:
        codes = np.tile(column.indices.to_numpy(), count)
        return pa.DictionaryArray.from_arrays(codes, column.dictionary)

    target = pa.array(cohort.target, pa.int32())
    columns = {
        "row": coded(pa.array(cohort.row, pa.string()).dictionary_encode()),
        "split": coded(pa.array(data.split.names(), pa.string()).dictionary_encode()),
        "labelled": pa.array(np.tile(data.labelled, count)),
        "label": coded(
            pa.DictionaryArray.from_arrays(target, pa.array(cohort.classes, pa.string()))
        ),
        "member": pa.array(np.repeat(np.array(members, dtype=np.int32), rows)),
    }
    names = probability_columns(cohort.classes)
    columns |= {name: pa.array(probabilities[..., k].ravel()) for k, name in enumerate(names)}
    return pa.table(columns)


def _metrics(
    chunk: Chunk,
    part: Mapping[str, Any],
    probabilities: NDArray[np.float32],
    tables: Sequence[Table],
    facts: Sequence[Mapping[str, Any]],
    called: Mapping[int, str],
) -> pd.DataFrame:
    """A row a member of a chunk: what `flat_metrics` says of a single run."""
    first = chunk.members[0].settings
    numbers = [member.number for member in chunk.members]
    axes = [member.axes.items() for member in chunk.members]
    frame = pd.DataFrame([{k: "null" if v is None else v for k, v in own} for own in axes])
    frame.insert(0, "member", numbers)
    for name in chunk.members[0].found:
        frame[f"search/{name}"] = [member.found[name] for member in chunk.members]
    frame["seed"] = [member.settings["seed"] for member in chunk.members]
    score = part["score"].numpy().astype(np.float64)
    failed = ~np.isfinite(score)
    frame["status"] = np.where(failed, "failed", "completed")
    frame["error"] = np.where(failed, DIVERGED, "")
    frame["name"] = [called[n] for n in numbers]
    frame["parameters"] = part["parameters"]
    frame["score"] = score
    frame["monitor"], frame["threshold"] = first["monitor"], first["threshold"]
    frame["epochs"], frame["seconds"] = part["epochs"].numpy(), part["seconds"]
    measures = _measures(chunk, probabilities, tables, rule_of(first["threshold"]))
    measures[failed] = np.nan
    of_tables = pd.DataFrame([flat_metrics(facts[number]) for number in chunk.tables])
    return pd.concat([frame, measures, of_tables], axis=1)


def _measures(
    chunk: Chunk, probabilities: NDArray[np.float32], tables: Sequence[Table], rule: Rule
) -> pd.DataFrame:
    """`val/...` and `test/...` of each member on its labelled rows.

    A threshold that validation rows choose is `val/threshold`.
    """
    columns: dict[str, NDArray[np.float64]] = {}
    of_member = np.array(chunk.tables)
    for number in np.unique(of_member):
        data = tables[number].data
        here = of_member == number
        held, chosen = data.labelled_validation, np.full(int(here.sum()), rule.while_training)
        if not rule.is_number:
            own = probabilities[here][:, held].astype(np.float64)
            chosen = np.array([rule(each, data.cohort.target[held]) for each in own])
            columns.setdefault("val/threshold", np.full(len(here), np.nan))[here] = chosen
        for part, prefix in {"validation": "val", "test": "test"}.items():
            rows = data.split.part(part)
            rows = rows[data.labelled[rows]]
            values = evaluate_members(
                probabilities[here][:, rows], data.cohort.target[rows], chosen
            )
            for name, value in values.items():
                column = columns.setdefault(f"{prefix}/{name}", np.full(len(here), np.nan))
                column[here] = value
    return pd.DataFrame(columns)


def _facts(table: Table) -> dict[str, Any]:
    """What all members of a table share, as a single run's metrics have it."""
    data, settings = table.data, table.settings
    teacher = None
    if table.targets is not None:
        teacher = judge_teacher(
            table.targets, data.cohort, data.split, settings["data"]["labels"],
            settings["threshold"],
        )  # fmt: skip
    facts = {"data": describe_rows(data), "teacher": teacher}
    return facts | columns_read(table.choice, data)


def _add_table(archive: zipfile.ZipFile, number: int, table: Table, run: StackFolder) -> None:
    """What a member needs besides its weights to answer for new rows, and the rows it has seen."""
    _add_inputs(archive, str(number), table.data, run)
    archive.writestr(f"tables/{number}.rows.json", json.dumps(rows_known(table.data)))


def _add_narrowed(
    archive: zipfile.ZipFile,
    chunk: Chunk,
    columns: Sequence[str],
    tables: Sequence[Table],
    run: StackFolder,
) -> dict[str, Any]:
    """The same of a member that reads some of its table's columns; what its entry says of it."""
    table, name = tables[chunk.tables[0]], f"member-{chunk.members[0].number}"
    data = table.data.with_columns(columns)
    _add_inputs(archive, name, data, run)
    return {"inputs": name, "facts": columns_read(table.choice, data)}


def _add_inputs(
    archive: zipfile.ZipFile, name: str, data: CohortDataModule, run: StackFolder
) -> None:
    """How raw rows become a network's inputs."""
    card = Card.of({}, ["checkpoints/best.ckpt"], data)
    archive.writestr(f"tables/{name}.json", json.dumps(card_values(card)))
    data.save_preprocessing(run.parts)
    archive.write(run.parts / PREPROCESSING, f"tables/{name}.{PREPROCESSING}")


def _entries(chunk: Chunk, part: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Where each member of a chunk is found in the file of weights, and what was done to it."""
    treated = part.get("treated") or [{}] * len(chunk.members)
    for place, (member, table) in enumerate(zip(chunk.members, chunk.tables, strict=True)):
        yield {
            "member": member.number,
            "part": f"parts/{chunk.name}.ckpt",
            "place": place,
            "table": table,
            "changes": member.changes,
            **treated[place],
        }


def _summary(
    frame: pd.DataFrame, members: Sequence[Member], facts: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    settings = members[0].settings
    finished = frame["status"] == "completed"
    return {
        "score": float(frame["score"].mean()),
        "monitor": settings["monitor"],
        "threshold": settings["threshold"],
        "members": len(frame),
        "finished": int(finished.sum()),
        "seconds": float(frame["seconds"].sum()),
        "tables": list(facts),
    }


@contextmanager
def _renamed(temporary: Path, path: Path) -> Iterator[Path]:
    """A path to write to, which takes its own name when all is written."""
    yield temporary
    temporary.replace(path)
