"""From raw rows to a network's inputs, fitted on training rows and saved without pickle."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import skops.io
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from meddistill.data.schema import Schema
from meddistill.files import write_atomically
from meddistill.model_files import read_regular

log = logging.getLogger(__name__)

TRUSTED = ["numpy.dtype", "sklearn.compose._column_transformer._RemainderColsList"]
"""Types in a ColumnTransformer that skops doesn't know; the second is in scikit-learn below 1.9."""
MAX_CATEGORIES = 50
"""A column's categories beyond the most frequent ones share one input."""


class Preprocessing:
    """Imputer with indicators and scaler for numbers, one-hot encoder for categories.

    Args:
        schema: The columns read.
        transformer: scikit-learn's transformer of prepared rows; fitted by `fit`.
    """

    def __init__(self, schema: Schema, transformer: ColumnTransformer | None = None) -> None:
        self.schema = schema
        self.transformer = transformer or _transformer(schema)

    def fit(self, features: pd.DataFrame) -> Preprocessing:
        """Learn medians, scales and categories from prepared training rows alone."""
        self.transformer.fit(features)
        return self

    def __call__(self, rows: pd.DataFrame) -> NDArray[np.float32]:
        """Raw or prepared rows -> inputs [rows, features]."""
        prepared = self.schema.prepare(rows)
        self._report_unseen(prepared)
        with warnings.catch_warnings():  # unseen categories were reported in our own words
            warnings.filterwarnings("ignore", message="Found unknown categories")
            return np.asarray(self.transformer.transform(prepared), dtype=np.float32)

    def save(self, path: Path) -> None:
        """Write to `path` (skops: no pickle), whole or not at all."""
        write_atomically(path, skops.io.dumps(self.transformer))

    @staticmethod
    def load(path: Path, schema: Schema) -> Preprocessing:
        """Read what `save` wrote; types besides arrays and scikit-learn's are refused."""
        content = read_regular(path.parent, path.name)
        return Preprocessing(schema, skops.io.loads(content, trusted=TRUSTED))

    def _report_unseen(self, prepared: pd.DataFrame) -> None:
        if not self.schema.categorical:
            return
        encoder = self.transformer.named_transformers_["categorical"][-1]
        for column, known in zip(self.schema.categorical, encoder.categories_, strict=True):
            cells = prepared[column].dropna()
            unseen = cells[~cells.isin(known)]
            if len(unseen):
                log.warning(
                    "column '%s': %d row(s) hold a category unseen in training (first: %r); it is "
                    "answered like a rare one",
                    column,
                    len(unseen),
                    unseen.iloc[0],
                )


def _transformer(schema: Schema) -> ColumnTransformer:
    numeric = make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
        StandardScaler(),
    )
    categorical: Pipeline = make_pipeline(
        SimpleImputer(strategy="constant", fill_value="(missing)", keep_empty_features=True),
        OneHotEncoder(
            handle_unknown="infrequent_if_exist",
            max_categories=MAX_CATEGORIES,
            sparse_output=False,
            dtype=np.float32,
        ),
    )
    parts = [
        ("numeric", numeric, list(schema.numeric)),
        ("categorical", categorical, list(schema.categorical)),
    ]
    return ColumnTransformer([part for part in parts if part[2]])
