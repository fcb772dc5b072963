"""meddistill: knowledge distillation for medical diagnosis."""

from __future__ import annotations

from typing import Any

__all__ = ["load_model", "predict"]


def __getattr__(name: str) -> Any:
    """`load_model` and `predict`, imported when first asked for (torch takes seconds)."""
    if name in __all__:
        from meddistill.inference import loading

        return getattr(loading, name)
    raise AttributeError(f"module 'meddistill' has no attribute {name!r}")
