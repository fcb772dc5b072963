"""A fitted preprocessing as JSON, which anyone can read; nothing in the file is believed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import compress
from typing import Any

import numpy as np

from meddistill.data.tables.encoding import CategoryInputs, NumberInputs
from meddistill.data.tables.schema import Schema

VERSION = 1
LEARNED = ("mean", "scale", "lowest", "highest")
FLAG = ("mean", "scale")
LARGEST = float(np.finfo(np.float32).max)


def as_plain(
    numbers: NumberInputs, categories: CategoryInputs, hide: float = 0.0, **more: Any
) -> str:
    """The file's text: an entry a column; floats come back as they were, to the last bit.

    Where empty cells are filled with means there is no median.

    Args:
        numbers: Inputs of numeric columns.
        categories: Inputs of categorical columns.
        hide: Share of known cells that training hid; 0 is not written.
        **more: What another preprocessing keeps beside them.
    """
    flags = dict(zip(numbers.flagged.tolist(), range(len(numbers.flagged)), strict=True))
    columns, by_mean = list[dict[str, Any]](), numbers.by_mean
    for place, column in enumerate(numbers.columns):
        entry: dict[str, Any] = {"column": column}
        if numbers.known[place]:
            entry |= {} if by_mean else {"median": float(numbers.fill[place])}
            entry |= {name: float(getattr(numbers, name)[place]) for name in LEARNED}
        if place in flags:
            flag = flags[place]
            entry["missing"] = _flag(numbers, flag)
        columns.append(entry)
    texts = [
        {"column": column, "known": list(known), "rare": rare}
        for column, known, rare in zip(
            categories.columns, categories.known, categories.rare, strict=True
        )
    ]
    plain = {"version": VERSION, "numbers": columns, "categories": texts, **more}
    plain |= {"hide": hide} if hide else {}
    return json.dumps(plain, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _flag(numbers: NumberInputs, flag: int) -> dict[str, float]:
    """An indicator's entry; the share of empty cells where that is not its mean already."""
    mean, share = float(numbers.flag_mean[flag]), float(numbers.flag_share[flag])
    entry = {"mean": mean, "scale": float(numbers.flag_scale[flag])}
    return entry if share == mean else {**entry, "share": share}


def read_preprocessing(
    plain: Any, name: str, schema: Schema
) -> tuple[NumberInputs, CategoryInputs, float]:
    """What a file holds, for the columns of `schema`, and which share of cells training hid.

    Args:
        plain: The JSON value in the file.
        name: Of the file, for messages.
        schema: Of the model.

    Raises:
        ValueError: A value is none that could have been fitted.
    """
    try:
        _check_keys(plain, ("version", "numbers", "categories"), ("hide",))
        if plain["version"] != VERSION:
            raise ValueError(f"version {plain['version']!r:.20} is not {VERSION}")
        numbers = _columns(plain["numbers"], schema.numeric)
        categories = _columns(plain["categories"], schema.categorical)
        hide = _share(plain, "hide") if "hide" in plain else 0.0
        return _numbers(numbers), _categories(categories), hide
    except ValueError as error:
        raise ValueError(f"{name} is damaged, or another version's: {error}") from error


def _numbers(entries: Sequence[Mapping[str, Any]]) -> NumberInputs:
    known = np.array([len(entry.keys() - {"column", "missing"}) > 0 for entry in entries], bool)
    if len({"median" in entry for entry in compress(entries, known)}) > 1:
        raise ValueError("some columns have a median and some have none")
    learned: dict[str, list[float]] = {name: [] for name in (*LEARNED, "fill")}
    flagged: list[int] = []
    flags: dict[str, list[float]] = {name: [] for name in (*FLAG, "share")}
    for place, (entry, is_known) in enumerate(zip(entries, known, strict=True)):
        _check_keys(entry, ("column", *LEARNED) if is_known else ("column",), ("missing", "median"))
        for name in LEARNED:
            unread = 1.0 if name == "scale" else 0.0
            learned[name].append(_number(entry, name) if is_known else unread)
        learned["fill"].append(
            _number(entry, "median") if "median" in entry else learned["mean"][-1]
        )
        if "missing" in entry:
            flag = entry["missing"]
            _check_keys(flag, FLAG, ("share",))
            flagged.append(place)
            for name in FLAG:
                flags[name].append(_number(flag, name))
            flags["share"].append(_share(flag, "share") if "share" in flag else flags["mean"][-1])
    return NumberInputs(
        columns=tuple(entry["column"] for entry in entries),
        known=known,
        flagged=np.array(flagged, dtype=np.intp),
        **{name: np.array(values, dtype=np.float64) for name, values in learned.items()},
        **{f"flag_{name}": np.array(values, dtype=np.float64) for name, values in flags.items()},
    )


def _categories(entries: Sequence[Mapping[str, Any]]) -> CategoryInputs:
    for entry in entries:
        _check_keys(entry, ("column", "known", "rare"))
        known = entry["known"]
        if not isinstance(known, list) or not all(k is None or isinstance(k, str) for k in known):
            raise ValueError(f"the known categories of {entry['column']!r} are no texts")
        if len(set(known)) < len(known):
            raise ValueError(f"a category of {entry['column']!r} stands twice")
        if not isinstance(entry["rare"], bool):
            raise ValueError(f"rare={entry['rare']!r:.40} of {entry['column']!r} is no truth value")
    return CategoryInputs(
        tuple(entry["column"] for entry in entries),
        tuple(tuple(entry["known"]) for entry in entries),
        tuple(entry["rare"] for entry in entries),
    )


def _columns(entries: Any, wanted: Sequence[str]) -> Sequence[Mapping[str, Any]]:
    """The entries, if they are of the columns wanted, in their order."""
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError("columns must be a list of mappings")
    found = [entry.get("column") for entry in entries]
    if found != list(wanted):
        raise ValueError("its columns are not those of the model's schema")
    return entries


def _check_keys(entry: Any, needed: Sequence[str], allowed: Sequence[str] = ()) -> None:
    if not isinstance(entry, dict):
        raise ValueError(f"{entry!r:.40} is no mapping")
    wrong = (set(needed) - entry.keys()) | (entry.keys() - {*needed, *allowed})
    if wrong:
        raise ValueError(f"{min(wrong)!r:.40} is missing, or nobody's key")


def _number(entry: Mapping[str, Any], name: str) -> float:
    value = entry[name]
    if type(value) not in (int, float) or not abs(value) <= LARGEST:
        raise ValueError(f"{name}={value!r:.40} is no finite number of float32")
    if name == "scale" and value <= 0:
        raise ValueError(f"scale={value!r:.40} must be above 0")
    return float(value)


def _share(entry: Mapping[str, Any], name: str) -> float:
    value = entry[name]
    if type(value) not in (int, float) or not 0 < value < 1:
        raise ValueError(f"{name}={value!r:.40} is no share")
    return float(value)
