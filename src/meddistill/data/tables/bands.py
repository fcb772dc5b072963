"""Tables as bands: of each column the one that a cell is in (`preprocessing=bands`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import one_hot

from meddistill.data.patients import Patients
from meddistill.data.records import Records
from meddistill.data.tables.blocks import Cells
from meddistill.data.tables.cells import PLAIN
from meddistill.data.tables.cuts import DIGITS, Cuts, Groups, cut, grouped
from meddistill.data.tables.encoding import CategoryInputs, NumberInputs
from meddistill.data.tables.fitting import fit_preprocessing
from meddistill.data.tables.preprocessing import TablePreprocessing
from meddistill.data.tables.preprocessing_file import as_plain, read_preprocessing
from meddistill.data.tables.records import TableRecords
from meddistill.data.tables.schema import Schema
from meddistill.errors import SettingError, integer
from meddistill.files.atomic import write_atomically

MOST = 9
"""Bands of a column that anybody may ask for."""


class BandsPreprocessing(TablePreprocessing):
    """Each column's cell as the number of its band; the last band is that of what is not known.

    A network reads [columns, bands]: 1 in the band of each column's cell, 0 in the others. Where
    too few training patients had an empty cell it is in no band, and has zeros.

    Args:
        schema: The columns read.
        numbers: What the usual preprocessing has learned of numeric columns.
        categories: Of categorical ones.
        columns: [columns] their bands, numeric columns first.
        most: Bands a column at most, besides that of what is not known.
    """

    layout = "bands"

    def __init__(
        self,
        schema: Schema,
        numbers: NumberInputs,
        categories: CategoryInputs,
        columns: Sequence[Cuts | Groups],
        most: int,
    ) -> None:
        super().__init__(schema, numbers, categories)
        self.columns, self.most = tuple(columns), most
        self.in_shape = (len(self.columns), most + 1)
        told = [None in known for known in categories.known]
        self._unknown = np.where([*np.isin(np.arange(len(schema.numeric)), numbers.flagged), *told],
                                 most, most + 1)  # fmt: skip

    def __call__(self, records: Records) -> NDArray[np.uint8]:
        """Rows that `read` has read -> [rows, columns] the number of each cell's band."""
        assert isinstance(records, TableRecords)
        return self.codes(records.cells)

    def codes(self, cells: Cells) -> NDArray[np.uint8]:
        """[rows, columns] the number of each cell's band."""
        codes = np.empty((len(cells.numbers), len(self.columns)), dtype=np.uint8)
        numeric = len(self.schema.numeric)
        for place, column in enumerate(self.columns):
            if isinstance(column, Cuts):
                values = cells.numbers[:, place]
                known = self.numbers.known[place] & ~np.isnan(values)
                codes[:, place] = np.where(known, column.codes(values), self._unknown[place])
            else:
                text, names = cells.categories.codes, cells.categories.names[place - numeric]
                unknown = int(self._unknown[place])
                codes[:, place] = column.codes(text[:, place - numeric], names, unknown)
        return codes

    def front(self, inputs: Tensor) -> Tensor:
        """[..., columns] -> float32 [..., columns, bands] of 0 and 1."""
        return one_hot(inputs.long(), self.most + 2)[..., :-1].float()

    @property
    def band_names(self) -> list[list[str]]:
        """[columns, bands of the column] what they are called, `not known` not among them."""
        return [
            [self.span(place, band, band) for band in range(column.count)]
            for place, column in enumerate(self.columns)
        ]

    def span(self, column: int, first: int, last: int) -> str:
        """What cells in a column's bands from `first` to `last` have in common."""
        bands, name = self.columns[column], self.schema.columns[column]
        if isinstance(bands, Cuts):
            if self.numbers.two_valued[column] and first == last and len(bands.cuts) == 1:
                ends = self.numbers.lowest[column], self.numbers.highest[column]
                return self.schema.notation.get(name, PLAIN).written(ends[first], DIGITS)
            return bands.name(first, last, self.schema.notation.get(name, PLAIN))
        return ", ".join(bands.name(band) for band in range(first, last + 1))

    @property
    def learned(self) -> str:
        """Of columns; nothing of a few patients alone."""
        return f"{super().learned}; where columns are cut into bands"

    def save(self, path: Path) -> None:
        """Write to `path` (JSON), whole or not at all."""
        kept = {"most": self.most, "columns": [column.plain for column in self.columns]}
        write_atomically(path, as_plain(self.numbers, self.categories, self.hide, bands=kept))

    @staticmethod
    def of_plain(plain: Mapping[str, Any], name: str, schema: Schema) -> BandsPreprocessing:
        """What `save` wrote, every value checked.

        Raises:
            ValueError: A value is none that could have been fitted.
        """
        usual = {key: value for key, value in plain.items() if key != "bands"}
        numbers, categories, hide = read_preprocessing(usual, name, schema)
        try:
            most, columns = _bands(plain["bands"], schema)
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"{name} is damaged, or another version's: bands: {error}") from error
        made = BandsPreprocessing(schema, numbers, categories, columns, most)
        made.hide = hide
        return made


def _bands(plain: Any, schema: Schema) -> tuple[int, list[Cuts | Groups]]:
    """How many bands there are at most, and each column's."""
    most, entries = plain["most"], plain["columns"]
    if type(most) is not int or not 2 <= most <= MOST or len(entries) != len(schema.columns):
        raise ValueError("they are not those of the model's columns")
    numeric = len(schema.numeric)
    found: list[Cuts | Groups] = [Cuts.of_plain(**entry) for entry in entries[:numeric]]
    found += [Groups.of_plain(**entry) for entry in entries[numeric:]]
    if max((column.count for column in found), default=0) > most:
        raise ValueError(f"a column has more than {most}")
    return most, found


class Bands:
    """The choice of `BandsPreprocessing` (`preprocessing=bands`).

    Args:
        most: Bands a column at most, from 2 to 9; what is not known has one besides.
    """

    reads: ClassVar[str] = "tables"

    def __init__(self, most: int = 5) -> None:
        self.most = integer("most", most, at_least=2)
        if most > MOST:
            raise SettingError("most", most, f"must be a whole number from 2 to {MOST}")

    def fit(
        self, records: TableRecords, fewest: int, group: NDArray[Any] | None
    ) -> BandsPreprocessing:
        """Cut columns by training rows."""
        cells = records.cells
        usual = fit_preprocessing(records.schema, cells, fewest, group)
        patients = Patients.of(len(records), fewest, group)
        columns: list[Cuts | Groups] = [
            cut(values, patients, self.most) if known else Cuts(())
            for values, known in zip(cells.numbers.T, usual.numbers.known, strict=True)
        ]
        texts = usual.categories
        for place, (known, rare) in enumerate(zip(texts.known, texts.rare, strict=True)):
            named = [name for name in known if name is not None]
            codes, names = cells.categories.codes[:, place], cells.categories.names[place]
            columns.append(grouped(codes, names, named, rare, self.most))
        return BandsPreprocessing(records.schema, usual.numbers, texts, columns, self.most)
