"""The best epoch of each member, and which members are still running."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from meddistill.stack.network import StackedNetwork

STATE = ("score", "epoch", "epochs", "running", "wanting", "weights")


class BestMembers:
    """What `BestEpoch` is to one student, for M.

    Args:
        weights: The first weights, [M, ...] by name.
        patience: Epochs without a better value after which a member stops.
        min_epochs: Epochs that every member trains at least.
        frozen: First epochs in which some layers are frozen: patience counts from their end.

    Attributes:
        score: [M] lowest validation log loss; NaN where it was never finite.
        epoch: [M] its epoch, counted from 1; 0 where there is none.
        epochs: [M] epochs trained.
        running: [M] whether the member trains on.
        wanting: [M] whether it stops as soon as `min_epochs` are over.
        weights: [M, ...] by name, of the best epoch.
    """

    def __init__(
        self, weights: dict[str, Tensor], patience: int, min_epochs: int = 0, frozen: int = 0
    ) -> None:
        count = len(next(iter(weights.values())))
        self.patience, self.min_epochs, self.frozen = patience, min_epochs, frozen
        self.weights = {name: value.clone() for name, value in weights.items()}
        self.score = torch.full((count,), torch.nan)
        self.epoch = torch.zeros(count, dtype=torch.int64)
        self.epochs = torch.zeros(count, dtype=torch.int64)
        self.running = torch.ones(count, dtype=torch.bool)
        self.wanting = torch.zeros(count, dtype=torch.bool)

    def update(self, members: Tensor, score: Tensor, network: StackedNetwork, epoch: int) -> None:
        """Compare an epoch's scores.

        Args:
            members: Numbers of those in the stack, ascending.
            score: [those members] validation log loss.
            network: Their present weights.
            epoch: Counted from 1.
        """
        better = score.isfinite() & ~(score >= self.score[members]) & self.running[members]
        if better.any():
            to, source = members[better], better.nonzero().squeeze(1)
            self.score[to], self.epoch[to] = score[better], epoch
            for name, value in network.tensors().items():
                best = self.weights[name]
                best[to.to(best.device)] = value[source.to(best.device)]
        self.wanting |= epoch - self.epoch.clamp(min=self.frozen) >= self.patience

    def end(self, epoch: int) -> None:
        """Let those that may, train no further after `epoch` epochs."""
        self.epochs[self.running] = epoch
        if epoch >= self.min_epochs:
            self.stop(self.wanting)

    def stop(self, members: Tensor) -> None:
        """Let the members of the mask [M] train no further."""
        self.running &= ~members

    def to(self, device: torch.device) -> None:
        """Take the weights to `device`."""
        self.weights = {name: value.to(device) for name, value in self.weights.items()}

    def state_dict(self) -> dict[str, Any]:
        """For the training state."""
        return {name: getattr(self, name) for name in STATE}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a training state."""
        for name in STATE:
            setattr(self, name, state[name])
