"""The chosen tries' answers by row: what a trial is judged by, and can be judged by again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from meddistill.evaluation.predictions import probability_columns
from meddistill.stack.tables import Table
from meddistill.trial.answers import Answers
from meddistill.trial.units import Unit

KEPT = ("validation", "test")


class PredictionsWriter:
    """Writes `predictions.parquet` arm by arm; it appears when all is written.

    A line for each setting, split, arm, seed and labelled validation or test row: `setting`,
    `split`, `arm`, `seed`, `part`, `row`, `label` (class number) and `p_<class>`.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.temporary = path, path.with_suffix(".partial")
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> PredictionsWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if self._writer is not None:
            self._writer.close()
        if kind is None:
            self.temporary.replace(self.path)

    def write(self, answers: Answers, unit: Unit, table: Table) -> None:
        """Add an arm's answers on a unit."""
        for seed in range(len(answers.probabilities)):
            rows = _rows(answers, seed, unit, table)
            if self._writer is None:
                self._writer = pq.ParquetWriter(self.temporary, rows.schema, compression="zstd")
            self._writer.write_table(rows)


def _rows(answers: Answers, seed: int, unit: Unit, table: Table) -> pa.Table:
    data = table.data
    cohort, names = data.cohort, data.split.names()
    kept = np.flatnonzero(data.labelled & np.isin(names.astype(str), KEPT))
    facts: dict[str, Any] = {"split": unit.split, "arm": answers.arm}
    columns: dict[str, Any] = {"setting": np.full(len(kept), unit.setting, dtype=np.int16)}
    columns |= {key: _repeated(value, len(kept)) for key, value in facts.items()}
    columns |= {
        "seed": np.full(len(kept), seed, dtype=np.int16),
        "part": pa.array(names[kept], pa.string()).dictionary_encode(),
        "row": pa.array(cohort.row[kept], pa.string()),
        "label": cohort.target[kept].astype(np.int32),
    }
    values = answers.probabilities[seed][kept]
    columns |= {
        name: values[:, k].astype(np.float32)
        for k, name in enumerate(probability_columns(cohort.classes))
    }
    return pa.table(columns)


def _repeated(value: str, count: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(np.zeros(count, dtype=np.int32), [value])
