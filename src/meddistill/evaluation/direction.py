"""Which way a measure is better; imports nothing heavy."""

from __future__ import annotations


def lower_is_better(name: str) -> bool:
    """True for losses, errors and the Brier score; `name` may carry a prefix such as `val/`."""
    return name.removesuffix("_scaled").endswith(("loss", "error", "brier"))
