"""From a table's rows to inputs: what was learned from training rows, in plain arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from meddistill.data.preprocessing import Preprocessing
from meddistill.data.records import Records
from meddistill.data.tables import remarks
from meddistill.data.tables.blocks import Cells
from meddistill.data.tables.encoding import CategoryInputs, Fitted, Inputs, NumberInputs
from meddistill.data.tables.preprocessing_file import as_plain, read_preprocessing
from meddistill.data.tables.records import TableRecords
from meddistill.data.tables.schema import Schema
from meddistill.errors import UserError
from meddistill.files.atomic import write_atomically


class TablePreprocessing(Preprocessing):
    """Numbers filled up, centred and scaled, and categories as inputs of 0 and 1.

    `meddistill.data.tables.fitting.fit_preprocessing` makes it from training rows.

    Args:
        schema: The columns read.
        numbers: Inputs of numeric columns.
        categories: Inputs of categorical columns.
    """

    layout = "vector"

    def __init__(self, schema: Schema, numbers: NumberInputs, categories: CategoryInputs) -> None:
        self.schema, self.numbers, self.categories = schema, numbers, categories
        self.names = [*numbers.names, *categories.names]
        self.in_shape = (len(self.names),)
        self._first_category = len(numbers.names)

    def read(self, raw: Any) -> TableRecords:
        """Rows of a frame, or of other records, by this schema.

        Raises:
            UserError: A column is absent, or a cell is not what its column needs.
        """
        if not isinstance(raw, Records):
            records = TableRecords(raw, self.schema)
        elif not isinstance(raw, TableRecords):
            raise UserError(
                f"the model reads rows of a table ({len(self.schema.columns)} columns), and these "
                f"are {raw.kind}"
            )
        else:
            same = raw.schema is self.schema or raw.schema == self.schema
            records = raw if same else TableRecords(raw.frame, self.schema)
        _ = records.cells  # what is wrong with them is said now
        return records

    def __call__(self, records: Records) -> NDArray[Any]:
        """Rows that `read` has read -> inputs [rows, features]."""
        assert isinstance(records, TableRecords)
        return self.inputs(records.cells)

    def inputs(self, cells: Cells) -> Inputs:
        """Inputs [rows, features]."""
        inputs = np.empty((len(cells.numbers), len(self.names)), dtype=np.float32)
        first = self._first_category
        self.numbers.write(cells.numbers, inputs[:, :first])
        self.categories.write(cells.categories, inputs[:, first:])
        return inputs

    def probe(self) -> TableRecords:
        """A row of empty cells, then numbers of several sizes."""
        values = [None, -3.0, 0.0, 0.5, 1.0, 20.0, 400.0]
        rows = pd.DataFrame(dict.fromkeys(self.schema.numeric, values), index=range(len(values)))
        return TableRecords(rows.assign(**dict.fromkeys(self.schema.categorical)), self.schema)

    def check_raw(self, raw: Any) -> None:
        """Refuse rows that pandas has read otherwise than their cells are written."""
        self.schema.check_raw(raw)

    def warn(self, records: Records) -> None:
        """Say what is odd about rows, as they came and as they were read.

        Raises:
            UserError: Of a column of categories, no cell is known: it is spelled otherwise.
        """
        assert isinstance(records, TableRecords)
        fitted = Fitted(self.schema, self.numbers, self.categories)
        as_came = records.written is records.frame
        cells = records.cells if as_came else self.schema.read(records.written)
        remarks.warn(fitted, cells, records.written, records.called)

    def describe(self) -> str:
        """The columns."""
        return f"Columns of a frame of raw rows: {', '.join(self.schema.columns)}"

    @property
    def learned(self) -> str:
        """Of columns; nothing of a few patients alone."""
        return (
            "names of columns; of each column of numbers a mean, a spread, a median and the ends "
            "of its range without the most extreme patients; spellings of categories"
        )

    def save(self, path: Path) -> None:
        """Write to `path` (JSON), whole or not at all."""
        write_atomically(path, as_plain(self.numbers, self.categories, self.hide))

    @staticmethod
    def of_plain(plain: Any, name: str, schema: Schema) -> TablePreprocessing:
        """What `save` wrote, every value checked.

        Args:
            plain: The file's JSON value.
            name: Of the file, for messages.
            schema: Of the model.

        Raises:
            ValueError: The file is damaged, or not of these columns; it says what is wrong.
        """
        numbers, categories, hide = read_preprocessing(plain, name, schema)
        made = TablePreprocessing(schema, numbers, categories)
        made.hide = hide
        return made
