"""Tables whose empty cells get a number by the row's other numbers (`missing=iterative`, `knn`)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from meddistill.data.tables.blocks import Cells, Floats
from meddistill.data.tables.encoding import FURTHEST, CategoryInputs, Inputs, NumberInputs
from meddistill.data.tables.preprocessing import TablePreprocessing
from meddistill.data.tables.preprocessing_file import as_plain, read_preprocessing
from meddistill.data.tables.schema import Schema
from meddistill.errors import SettingError
from meddistill.files.atomic import write_atomically


class Filler(ABC):
    """What an empty cell becomes, by what training rows have taught."""

    name: ClassVar[str]
    """What `missing=...` calls it, and its file."""
    learned: ClassVar[str]
    """What of the training rows is in it."""
    keys: ClassVar[tuple[str, ...]]
    """Of `plain`."""
    holds_rows: ClassVar[bool] = False
    """Whether training rows themselves are in it."""

    @abstractmethod
    def __call__(self, scaled: Floats) -> Floats:
        """[rows, columns] numbers, centred and scaled, NaN where empty -> the same without NaN."""

    @property
    @abstractmethod
    def plain(self) -> dict[str, Any]:
        """As JSON values."""

    @staticmethod
    @abstractmethod
    def of_plain(columns: int, plain: Mapping[str, Any]) -> Filler:
        """What `plain` gave, every value checked, for so many columns.

        Raises:
            ValueError: A value is none that could have been learned.
        """


class FilledPreprocessing(TablePreprocessing):
    """As with `missing=native`, but that an empty cell of numbers has its filler's in place of 0.

    Args:
        schema: The columns read.
        numbers: What `missing=native` has learned of numeric columns.
        categories: Of categorical ones.
        filler: Of the columns of numbers that are `known`.
    """

    def __init__(
        self, schema: Schema, numbers: NumberInputs, categories: CategoryInputs, filler: Filler
    ) -> None:
        super().__init__(schema, numbers, categories)
        self.filler = filler

    def inputs(self, cells: Cells) -> Inputs:
        """Inputs [rows, features]."""
        inputs = super().inputs(cells)
        scaled = scaled_numbers(self.numbers, cells.numbers)
        rows = np.flatnonzero(np.isnan(scaled).any(axis=1))
        if len(rows):
            filled = np.where(np.isnan(scaled[rows]), self.filler(scaled[rows]), scaled[rows])
            places = np.ix_(rows, np.flatnonzero(self.numbers.known))
            inputs[places] = np.clip(filled, -FURTHEST, FURTHEST)
        return inputs

    @property
    def learned(self) -> str:
        """Of columns, and of the filler."""
        return f"{super().learned}; {self.filler.learned}"

    @property
    def holds_rows(self) -> bool:
        """Whether training rows can be read from it."""
        return self.filler.holds_rows

    def save(self, path: Path) -> None:
        """Write to `path` (JSON), whole or not at all."""
        filler = {"by": self.filler.name, **self.filler.plain}
        write_atomically(path, as_plain(self.numbers, self.categories, self.hide, filler=filler))

    @staticmethod
    def of_filled(
        plain: Mapping[str, Any], name: str, schema: Schema, fillers: Mapping[str, type[Filler]]
    ) -> FilledPreprocessing:
        """What `save` wrote, every value checked.

        Raises:
            ValueError: A value is none that could have been learned.
        """
        usual = {key: value for key, value in plain.items() if key != "filler"}
        numbers, categories, hide = read_preprocessing(usual, name, schema)
        try:
            own = dict(plain["filler"])
            kind = fillers[own.pop("by")]
            if own.keys() != set(kind.keys):
                raise ValueError("its keys are others")
            filler = kind.of_plain(int(numbers.known.sum()), own)
        except (ValueError, TypeError, KeyError, SettingError) as error:
            raise ValueError(f"{name} is damaged, or another version's: filler: {error}") from error
        made = FilledPreprocessing(schema, numbers, categories, filler)
        made.hide = hide
        return made


def scaled_numbers(numbers: NumberInputs, values: Floats) -> Floats:
    """[rows, known columns] centred and scaled numbers, NaN where empty."""
    known = numbers.known
    scaled: Floats = (values[:, known] - numbers.mean[known]) / numbers.scale[known]
    return scaled


def array_of(values: Any, *shape: int) -> NDArray[np.float64]:
    """A list, or a list of lists, as finite numbers of this shape; -1 is any length.

    Raises:
        ValueError: It is something else.
    """
    found = np.asarray(values, dtype=np.float64)
    fits = found.ndim == len(shape) and all(
        n in (-1, own) for n, own in zip(shape, found.shape, strict=True)
    )
    if not fits or not np.isfinite(found).all():
        raise ValueError(f"numbers of shape {list(found.shape)}, not finite ones of {list(shape)}")
    return found
