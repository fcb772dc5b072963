"""Which rows a model has seen: kept where it was trained, never in what is handed on.

A key is a row's id or a hash of its content, from either of which a row can be recognised.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from meddistill.data.cohort import Cohort
from meddistill.data.split import Split
from meddistill.files.atomic import write_json
from meddistill.files.model_files import read_plain_json

if TYPE_CHECKING:  # a model answers without Lightning
    from meddistill.data.datamodule import CohortDataModule

KNOWN_ROWS = "known_rows.json"


def rows_known(data: CohortDataModule) -> list[str]:
    """Keys of the rows that a model trained on `data` has seen, in training or validation."""
    rows = np.sort(np.concatenate([data.split.train, data.split.validation]))
    more = data.cohort.unlabelled
    read = more.keys if more and data.added["unlabelled"] else []
    return [data.cohort.keys[row] for row in rows] + read


def save_known_rows(folder: Path, keys: Iterable[str]) -> None:
    """Keep, where a model was trained, which rows it has seen; never in what is handed on."""
    write_json(folder / KNOWN_ROWS, list(keys))


def read_known_rows(folder: Path) -> list[str] | None:
    """Keys of the rows that a model has seen; None where the folder doesn't say.

    Raises:
        ValueError: The file holds no keys.
    """
    if not (folder / KNOWN_ROWS).exists():
        return None
    keys = read_plain_json(folder, KNOWN_ROWS)
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise ValueError(f"{KNOWN_ROWS} holds no keys of rows")
    return list(keys)


def seen_in_test(folder: Path, cohort: Cohort, split: Split) -> list[str] | None:
    """Keys of those test rows that the model in `folder` has seen; None where nobody knows.

    A row that it has seen without an id, or pictures by another path, is known by its content.
    """
    known = read_known_rows(folder)
    if known is None:
        return None
    every = set(known)
    pairs = [(cohort.keys[row], cohort.content_keys[row]) for row in split.test]
    return [key for key, content in pairs if key in every or content in every]
