"""What a model's folder says of how series are read; nothing in it is believed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from meddistill.data.series.records import ARRAYS, NAMES
from meddistill.data.series.scales import finite
from meddistill.data.series.static import CATEGORY, NUMBER
from meddistill.data.series.times import MENDS

MOST_STEPS = 2**22
KEYS = {"variables", "static", "steps", "step", "until", "time_kind", "names"}


def checked_spec(spec: Any) -> dict[str, Any]:
    """The spec of series, every value checked.

    Raises:
        ValueError: A value is none that records could have had.
    """
    if not isinstance(spec, Mapping) or spec.keys() != KEYS:
        raise ValueError(f"its schema of series must hold {sorted(KEYS)}")
    variables, static, names = spec["variables"], spec["static"], spec["names"]
    if not isinstance(variables, list) or not variables or not _are_names(variables):
        raise ValueError("its variables are no list of different names")
    if not isinstance(static, dict) or not _are_names([*static]):
        raise ValueError("its static columns are no mapping of names")
    if not set(map(str, static.values())) <= {NUMBER, CATEGORY}:
        raise ValueError("a static column is neither number nor category")
    if type(spec["steps"]) is not int or not 1 <= spec["steps"] <= MOST_STEPS:
        raise ValueError(f"steps={spec['steps']!r:.40} is no number of steps")
    for name in ("step", "until"):
        if spec[name] is not None:
            finite(spec, name)
    if spec["step"] is not None and spec["step"] <= 0:
        raise ValueError(f"step={spec['step']!r:.40} must be above 0")
    if spec["time_kind"] not in [*MENDS]:
        raise ValueError(f"time_kind={spec['time_kind']!r:.40} is none of {[*MENDS]}")
    if not isinstance(names, dict) or names.keys() != NAMES.keys():
        raise ValueError(f"its names of arrays and columns must be those of {sorted(NAMES)}")
    for role, name in names.items():
        if not isinstance(name, str) and (name is not None or role in ARRAYS):
            raise ValueError(f"the name {name!r:.40} of {role} is no text")
    return dict(spec)


def _are_names(names: list[Any]) -> bool:
    return all(isinstance(name, str) for name in names) and len(set(names)) == len(names)
