"""Rows of a table: a frame, and the columns of it that a model reads."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from meddistill.data.records import Positions, Records
from meddistill.data.tables.blocks import Cells
from meddistill.data.tables.schema import Schema


class TableRecords(Records):
    """Rows of a table.

    Args:
        frame: [rows] raw ones, or prepared by the schema.
        schema: The columns that are read, by role.
        written: The rows as they came, where `frame` holds prepared ones and what is odd about them
            is to be said.
        absent: Columns that the rows came without.
    """

    kind: ClassVar[str] = "tables"

    def __init__(
        self,
        frame: pd.DataFrame,
        schema: Schema,
        written: pd.DataFrame | None = None,
        absent: Sequence[str] = (),
    ) -> None:
        self.frame, self.schema, self.absent = frame, schema, absent
        self.written = frame if written is None else written

    @staticmethod
    def prepared(frame: pd.DataFrame, schema: Schema, as_new: bool = False) -> TableRecords:
        """Raw rows with their cells read: float64 and text columns, NaN where missing.

        Args:
            frame: Raw rows.
            schema: The columns that are read.
            as_new: Whether they are kept as they came too, so that what is odd can be said.

        Raises:
            UserError: A column is absent, or a cell is not what its column needs.
        """
        read = schema.prepare(frame).reset_index(drop=True)
        return TableRecords(read, schema, frame if as_new else None)

    def __len__(self) -> int:
        return len(self.frame)

    def take(self, positions: Positions) -> TableRecords:
        """The rows at `positions`."""
        taken = TableRecords(self.frame.iloc[positions].reset_index(drop=True), self.schema)
        if "cells" in self.__dict__:  # read before: not again
            taken.cells = self.cells.at(positions)
        return taken

    @cached_property
    def cells(self) -> Cells:
        """The cells that are inputs.

        Raises:
            UserError: A column is absent, or a cell is not what its column needs.
        """
        return self.schema.read(self.frame)

    @property
    def columns(self) -> list[str]:
        """Those that are read."""
        return self.schema.columns

    def only(self, columns: Sequence[str]) -> TableRecords:
        """The same frame, of which these columns alone are read."""
        return TableRecords(self.frame, self.schema.only(columns))

    @property
    def known(self) -> NDArray[np.bool_]:
        """[rows, columns] which cells are filled."""
        return self.cells.known

    def emptied(self, hidden: NDArray[np.bool_]) -> TableRecords:
        """The rows without the cells [rows, columns] that are hidden, prepared."""
        return EmptiedRecords(self.cells.emptied(hidden), self.schema)

    def hashes(self) -> NDArray[np.uint64]:
        """[rows] A hash of each row's cells."""
        hashes = pd.util.hash_pandas_object(self.frame, index=False)
        return np.asarray(hashes, dtype=np.uint64)

    @property
    def spec(self) -> dict[str, Any]:
        """The schema."""
        return self.schema.to_dict()

    @property
    def index(self) -> pd.Index[Any]:
        """That of the frame."""
        return self.frame.index

    def raw(self) -> pd.DataFrame:
        """The frame."""
        return self.frame

    def describe(self) -> str:
        """How many columns."""
        return f"{len(self.schema.columns)} columns"


class EmptiedRecords(TableRecords):
    """Rows of which some cells were emptied; they are a frame once somebody asks for one."""

    def __init__(self, cells: Cells, schema: Schema) -> None:
        self.cells, self.schema, self.absent = cells, schema, ()

    def __len__(self) -> int:
        return len(self.cells.numbers)

    @cached_property
    def frame(self) -> pd.DataFrame:  # type: ignore[override]
        """The rows, prepared."""
        return self.schema.framed(self.cells)

    @property
    def written(self) -> pd.DataFrame:  # type: ignore[override]
        """They came so."""
        return self.frame
