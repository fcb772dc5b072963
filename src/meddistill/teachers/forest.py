"""A random forest: strong on tables, trained in a second."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from meddistill.errors import SettingError, integer, number
from meddistill.teachers.estimator import EstimatorTeacher

MAX_FEATURES = ("sqrt", "log2")


class ForestTeacher(EstimatorTeacher):
    """scikit-learn's random forest (Breiman 2001, Machine Learning 45).

    Args:
        trees: Number of trees.
        min_samples_leaf: Fewest rows in a leaf; more of them make softer answers.
        max_features: Share of the inputs tried at a split, `sqrt` or `log2` of their number; None
            tries all.
        clamp: Lowest probability it answers; the forest itself answers exact zeros.
        seed: Of rows and inputs drawn, and of the folds.
        labels: Share of training rows whose labels the teacher's site has.
        out_of_fold: As for any estimator; None is yes.
        folds: Number of folds.
        calibrate: As for any estimator.
        preprocessing: As for any estimator.
        missing: As for any estimator.
        imbalance: As for any estimator.
    """

    def __init__(
        self,
        trees: int = 300,
        min_samples_leaf: int = 2,
        max_features: str | float | None = "sqrt",
        clamp: float = 1e-3,
        seed: int = 0,
        labels: float = 1.0,
        out_of_fold: bool | None = None,
        folds: int = 5,
        calibrate: str | None = None,
        preprocessing: Mapping[str, Any] | None = None,
        missing: Mapping[str, Any] | None = None,
        imbalance: Mapping[str, Any] | None = None,
    ) -> None:
        node = {
            "_target_": "sklearn.ensemble.RandomForestClassifier",
            "n_estimators": integer("trees", trees, at_least=1),
            "min_samples_leaf": integer("min_samples_leaf", min_samples_leaf, at_least=1),
            "max_features": _max_features(max_features),
            "n_jobs": 1,
        }
        super().__init__(
            node, clamp, seed, labels, out_of_fold, folds, calibrate, preprocessing,
            missing=missing, imbalance=imbalance,
        )  # fmt: skip

    def check(self) -> None:
        """A forest is known to answer and to be stored."""


def _max_features(value: str | float | None) -> str | float | None:
    if isinstance(value, str) and value not in MAX_FEATURES:
        mend = f"must be {', '.join(MAX_FEATURES)}, null (all) or a share above 0 and at most 1"
        raise SettingError("max_features", value, mend)
    if value is None or isinstance(value, str):
        return value
    return number("max_features", value, above=0, at_most=1)
