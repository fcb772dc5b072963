"""scikit-learn-compatible classifiers that answer as networks do."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from meddistill.inference.classifiers import asked
from meddistill.inference.model import PreparedModel

SUB_FORESTS, OF_EACH_SIZE = (1, 3, 10, 30), 10
"""Trees of the small forests that a forest is pruned to, and how many are tried of each size."""


class EstimatorAnswers(nn.Module):
    """A fitted classifier: inputs -> log-probabilities.

    Trees answer exact zeros, whose logarithm would decide every soft target: probabilities are
    raised to `clamp` and normalised again, and then tempered.

    Args:
        estimator: Its classes are the numbers 0, 1, ... of `columns`.
        clamp: Lowest probability before the temperature, above 0.
        num_classes: Number of all classes.
        columns: Class number of each of its columns; none is every class in order. Classes that
            its rows did not have get the lowest probability.
        temperature: Divides the log-probabilities before they are normalised.
        batch_rows: Rows that it is asked for at once, at most; None is as they come.
        shift: [classes] by which its weighed rows bend its log-probabilities, which is taken out
            before the temperature; none is by nothing.
    """

    def __init__(
        self,
        estimator: Any,
        clamp: float,
        num_classes: int,
        columns: Sequence[int] = (),
        temperature: float = 1.0,
        batch_rows: int | None = None,
        shift: Sequence[float] = (),
    ) -> None:
        super().__init__()
        self.batch_rows, self.shift = batch_rows, list(shift)
        self.estimator, self.clamp, self.temperature = estimator, clamp, temperature
        self.num_classes, self.columns = num_classes, list(columns) or list(range(num_classes))

    def forward(self, inputs: Tensor) -> Tensor:
        """[batch, features] -> log-probabilities [batch, classes] in nats."""
        parts = torch.split(inputs.cpu(), self.batch_rows or max(1, len(inputs)))
        answers = [asked(self.estimator, part.numpy(), len(self.columns)) for part in parts]
        probabilities = np.zeros((len(inputs), self.num_classes))
        probabilities[:, self.columns] = np.concatenate(answers)
        found = clamped_log(torch.from_numpy(probabilities), self.clamp)
        if self.shift:
            found = (found - torch.tensor(self.shift, dtype=found.dtype)).log_softmax(dim=-1)
        return tempered(found, self.temperature).to(inputs.device)

    @property
    def num_parameters(self) -> int | None:
        """Nodes of all trees, or coefficients; None where they can't be counted."""
        return parameters_of(self.estimator)

    def parts(self) -> list[EstimatorAnswers]:
        """A forest's trees, whose mean it is; no other classifier has parts."""
        return [self._part(tree) for tree in self._trees()]

    def sub_forests(self) -> list[EstimatorAnswers]:
        """Small forests of a forest's trees, the first few of each size; none of another kind."""
        trees = self._trees()
        return [
            self._part(_forest_of(self.estimator, trees[first : first + size]))
            for size in SUB_FORESTS
            if size < len(trees)
            for first in range(0, min(size * OF_EACH_SIZE, len(trees) - size + 1), size)
        ]

    @property
    def num_trees(self) -> int:
        """Trees of a forest; 0 of another kind."""
        return len(self._trees())

    def _trees(self) -> list[Any]:
        from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier

        is_forest = isinstance(self.estimator, (RandomForestClassifier, ExtraTreesClassifier))
        return list(self.estimator.estimators_) if is_forest else []

    def _part(self, estimator: Any) -> EstimatorAnswers:
        return EstimatorAnswers(
            estimator, self.clamp, self.num_classes, self.columns, shift=self.shift
        )


class EstimatorModel(PreparedModel):
    """A fitted classifier; `network` is an `EstimatorAnswers`."""

    @property
    def answers(self) -> EstimatorAnswers:
        """What answers."""
        return cast(EstimatorAnswers, self.network)

    @property
    def num_parameters(self) -> int:
        """Nodes of all trees, or coefficients; 0 where they can't be counted."""
        return self.answers.num_parameters or 0

    @property
    def num_trees(self) -> int:
        """Trees of a forest; 0 of another kind."""
        return self.answers.num_trees

    def parts(self) -> list[EstimatorModel]:
        """A forest's trees."""
        trees = self.answers.parts()
        return self._with(trees if len(trees) > 1 else [])

    def pruned(self) -> list[EstimatorModel]:
        """Small forests of a forest's trees."""
        return self._with(self.answers.sub_forests())

    def _with(self, answers: Sequence[EstimatorAnswers]) -> list[EstimatorModel]:
        return [EstimatorModel(self.card, each, self.preprocessing) for each in answers]

    def size(self) -> dict[str, Any]:
        """Parameters where they can be counted, and bytes of its file."""
        import skops.io

        return {
            "parameters": self.answers.num_parameters,
            "bytes": len(skops.io.dumps(self.answers.estimator)),
            "multiply_adds": None,
        }


def _forest_of(forest: Any, trees: Sequence[Any]) -> Any:
    """The forest that has only these of its trees."""
    small = copy.copy(forest)
    small.estimators_, small.n_estimators = list(trees), len(trees)
    return small


def clamped_log(probabilities: Tensor, clamp: float) -> Tensor:
    """Logarithm of [rows, classes] probabilities, none below `clamp` before they are normalised."""
    raised = probabilities.clamp(min=clamp)
    return (raised / raised.sum(dim=-1, keepdim=True)).log()


def tempered(log_probabilities: Tensor, temperature: float) -> Tensor:
    """softmax(log p / T) of [rows, classes], as log-probabilities; unchanged at T = 1."""
    if temperature == 1:
        return log_probabilities
    return (log_probabilities / temperature).log_softmax(dim=-1)


def parameters_of(estimator: Any) -> int | None:
    """Coefficients and intercepts of a linear model, nodes of trees; None of any other."""
    if hasattr(estimator, "tree_"):
        return int(estimator.tree_.node_count)
    if hasattr(estimator, "coef_") and hasattr(estimator, "intercept_"):
        return int(np.size(estimator.coef_) + np.size(estimator.intercept_))
    if hasattr(estimator, "_predictors"):  # histogram gradient boosting has no public list
        trees = [tree for stage in estimator._predictors for tree in stage]
        return int(sum(len(tree.nodes) for tree in trees))
    if hasattr(estimator, "estimators_"):
        members = np.ravel(np.asarray(estimator.estimators_, dtype=object))
        counts = [parameters_of(member) for member in members]
        return None if None in counts else sum(count for count in counts if count is not None)
    return None
