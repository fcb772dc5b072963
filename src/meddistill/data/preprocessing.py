"""The contract of a preprocessing: from raw rows to what a network reads."""

from __future__ import annotations

import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from numpy.typing import NDArray
from torch import Tensor

from meddistill.data.records import Records
from meddistill.files.model_files import read_plain_json

log = logging.getLogger(__name__)
PREPROCESSING = "preprocessing.json"
"""Where a model's folder keeps it."""
MOST_ROWS = 8192
MOST_NUMBERS = 2**24
"""Numbers in the inputs of rows that a network answers at once: 64 MiB of float32."""


class Features(tuple[int, ...]):
    """The shape (features,) of a row, which knows what column of a table each of them is of.

    Args:
        columns: [features] names.
    """

    columns: tuple[str, ...]

    def __new__(cls, columns: Iterable[str]) -> Features:
        """(number of features,)."""
        every = tuple(columns)
        shape = super().__new__(cls, (len(every),))
        shape.columns = every
        return shape

    def __getnewargs__(self) -> tuple[tuple[str, ...]]:
        """What a copy is made from."""
        return (self.columns,)


class Preprocessing(ABC):
    """From raw rows to a network's inputs, by what was learned from training rows.

    It has two halves. Calling it gives the rows as they lie in memory, one tensor a row: pixels as
    bytes, say, of which all splits and models share one copy. `front` makes of a batch of them
    what a network reads, on the network's device: scaled pixels.

    Attributes:
        layout: What the dimensions of `in_shape` are: `vector` [features], `image` [channels,
            height, width], `series` [parts, time, variables] or `bands` [columns, bands].
        in_shape: Shape of one row as a network reads it.
        form: What decides how rows lie in memory, where nothing that was fitted does: rows of one
            form are shared. None where each preprocessing has inputs of its own.
        hide: Share of a row's known cells that were hidden in training.
    """

    layout: str
    in_shape: tuple[int, ...]
    form: str | None = None
    hide: float = 0.0

    @abstractmethod
    def read(self, raw: Any) -> Records:
        """Raw rows, as a person gives them or as they are in a cohort, checked.

        Raises:
            UserError: They are not what the model was trained with; it says which row or column.
        """

    @abstractmethod
    def __call__(self, records: Records) -> NDArray[Any]:
        """[rows, ...] the rows as they lie in memory."""

    def front(self, inputs: Tensor) -> Tensor:
        """[..., as in memory] -> float32 [..., *in_shape], on whatever device they are."""
        return inputs

    @property
    def evaluation_rows(self) -> int:
        """Rows that a network answers at once."""
        return max(1, min(MOST_ROWS, MOST_NUMBERS // max(1, math.prod(self.in_shape))))

    @property
    def has_front(self) -> bool:
        """Whether `front` does anything."""
        return type(self).front is not Preprocessing.front

    @abstractmethod
    def probe(self) -> Records:
        """Made rows by which a model is tried out; of the first one nothing is known."""

    def check_raw(self, raw: Any) -> None:  # noqa: B027
        """Refuse rows that have lost what their file said, before they came here.

        Raises:
            UserError: It says how to read them.
        """

    def remarks(self, records: Records) -> Iterable[str]:
        """What is odd about new rows, a sentence a kind: each says what is made of it.

        Raises:
            UserError: It is so odd that they are refused.
        """
        return ()

    def warn(self, records: Records, called: str = "") -> None:
        """Say what is odd about new rows.

        Args:
            records: As it has read them.
            called: What begins each remark.

        Raises:
            UserError: It is so odd that they are refused.
        """
        for remark in self.remarks(records):
            log.warning("%s%s", called, remark)

    @abstractmethod
    def describe(self) -> str:
        """What a row must have, for the README of a model that is handed on."""

    @property
    @abstractmethod
    def learned(self) -> str:
        """What of the training rows is in it, for the same README."""

    @property
    def holds_rows(self) -> bool:
        """Whether training rows can be read from it: it is then handed on by permission alone."""
        return False

    @abstractmethod
    def save(self, path: Path) -> None:
        """Write to `path` (JSON), whole or not at all."""


Loaded = TypeVar("Loaded", bound=Preprocessing)


def load_saved(
    path: Path,
    spec: Mapping[str, Any],
    version: int,
    methods: Mapping[str, Callable[[dict[str, Any], Mapping[str, Any]], Loaded]],
) -> Loaded:
    """What a preprocessing saved that says its version and method, every value checked.

    Args:
        path: The file.
        spec: How raw rows are read, as the model's folder says.
        version: That is read.
        methods: By name what makes one of the file's values and the spec.

    Raises:
        ValueError: The file is damaged, or not of such rows; it says what is wrong.
    """
    plain = read_plain_json(path.parent, path.name)
    try:
        if not isinstance(plain, dict) or plain.get("version") != version:
            raise ValueError("it is no mapping of this version")
        if plain.get("method") not in list(methods):
            method = plain.get("method")
            raise ValueError(f"method={method!r:.40} is none of {sorted(methods)}")
        return methods[plain["method"]](plain, spec)
    except ValueError as error:
        raise ValueError(f"{path.name} is damaged, or another version's: {error}") from error
