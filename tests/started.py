"""Students that start from a part of a small teacher."""

from __future__ import annotations

from typing import Any

from composing import composed
from meddistill.config.compose import build_network
from meddistill.config.resolvers import register_resolvers, resolved

TEACHER = ("teacher=mlp", "teacher.network.width=16", "teacher.network.depth=1",
           "teacher.trainer.max_epochs=2")  # fmt: skip
EQUAL = ("student.width=16", "student.depth=1")


def settings(*more: str) -> dict[str, Any]:
    """Of a student that starts from its teacher and learns from labels for three epochs."""
    register_resolvers()
    given = ("init=subset", "loss=ce", "trainer.max_epochs=3", "logger=none")
    return resolved(composed("distill", *given, *more))


def student_of(chosen, data):
    """With its own first weights."""
    return build_network(
        chosen["student"], "student", data.in_shape, data.num_classes, chosen["seed"]
    )
