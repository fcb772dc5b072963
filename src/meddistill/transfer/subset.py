"""A student that starts from a part of its teacher (`init=subset`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from torch import nn

from meddistill.errors import SettingError, UserError, integer, number, optional_integer
from meddistill.transfer.choose import Chooser
from meddistill.transfer.matching import Matcher
from meddistill.transfer.plan import Line, Mask, Transfer, norms_of
from meddistill.transfer.wiring import Wiring

HALVINGS = 12
"""Of the interval in which the share of units lies that makes a share of the parameters."""


class Subset:
    """Each of the student's layers takes a part of one of the teacher's.

    Weight selection (Xu et al. 2024, arXiv:2311.18823). Units go as a whole: what a layer takes of
    its inputs are the units that were taken of the layers before.

    Args:
        choose: Which units: `random`, `uniform` (evenly spaced) or `largest` (by norm).
        seed: Of `random`; None goes by the student's own.
        share: Of the student's parameters that correspond to some of the teacher's; the rest keeps
            its own first weights.
        member: Number of the network, where the teacher is several.
        scale: Whether a weight grows by the square root of how much fewer numbers its unit sums.
        layers: By a student's layer the teacher's that it has its part of, where that is not the
            one that is found; None leaves it its own first weights.
        freeze_epochs: Epochs in which layers of which some units are taken stay as they are, whole,
            but for the last one.

    Raises:
        SettingError: A setting is out of its range.
    """

    def __init__(
        self,
        choose: str = "random",
        seed: int | None = None,
        share: float = 1.0,
        member: int = 0,
        scale: bool = False,
        layers: Mapping[str, str | None] | None = None,
        freeze_epochs: int = 0,
    ) -> None:
        self.seed = optional_integer("seed", seed)
        self.chooser = Chooser(choose, seed or 0)
        if seed is not None and choose != "random":
            raise SettingError("seed", seed, f"choose={choose} draws nothing by it: leave it null")
        self.share = number("share", share, above=0, at_most=1)
        self.member = integer("member", member)
        if not isinstance(scale, bool):
            raise SettingError("scale", scale, "must be true or false")
        self.scale, self.layers = scale, dict(layers or {})
        self.freeze_epochs = integer("freeze_epochs", freeze_epochs)

    def start(
        self, student: nn.Module, own: Wiring, teacher: nn.Module, others: Wiring, seed: int = 0
    ) -> list[Line]:
        """Give a student's layers their parts of a teacher's; what was taken, layer by layer.

        Args:
            student: With its own first weights.
            own: How units run through it.
            teacher: One network, which reads what the student reads.
            others: How units run through it.
            seed: The student's.

        Raises:
            UserError: Layers don't correspond.
        """
        state = {name: tensor.detach().cpu() for name, tensor in teacher.state_dict().items()}
        norms = norms_of(others, state)
        chooser = replace(self.chooser, seed=seed if self.seed is None else self.seed)
        matcher = Matcher(own, others, norms, chooser)
        transfer = Transfer(
            own, student.state_dict(), state, matcher.matches(self.layers), self.scale
        )  # fmt: skip
        if self.share < 1:
            taken = {unit: norms[other] for unit, other in matcher.of.items()}
            self._leave_some(transfer, taken, chooser)
        lines = transfer.lines()
        self._refuse(lines, matcher.alike)
        student.load_state_dict(transfer.state())
        return lines

    def _refuse(self, lines: Sequence[Line], alike: bool) -> None:
        """Refuse layers without a part of a teacher's that should have one, and to freeze nothing.

        Where the networks have other kinds of layers, it can't be but that some have none.
        """
        lacking = [line for line in lines if line.teacher is None and line.layer not in self.layers]
        reasons = "; ".join(f"{line.layer}: {line.reason}" for line in lacking[:5])
        if all(line.layer in self.layers and line.teacher is None for line in lines):
            mend = "leaves every layer its own first weights: leave one out, or take init=scratch"
            raise SettingError("init.layers", self.layers, mend)
        if not any(line.numbers for line in lines):
            raise UserError(
                f"init=subset: no layer of the student takes a part of the teacher ({reasons}); "
                "take a teacher and a student of one kind, or init=scratch"
            )
        if lacking and alike:
            none = ",".join(f"{line.layer}:null" for line in lacking)
            raise UserError(
                f"init=subset: not every layer of the student has a part of the teacher's "
                f"({reasons}); take another student, or leave these layers their own first weights "
                f"('init.layers={{{none}}}')"
            )
        if self.freeze_epochs and not any(line.freezable for line in lines):
            mend = "only the layer that gives the classes is taken, and that one always learns"
            raise SettingError("init.freeze_epochs", self.freeze_epochs, f"{mend}: leave it 0")

    def _leave_some(self, transfer: Transfer, norms: Mapping[int, float], chooser: Chooser) -> None:
        """Leave as many units their own first weights as makes the share of the parameters."""
        wanted, low, high = self.share * transfer.numbers(), 0.0, 1.0
        found: dict[float, int] = {}
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            transfer.kept = _kept(transfer, middle, norms, chooser)
            found[middle] = transfer.numbers()
            low, high = (middle, high) if found[middle] < wanted else (low, middle)
        nearest = min(found, key=lambda share: abs(found[share] - wanted))
        transfer.kept = _kept(transfer, nearest, norms, chooser)


def _kept(transfer: Transfer, share: float, norms: Mapping[int, float], chooser: Chooser) -> Mask:
    """By label whether a unit is taken, a share of each layer's."""
    kept = np.ones_like(transfer.kept)
    for place, units in enumerate(transfer.spaces):
        count = round(share * len(units))
        every = [norms[unit] for unit in units.tolist()]
        kept[units] = False
        kept[units[chooser(count, every, "share", place)]] = True
    return kept
