"""An inner search over a loss's settings on validation rows, by successive halving."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from meddistill.errors import UserError
from meddistill.losses.base import Searched
from meddistill.seeding import derive
from meddistill.stack.alone import why_alone
from meddistill.stack.fit import Recipe, Student, fit_stack
from meddistill.stack.plan import numbers
from meddistill.stack.starts import FirstNetworks
from meddistill.stack.tables import Table

log = logging.getLogger(__name__)


@dataclass
class Halving:
    """Which settings go on: after `epochs` epochs one in `eta`, then after `eta` times as many.

    Args:
        settings: Number of settings.
        seeds: Students a setting; the members of a setting lie side by side.
        epochs: Epochs before the first halving.
        eta: Of the settings one in eta goes on.
    """

    settings: int
    seeds: int
    epochs: int
    eta: int
    alive: Tensor = field(init=False)

    def __post_init__(self) -> None:
        self.alive = torch.ones(self.settings, dtype=torch.bool)
        self._next = self.epochs

    def __call__(self, done: int, score: Tensor) -> Tensor:
        """Members that may go on, from epochs done and best log loss [settings * seeds]."""
        if done >= self._next and self.alive.sum() > 1:
            self._next *= self.eta
            keep = -(-int(self.alive.sum()) // self.eta)
            self.alive[self.means(score).argsort(stable=True)[keep:]] = False
        return self.alive.repeat_interleave(self.seeds)

    def state_dict(self) -> dict[str, Any]:
        """Which settings go on, and when that is next asked."""
        return {"alive": self.alive.clone(), "next": self._next}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state_dict`."""
        self.alive, self._next = state["alive"].clone(), state["next"]

    def means(self, score: Tensor) -> Tensor:
        """[settings] mean over seeds; infinite where one diverged or the setting was dropped."""
        means = score.view(self.settings, self.seeds).mean(dim=1)
        return torch.where(self.alive & means.isfinite(), means, torch.inf)


def search(
    loss: Searched, settings: Mapping[str, Any], table: Table, folder: Path
) -> dict[str, Any]:
    """Find the settings of a loss for one student.

    Args:
        loss: What is searched.
        settings: The student's resolved config.
        table: Its rows, with the teacher's answers, and its teacher.
        folder: Of the training state.

    Returns:
        `node` (config node of the loss found), `setting`, `settings` (how many were tried),
        `epochs` (of all students together) and `seconds`.

    Raises:
        UserError: Such students can't be stacked.
    """
    candidates = loss.candidates()
    node = loss.node(candidates[0])
    reason = why_alone({**settings, "loss": node}, table.data)
    if reason:
        raise UserError(f"{type(loss).__name__}: its search trains a stack, and {reason}")
    recipe = Recipe(
        settings["student"],
        node,
        settings["optimizer"],
        settings["trainer"],
        settings["patience"],
        settings["scheduler"],
    )
    students = [
        Student(
            0, derive(settings["seed"], "search", k), setting, numbers(settings["optimizer"]),
            settings["imbalance"],
        )
        for setting in candidates
        for k in range(loss.seeds)
    ]  # fmt: skip
    own = [({**settings, "seed": student.seed}, table) for student in students]
    first = FirstNetworks(own, folder)
    halving = Halving(len(candidates), loss.seeds, loss.epochs, loss.eta)
    fitted = fit_stack(  # short: saved only when it is told to stop
        recipe, students, [table.data], folder, networks=first.networks, freeze=first.freeze,
        save_seconds=float("inf"), halt=halving,
    )  # fmt: skip
    best = int(halving.means(torch.from_numpy(fitted.score)).argmin())
    found = {
        "node": loss.node(candidates[best]),
        "setting": candidates[best],
        "settings": len(candidates),
        "epochs": int(fitted.epochs.sum()),
        "seconds": fitted.seconds,
    }
    log.info(
        "search: %s of %d settings x %d students (%d epochs in all, %.1f s)",
        ", ".join(f"{name} {value:g}" for name, value in candidates[best].items()),
        len(candidates), loss.seeds, found["epochs"], fitted.seconds,
    )  # fmt: skip
    return found
