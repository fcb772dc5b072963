"""A random forest: strong on tables, trained in a second."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from meddistill.data.cohort import Cohort
from meddistill.data.datamodule import CohortDataModule
from meddistill.data.split import Split
from meddistill.errors import SettingError, integer, number
from meddistill.estimator import FILE, save_estimator
from meddistill.model import ESTIMATOR, Card, save_card
from meddistill.teachers.base import Teacher

MAX_FEATURES = ("sqrt", "log2")


class ForestTeacher(Teacher):
    """scikit-learn's random forest (Breiman 2001, Machine Learning 45) on labelled training rows.

    Validation rows are not fitted: they stay for choosing and for early stopping. Its answers on
    rows that it was trained on are nearer to their labels than on others.

    Args:
        trees: Number of trees.
        min_samples_leaf: Fewest rows in a leaf; more of them make softer answers.
        max_features: Share of the inputs tried at a split, `sqrt` or `log2` of their number; None
            tries all.
        clamp: Lowest probability it answers; the forest itself answers exact zeros.
        seed: Of rows and inputs drawn.
        labels: Share of training rows whose labels the teacher's site has.
    """

    def __init__(
        self,
        trees: int = 300,
        min_samples_leaf: int = 2,
        max_features: str | float | None = "sqrt",
        clamp: float = 1e-3,
        seed: int = 0,
        labels: float = 1.0,
    ) -> None:
        self.trees = integer("trees", trees, at_least=1)
        self.min_samples_leaf = integer("min_samples_leaf", min_samples_leaf, at_least=1)
        self.max_features = _max_features(max_features)
        self.clamp = number("clamp", clamp, above=0, at_most=0.1)
        self.seed = integer("seed", seed)
        self.labels = number("labels", labels, above=0, at_most=1)

    @property
    def live(self) -> bool:
        """No: trees are no torch code, and asking them in every step would rule the run's time."""
        return False

    def identity(self) -> dict[str, Any]:
        """All of its settings."""
        return {"forest": dict(vars(self))}

    def fit(self, cohort: Cohort, split: Split, folder: Path, trainer: Mapping[str, Any]) -> None:
        """Fit it on the labelled training rows."""
        data = CohortDataModule(cohort, split, labels=self.labels)
        rows = split.train[data.labelled[split.train]]
        forest = RandomForestClassifier(
            self.trees, min_samples_leaf=self.min_samples_leaf, max_features=self.max_features,
            random_state=self.seed, n_jobs=1,
        )  # fmt: skip
        forest.fit(*_with_every_class(data.inputs.numpy()[rows], cohort.target[rows], data))
        save_estimator(folder, forest)
        data.save_preprocessing(folder)
        save_card(folder, Card.of({}, [FILE], data, ESTIMATOR, self.clamp))


def _max_features(value: str | float | None) -> str | float | None:
    if isinstance(value, str) and value not in MAX_FEATURES:
        mend = f"must be {', '.join(MAX_FEATURES)}, null (all) or a share above 0 and at most 1"
        raise SettingError("max_features", value, mend)
    if value is None or isinstance(value, str):
        return value
    return number("max_features", value, above=0, at_most=1)


def _with_every_class(
    inputs: NDArray[np.float32], target: NDArray[np.int64], data: CohortDataModule
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float64]]:
    """Rows, their classes and weights; a class that no row has gets one of weight 0.

    scikit-learn answers for the classes it was given: without such a row a class would have no
    column, and the columns behind it would be another class's.
    """
    absent = np.setdiff1d(np.arange(data.num_classes), target)
    empty = np.zeros((len(absent), inputs.shape[1]), dtype=np.float32)
    weights = np.repeat([1.0, 0.0], [len(target), len(absent)])
    return np.concatenate([inputs, empty]), np.concatenate([target, absent]), weights
