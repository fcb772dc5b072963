"""scikit-learn classifiers that answer as networks do, stored without pickle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import skops.io
import torch
from torch import Tensor, nn

from meddistill.errors import UserError
from meddistill.files import write_atomically

FILE = "estimator.skops"
TRUSTED = ("numpy.dtype", "sklearn.tree._tree.Tree")
"""Types in a fitted forest that skops doesn't trust by itself."""


class EstimatorAnswers(nn.Module):
    """A fitted classifier: inputs -> log-probabilities.

    Trees answer exact zeros, whose logarithm would decide every soft target: probabilities are
    raised to `clamp` and normalised again.

    Args:
        estimator: Its classes are the numbers 0, 1, ... of all classes.
        clamp: Lowest probability, above 0.
    """

    def __init__(self, estimator: Any, clamp: float) -> None:
        super().__init__()
        self.estimator, self.clamp = estimator, clamp

    def forward(self, inputs: Tensor) -> Tensor:
        """[batch, features] -> log-probabilities [batch, classes] in nats."""
        answers = self.estimator.predict_proba(inputs.cpu().numpy())
        probabilities = torch.from_numpy(np.asarray(answers, dtype=np.float64))
        return clamped_log(probabilities, self.clamp).to(inputs.device)

    @property
    def num_nodes(self) -> int:
        """Nodes of all trees."""
        trees = getattr(self.estimator, "estimators_", [self.estimator])
        return int(sum(tree.tree_.node_count for tree in trees))

    def parts(self) -> list[EstimatorAnswers]:
        """A forest's trees."""
        trees = getattr(self.estimator, "estimators_", [])
        return [EstimatorAnswers(tree, self.clamp) for tree in trees]


class NoAnswers(nn.Module):
    """In place of a model that is only a file of answers."""

    def forward(self, inputs: Tensor) -> Tensor:
        """There is nothing that could answer.

        Raises:
            UserError: Always.
        """
        raise UserError(
            "this teacher is a file of scores (teacher=scores): it has answers for its own rows "
            "alone and can't be asked for others"
        )


def clamped_log(probabilities: Tensor, clamp: float) -> Tensor:
    """Logarithm of [rows, classes] probabilities, none below `clamp` before they are normalised."""
    raised = probabilities.clamp(min=clamp)
    return (raised / raised.sum(dim=-1, keepdim=True)).log()


def save_estimator(folder: Path, estimator: Any) -> None:
    """Write a fitted classifier with skops, whole or not at all."""
    write_atomically(folder / FILE, skops.io.dumps(estimator))


def load_estimator(path: Path) -> Any:
    """Read what `save_estimator` wrote; other types than a forest's are refused.

    Raises:
        ValueError: The file holds other types.
    """
    unknown = sorted(set(skops.io.get_untrusted_types(file=path)) - set(TRUSTED))
    if unknown:
        raise ValueError(f"{path} holds types that no forest has: {', '.join(unknown)}")
    return skops.io.load(path, trusted=list(TRUSTED))
