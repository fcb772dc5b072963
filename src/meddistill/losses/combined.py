"""Several losses at once, each term with its name."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from meddistill.errors import SettingError, UserError, number
from meddistill.losses.base import DistillationLoss, LossTerms, Searched, Step


class Combined(DistillationLoss):
    """The weighted sum of losses.

    Each brings its own cross-entropy with the labels, unless its `alpha` is 1 or its `label_weight`
    0. Terms are called `<loss>/<term>`, and `train/<loss>/<term>` is followed.

    Args:
        losses: By name.
        weights: Of each, at least 0; one that is not named has 1.
    """

    def __init__(
        self,
        losses: Mapping[str, DistillationLoss],
        weights: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__()
        if not losses:
            raise SettingError("losses", {}, "must name at least one loss")
        for name, loss in losses.items():
            if isinstance(loss, Searched):
                raise UserError(f"losses.{name}: {type(loss).__name__} searches by itself")
        weights = weights or {}
        for name in set(weights) - set(losses):
            raise SettingError(f"weights.{name}", weights[name], "is the weight of no loss here")
        self.losses = nn.ModuleDict(losses)
        self.weights = {
            name: number(f"weights.{name}", weights.get(name, 1.0), at_least=0) for name in losses
        }
        name = max(losses, key=lambda name: losses[name].min_classes)
        self.min_classes = losses[name].min_classes
        self.void = f"its losses.{name} says nothing of its own: {losses[name].void}"
        self.needs_teacher = any(loss.needs_teacher for loss in losses.values())
        self.needs_features = any(loss.needs_features for loss in losses.values())
        self.relates_rows = any(loss.relates_rows for loss in losses.values())

    @property
    def distils(self) -> bool:
        """Whether the teacher has any say in one that counts."""
        return any(loss.distils and self.weights[name] > 0 for name, loss in self._each())

    @property
    def learns_labels(self) -> bool:
        """Whether one that counts has a term of the labels."""
        return any(loss.learns_labels and self.weights[name] > 0 for name, loss in self._each())

    @property
    def layers(self) -> tuple[set[str], set[str]]:
        """Module paths that any of them reads."""
        own, others = zip(*(loss.layers for _, loss in self._each()), strict=True)
        return set().union(*own), set().union(*others)

    def check_student(self, step: Step) -> None:
        """Let each refuse the student's features."""
        for _, loss in self._each():
            loss.check_student(step)

    def connect(self, step: Step, seed: int) -> None:
        """Let each make its own."""
        for _, loss in self._each():
            loss.connect(step, seed)

    def of_step(self, step: Step) -> LossTerms:
        """Every loss's terms."""
        found = LossTerms()
        for name, loss in self._each():
            terms, weight = loss.of_step(step), self.weights[name]
            found.label.update({f"{name}/{k}": weight * v for k, v in terms.label.items()})
            found.teacher.update({f"{name}/{k}": weight * v for k, v in terms.teacher.items()})
        return found

    def _each(self) -> list[tuple[str, DistillationLoss]]:
        return [(n, loss) for n, loss in self.losses.items() if isinstance(loss, DistillationLoss)]
