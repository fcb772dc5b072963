"""The command line's arguments as Hydra can read them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from meddistill.config.confdir import choices
from meddistill.config.sections import OPTIONAL
from meddistill.errors import UserError

LEFT_OUT = re.compile(r"\+{0,2}([\w/]+)=[Nn]ull|~([\w/]+)(?:=.*)?")
WITH_VALUE = (
    "--cfg", "-c", "--package", "-p", "--config-path", "-cp", "--config-name", "-cn",
    "--config-dir", "-cd", "--experimental-rerun", "--info", "-i",
)  # fmt: skip
"""Hydra's flags that a value follows."""


def readable(arguments: Sequence[str], known: Mapping[str, Any]) -> list[str]:
    """Hydra's flags, then the overrides: its parser takes overrides in one piece alone.

    Args:
        arguments: As typed after the verb.
        known: Root keys of the verb.

    Raises:
        UserError: A group can't be left out.
    """
    flags: list[str] = []
    overrides: list[str] = []
    rest = iter(arguments)
    for each in rest:
        if not each.startswith("-"):
            overrides += chosen(each, known)
        elif each in WITH_VALUE:
            flags += [each, *[value for value in [next(rest, None)] if value is not None]]
        else:
            flags.append(each)
    return [*flags, *overrides]


def chosen(argument: str, known: Mapping[str, Any]) -> list[str]:
    """An argument of the command line, `group=null` and `~group` as Hydra can read them.

    Args:
        argument: As typed.
        known: Root keys of the verb.

    Raises:
        UserError: The group can't be left out.
    """
    match = LEFT_OUT.fullmatch(argument)
    group = match[1] or match[2] if match else ""
    there = choices(group) if group else []
    if not there or group not in (*known, "experiment"):
        return [argument]
    if "none" in there:
        return [f"{group}=none"]
    if group == "experiment" or known[group] is OPTIONAL:
        return []
    alone = " (loss=ce trains a student alone)" if group == "teacher" else ""
    raise UserError(f"{argument}: can't be left out{alone}; there are {', '.join(there)}")
