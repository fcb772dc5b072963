"""What a model's folder may say of itself: every value is checked before any is used."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from meddistill.files.model_files import PART, read_plain_json
from meddistill.inference.card import AVERAGES, CARD, ESTIMATOR, NETWORK, SCORES, SEVERAL, Card


def read_card(folder: Path) -> Card:
    """Read `model.json`; a value that no model of ours has is refused.

    Raises:
        ValueError: It says which value.
    """
    values = read_plain_json(folder, CARD)
    if not isinstance(values, dict):
        raise ValueError(f"{CARD} is no mapping")
    return card_of(values)


def card_of(values: Mapping[str, Any]) -> Card:
    """The card of plain values, each of them checked.

    Raises:
        ValueError: It says which value no model of ours has.
    """
    needed = {each.name for each in fields(Card) if each.default is MISSING is each.default_factory}
    known = {each.name for each in fields(Card)}
    if wrong := sorted((set(values) - known) | (needed - set(values))):
        raise ValueError(f"{CARD} has no {wrong[0]}, or must not have it: it is another version's")
    for name, is_right in CHECKS.items():
        if name in values and not is_right(values[name]):
            raise ValueError(f"{CARD}: {name}={values[name]!r:.80} is nothing that a model has")
    card = Card(**values)
    if not _fits(card):
        raise ValueError(f"{CARD}: its checkpoints and columns are not those of {card.kind!r}")
    return card


def _fits(card: Card) -> bool:
    """Whether kind, checkpoints, network and columns belong together."""
    if card.kind in (ESTIMATOR, SCORES) and (card.network or not 0 < card.clamp < 1):
        return False
    if not all(0 <= column < len(card.classes) for column in card.columns):
        return False
    if card.threshold is not None and len(card.classes) != 2:
        return False
    if card.shift and (card.kind != ESTIMATOR or len(card.shift) != len(card.classes)):
        return False
    if card.bent and (card.kind != NETWORK or len(card.bent) != len(card.classes)):
        return False
    if card.kind == SEVERAL:
        return _is_mixture(card.network)
    if card.kind == NETWORK:
        return len(card.checkpoints) > 0
    return len(card.checkpoints) == (1 if card.kind == ESTIMATOR else 0)


def _is_mixture(network: Mapping[str, Any]) -> bool:
    weights = network.get("weights")
    if not isinstance(weights, dict) or not weights or network.get("average") not in AVERAGES:
        return False
    return all(
        PART.fullmatch(name) and name not in (".", "..") and _is_number(weight) and weight > 0
        for name, weight in weights.items()
    )


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _whole(value: Any, least: int) -> bool:
    return isinstance(value, list) and all(type(each) is int and each >= least for each in value)


def _different(value: Any) -> bool:
    return _texts(value) and len(set(value)) == len(value) and "" not in value


CHECKS: dict[str, Callable[[Any], Any]] = {
    "network": lambda value: isinstance(value, dict),
    "checkpoints": _different,
    "classes": lambda value: _different(value) and len(value) > 1,
    "schema": lambda value: isinstance(value, dict),
    "in_shape": lambda value: _whole(value, 1) and value,
    "kind": lambda value: value in (NETWORK, ESTIMATOR, SCORES, SEVERAL),
    "clamp": lambda value: _is_number(value) and 0 <= value < 1,
    "temperature": lambda value: _is_number(value) and value > 0,
    "columns": lambda value: _whole(value, 0) and len(set(value)) == len(value),
    "shift": lambda value: isinstance(value, list) and all(map(_is_number, value)),
    "bent": lambda value: isinstance(value, list) and all(map(_is_number, value)),
    "threshold": lambda value: value is None or (_is_number(value) and 0 < value <= 1),
    "records": lambda value: isinstance(value, str),
    "out_of_fold": lambda value: isinstance(value, bool),
}
"""By field of a card, whether a value is one that a model of ours can have."""
