"""What every arm answered on every split, and what was tried for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddistill.evaluation.members import evaluate_members
from meddistill.inference.model import Model
from meddistill.stack.tables import Table


@dataclass(frozen=True)
class Answers:
    """An arm on one unit, with the try that its validation rows chose.

    Attributes:
        unit: Number of the unit.
        arm: Name of the arm.
        tries: What was tried: settings by flat key.
        scores: [tries, seeds] validation log loss; NaN where training diverged.
        probabilities: [seeds, rows, classes] of the chosen try, for every row of the cohort.
        seconds: Wall-clock time of one fit.
        epochs: [tries, seeds] that students were trained; None of what has no epochs.
        columns: Those that one of the chosen students still reads, where a card forgot others.
        treated: [seeds] what brought the chosen students' answers back, as a run's metrics have it;
            none where no imbalance is treated, an empty one where it took nothing from labels.
        models: The chosen try's, a seed each, where they are asked again and can be.
    """

    unit: int
    arm: str
    tries: Sequence[Mapping[str, Any]]
    scores: NDArray[np.float64]
    probabilities: NDArray[np.float32]
    seconds: float | None = None
    epochs: NDArray[np.int64] | None = None
    columns: Sequence[str] | None = None
    models: Sequence[Model] = ()
    treated: Sequence[Mapping[str, Any]] = ()
    chosen: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "chosen", choose(self.scores))


def choose(scores: NDArray[np.float64]) -> int:
    """The try with the lowest mean validation log loss over seeds, the first of equals.

    A try of which a seed diverged is taken only where all are like that.
    """
    means = scores.mean(axis=1)
    return int(np.argmin(np.where(np.isnan(means), np.inf, means)))


def validation_log_loss(probabilities: NDArray[Any], table: Table) -> NDArray[np.float64]:
    """[models] log loss on the labelled validation rows of [models, rows, classes]."""
    rows = table.data.labelled_validation
    return evaluate_members(probabilities[:, rows], table.data.cohort.target[rows])["log_loss"]
