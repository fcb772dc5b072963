"""From raw rows to a network's inputs: what was learned from training rows, in plain arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from meddistill.data.blocks import Cells
from meddistill.data.encoding import CategoryInputs, Inputs, NumberInputs
from meddistill.data.preprocessing_file import as_plain, read_preprocessing
from meddistill.data.schema import Schema
from meddistill.files.atomic import write_atomically
from meddistill.files.model_files import read_plain_json

PREPROCESSING = "preprocessing.json"


class Preprocessing:
    """Numbers filled up, centred and scaled, and categories as inputs of 0 and 1.

    `meddistill.data.fitting.fit_preprocessing` makes it from training rows.

    Args:
        schema: The columns read.
        numbers: Inputs of numeric columns.
        categories: Inputs of categorical columns.
    """

    def __init__(self, schema: Schema, numbers: NumberInputs, categories: CategoryInputs) -> None:
        self.schema, self.numbers, self.categories = schema, numbers, categories
        self.names = [*numbers.names, *categories.names]
        self._first_category = len(numbers.names)

    def __call__(self, rows: pd.DataFrame) -> Inputs:
        """Raw or prepared rows -> inputs [rows, features]."""
        return self.inputs(self.read(rows))

    def read(self, rows: pd.DataFrame) -> Cells:
        """The cells that are inputs.

        Raises:
            UserError: A column is absent, or a cell is not what its column needs.
        """
        return self.schema.read(rows)

    def inputs(self, cells: Cells) -> Inputs:
        """Inputs [rows, features]."""
        inputs = np.empty((len(cells.numbers), len(self.names)), dtype=np.float32)
        first = self._first_category
        self.numbers.write(cells.numbers, inputs[:, :first])
        self.categories.write(cells.categories, inputs[:, first:])
        return inputs

    def save(self, path: Path) -> None:
        """Write to `path` (JSON), whole or not at all."""
        write_atomically(path, as_plain(self.numbers, self.categories))

    @staticmethod
    def load(path: Path, schema: Schema) -> Preprocessing:
        """Read what `save` wrote, every value checked.

        Raises:
            ValueError: The file is damaged, or not of these columns; it says what is wrong.
        """
        plain = read_plain_json(path.parent, path.name)
        return Preprocessing(schema, *read_preprocessing(plain, path.name, schema))
