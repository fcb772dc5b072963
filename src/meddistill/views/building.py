"""From a config node to a random view of training rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from meddistill.config.compose import build, choice_name
from meddistill.errors import SettingError


def build_view(node: Mapping[str, Any], kind: str, key: str = "view") -> nn.Module | None:
    """The view of a config node, for rows of a kind; None of an empty node.

    Args:
        node: Config node of a module with the kind that it is for in `reads`; it is called in
            training alone, with rows [batch, ...] as they lie in memory (pixels as floats from 0
            to 1), and returns such rows. What it draws comes from torch's generator of the CPU.
        kind: Of the rows (`images`, ...).
        key: Where the node stands in the config, for messages.

    Raises:
        SettingError: It is for rows of another kind.
    """
    if not node:
        return None
    view: nn.Module = build(node, key)
    reads = getattr(view, "reads", kind)
    if reads != kind:
        name = choice_name(node)
        raise SettingError(key, name, f"is for {reads}, and these are {kind}: take {key}=none")
    return view
