"""The rooms of `meddistill.data`, one for each kind of raw rows, found by name.

A room is a folder with a module `modality` that has `fit_preprocessing` and `load_preprocessing`;
no list names the rooms.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, cast

from numpy.typing import NDArray

from meddistill import data
from meddistill.config.compose import build, choice_name
from meddistill.data.preprocessing import Preprocessing
from meddistill.data.records import Records
from meddistill.errors import SettingError


class Modality(Protocol):
    """What a room's module `modality` has."""

    def fit_preprocessing(
        self, records: Any, fewest: int, group: NDArray[Any] | None
    ) -> Preprocessing:
        """The usual preprocessing of training rows.

        Args:
            records: Training rows of this kind.
            fewest: What fewer patients have in common gets no input of its own.
            group: [rows] whom a row belongs to; None is a patient a row.
        """

    def load_preprocessing(self, path: Path, spec: Mapping[str, Any]) -> Preprocessing:
        """What `Preprocessing.save` wrote, every value checked.

        Raises:
            ValueError: The file is damaged, or not of such rows; it says what is wrong.
        """


class Method(Protocol):
    """A preprocessing that is chosen by name (`preprocessing=...`), not fitted yet."""

    reads: str
    """The kind of rows that it reads."""

    def fit(self, records: Any, fewest: int, group: NDArray[Any] | None) -> Preprocessing:
        """As a room's `fit_preprocessing`."""


class EmptyCells(Method, Protocol):
    """What cells become that are empty, chosen by name (`missing=...`), not fitted yet."""

    usual: bool
    """Whether it is what the usual preprocessing does."""
    hide: float
    """Share of known cells that are hidden in training."""


def rooms() -> list[str]:
    """The kinds of raw rows there are."""
    folders = {
        path.parent.name for place in data.__path__ for path in Path(place).glob("*/modality.py")
    }
    return sorted(folders)


def modality(kind: str) -> Modality:
    """The room of a kind of rows.

    Raises:
        ValueError: There is none.
    """
    if kind not in rooms():
        raise ValueError(f"{kind!r:.80} is no kind of rows; there are {', '.join(rooms())}")
    return cast(Modality, importlib.import_module(f"meddistill.data.{kind}.modality"))


def fit_preprocessing(
    node: Mapping[str, Any],
    records: Records,
    fewest: int = 1,
    group: NDArray[Any] | None = None,
    key: str = "preprocessing",
) -> Preprocessing:
    """What training rows teach: by the method of a config node, or else the usual one.

    Args:
        node: Config node of a `Method`; empty is the usual preprocessing of such rows.
        records: Training rows.
        fewest: Patients; what fewer have in common gets no input of its own.
        group: [rows] whom a row belongs to; None is a patient a row.
        key: Where the node stands in the config, for messages.

    Raises:
        SettingError: The method reads another kind of rows.
    """
    if not node:
        return modality(records.kind).fit_preprocessing(records, fewest, group)
    method: Method = build(node, key)
    if method.reads != records.kind:
        usual = "median" if key.endswith("missing") else "usual"
        mend = f"reads {method.reads}, and these are {records.kind}: leave it out ({key}={usual})"
        raise SettingError(key, node["_target_"].rpartition(".")[2], mend)
    return method.fit(records, fewest, group)


def method_of(
    preprocessing: Mapping[str, Any], missing: Mapping[str, Any], prefix: str = ""
) -> tuple[Mapping[str, Any], str, float]:
    """How a model reads rows: the config node of its method, that node's key, and what is hidden.

    Args:
        preprocessing: Config node; empty is the usual one of such rows.
        missing: Config node of what empty cells become; empty is the usual.
        prefix: Before the keys of both, for messages.

    Raises:
        SettingError: Both would say what empty cells become.
    """
    key = f"{prefix}missing"
    chosen: EmptyCells | None = build(missing, key) if missing else None
    if chosen is None or chosen.usual:
        return preprocessing, f"{prefix}preprocessing", 0.0 if chosen is None else chosen.hide
    if preprocessing:
        mend = (
            f"{prefix}preprocessing={choice_name(preprocessing)} reads empty cells in its own way"
        )
        raise SettingError(key, choice_name(missing), f"{mend}: take {key}=median")
    return missing, key, chosen.hide


def teachers_method(
    preprocessing: Mapping[str, Any] | None, missing: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The config node by which a teacher reads rows, as they are.

    Raises:
        SettingError: Cells are to be hidden from it.
    """
    node, _, hide = method_of(preprocessing or {}, missing or {}, "teacher.")
    if hide:
        mend = "a teacher reads rows as they are; missing.hide hides cells from its student"
        raise SettingError("teacher.missing.hide", hide, mend)
    return dict(node)
