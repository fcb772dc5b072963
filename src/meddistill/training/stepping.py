"""How gradients become steps, where Lightning leaves that to a module that steps by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn


@dataclass(frozen=True)
class Stepping:
    """Accumulation and clipping, under the names of the Trainer's arguments.

    Attributes:
        accumulate: Batches whose mean gradient makes one step.
        clip_value: Largest gradient (norm or value); None or 0 leaves gradients as they are.
        clip_algorithm: `norm` or `value`.
    """

    accumulate: int = 1
    clip_value: float | None = None
    clip_algorithm: str = "norm"

    @staticmethod
    def of(trainer: Mapping[str, Any]) -> Stepping:
        """By the Trainer's own names of its arguments."""
        return Stepping(
            accumulate=trainer.get("accumulate_grad_batches") or 1,
            clip_value=trainer.get("gradient_clip_val"),
            clip_algorithm=trainer.get("gradient_clip_algorithm") or "norm",
        )

    def is_due(self, number: int, batches: int) -> bool:
        """Whether a step follows the epoch's batch `number`, counted from 1, of `batches`."""
        return number % self.accumulate == 0 or number == batches

    def scaled(self, loss: Tensor, number: int, batches: int) -> Tensor:
        """A batch's share of the mean over its step's batches."""
        if self.accumulate == 1:
            return loss
        return loss / self.accumulate * last_group(self.accumulate, number, batches)

    def clip(self, parameters: Sequence[nn.Parameter]) -> None:
        """Limit the gradients."""
        if not self.clip_value:
            return
        if self.clip_algorithm == "value":
            nn.utils.clip_grad_value_(parameters, self.clip_value)
        else:
            nn.utils.clip_grad_norm_(parameters, self.clip_value)


def last_group(accumulate: int, number: int, batches: int) -> float:
    """What makes the last, shorter group of accumulated batches a mean as well.

    Lightning divides every batch's loss by `accumulate`, however many the last group has.

    Args:
        accumulate: Batches a step.
        number: Of the batch in its epoch, counted from 1.
        batches: Of the epoch.
    """
    first = (number - 1) // accumulate * accumulate
    return accumulate / min(accumulate, batches - first)
