"""Which of an optimizer's kernels steps which parameter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

VECTOR = 16
"""Numbers of float32 in the widest vector of a processor."""


def by_kernel(
    parameters: Sequence[Tensor], members: int = 1
) -> list[tuple[list[int], dict[str, Any]]]:
    """Numbers of the parameters that share an optimizer's group, and the group's own settings.

    On the CPU torch's fused kernels round the numbers that fill no whole vector otherwise than the
    rest, and Adam makes of one rounding of a gradient near zero a step of its own. Where a stack's
    parameter fills vectors that a single student's does not, the two would part. Such small
    parameters are therefore stepped by the plain kernels, in a stack and alone.

    Args:
        parameters: Of one network, or stacked [members, ...].
        members: How many networks they are of.
    """
    whole = [
        number
        for number, parameter in enumerate(parameters)
        if parameter.device.type != "cpu" or parameter.numel() // members % VECTOR == 0
    ]
    rest = [number for number in range(len(parameters)) if number not in whole]
    groups: list[tuple[list[int], dict[str, Any]]] = [(whole, {}), (rest, {"fused": False})]
    return [(numbers, settings) for numbers, settings in groups if numbers]
