"""From a table's rows to inputs: what was learned from training rows, in plain arrays."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from meddistill.data.preprocessing import Features, Preprocessing
from meddistill.data.records import Records
from meddistill.data.tables.blocks import Cells
from meddistill.data.tables.encoding import CategoryInputs, Fitted, Inputs, NumberInputs
from meddistill.data.tables.preprocessing_file import as_plain, read_preprocessing
from meddistill.data.tables.records import TableRecords
from meddistill.data.tables.remarks import refuse_unknown, remarks
from meddistill.data.tables.rows import clean_name, nearest, with_empty
from meddistill.data.tables.schema import Schema
from meddistill.errors import UserError, columns_named
from meddistill.files.atomic import write_atomically

log = logging.getLogger(__name__)
OFTEN = 0.01
"""Share of training rows without a number from which on its column may be absent."""


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
        self.in_shape = Features([*numbers.sources, *categories.sources])
        self._first_category = len(numbers.names)

    def read(self, raw: Any) -> TableRecords:
        """Rows of a frame, or of other records, by this schema.

        Raises:
            UserError: A column is absent, or a cell is not what its column needs.
        """
        if not isinstance(raw, Records):
            records = self._records(raw)
        elif not isinstance(raw, TableRecords):
            raise UserError(
                f"the model reads rows of a table ({len(self.schema.columns)} columns), and these "
                f"are {raw.kind}"
            )
        else:
            same = raw.schema is self.schema or raw.schema == self.schema
            records = raw if same else self._records(raw.frame)
        _ = records.cells  # what is wrong with them is said now
        return records

    def _records(self, rows: Any) -> TableRecords:
        """Raw rows by this schema; which columns are absent is said, where they may be."""
        absent = self._absent(rows)
        if not absent:
            return TableRecords(rows, self.schema)
        log.warning(
            "%s: absent from these rows, answered as if every cell were empty, which the model was "
            "trained for", columns_named(absent),
        )  # fmt: skip
        return TableRecords(with_empty(rows, absent), self.schema, absent=absent)

    def _absent(self, rows: Any) -> list[str]:
        """Columns that rows lack and may lack; none where they lack one that they need.

        One that may be there under another spelling is needed, and so is any at all.
        """
        names = self.schema.columns
        if not isinstance(rows, pd.DataFrame) or set(names) <= set(rows.columns):
            return []
        here = {clean_name(name) for name in (*rows.columns, *rows.index.names)}
        absent, others = [name for name in names if name not in here], [*(here - set(names))]
        may = len(absent) < len(names) and self.spared.issuperset(absent)
        return absent if may and not any(nearest(name, others) for name in absent) else []

    @property
    def spared(self) -> frozenset[str]:
        """Columns without which the model was trained to answer.

        All where training hid cells; else those that enough training rows lack, of numbers at
        least as many as one in a hundred: a rarer indicator says too little to be relied upon.
        """
        if self.hide:
            return frozenset(self.schema.columns)
        numbers, texts = self.numbers, self.categories
        often = numbers.flagged[numbers.flag_share >= OFTEN]
        told = zip(texts.columns, texts.known, strict=True)
        named = [numbers.columns[place] for place in often]
        return frozenset([*named, *(name for name, known in told if None in known)])

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
        return TableRecords(with_empty(rows, self.schema.categorical), self.schema)

    def check_raw(self, raw: Any) -> None:
        """Refuse rows that pandas has read otherwise than their cells are written."""
        absent = self._absent(raw)
        self.schema.check_raw(with_empty(raw, absent) if absent else raw)

    def remarks(self, records: Records) -> list[str]:
        """What is odd about rows, as they came and as they were read.

        Raises:
            UserError: Of a column of categories, no cell is known: it is spelled otherwise.
        """
        assert isinstance(records, TableRecords)
        fitted = Fitted(self.schema, self.numbers, self.categories)
        as_came = records.written is records.frame
        cells = records.cells if as_came else self.schema.read(records.written)
        refuse_unknown(fitted, cells, records.written)
        return remarks(fitted, cells, records.written, records.absent)

    def describe(self) -> str:
        """The columns."""
        return f"Columns of a frame of raw rows: {', '.join(self.schema.columns)}"

    @property
    def learned(self) -> str:
        """Of columns; nothing of a few patients alone."""
        median = "" if self.numbers.by_mean else "a median, "
        return (
            f"names of columns; of each column of numbers a mean, a spread, {median}how often it "
            "is empty, and the ends of its range without the most extreme patients; spellings of "
            "categories"
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
