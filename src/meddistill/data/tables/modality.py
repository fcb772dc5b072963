"""Tables, as the rest of the house reaches them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from meddistill.data.tables import fitting
from meddistill.data.tables.bands import BandsPreprocessing
from meddistill.data.tables.empty_cells import FILLERS
from meddistill.data.tables.filled import FilledPreprocessing
from meddistill.data.tables.preprocessing import TablePreprocessing
from meddistill.data.tables.records import TableRecords
from meddistill.data.tables.schema import Schema
from meddistill.files.model_files import read_plain_json


def fit_preprocessing(
    records: TableRecords, fewest: int, group: NDArray[Any] | None
) -> TablePreprocessing:
    """Medians, scales and categories of training rows."""
    return fitting.fit_preprocessing(records.schema, records.cells, fewest, group)


def load_preprocessing(path: Path, spec: Mapping[str, Any]) -> TablePreprocessing:
    """What a preprocessing of tables saved."""
    plain, schema = read_plain_json(path.parent, path.name), Schema.from_dict(spec)
    if isinstance(plain, dict) and "bands" in plain:
        return BandsPreprocessing.of_plain(plain, path.name, schema)
    if isinstance(plain, dict) and "filler" in plain:
        return FilledPreprocessing.of_filled(plain, path.name, schema, FILLERS)
    return TablePreprocessing.of_plain(plain, path.name, schema)
