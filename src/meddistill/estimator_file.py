"""scikit-learn-compatible classifiers in a file without pickle, of types listed here alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import skops.io

from meddistill.errors import UserError
from meddistill.files import write_atomically

FILE = "estimator.skops"
TRUSTED: dict[str, tuple[str, ...]] = {
    "arrays": ("collections.OrderedDict", "numpy.dtype", "sklearn.utils._bunch.Bunch"),
    "trees": ("sklearn.tree._tree.Tree",),
    "boosting": ("sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",),
    "calibration": (
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
    ),
    "gaussian process": (
        "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
        "sklearn.gaussian_process.kernels.ConstantKernel",
        "sklearn.gaussian_process.kernels.Matern",
        "sklearn.gaussian_process.kernels.Product",
        "sklearn.gaussian_process.kernels.RBF",
        "sklearn.gaussian_process.kernels.Sum",
        "sklearn.gaussian_process.kernels.WhiteKernel",
    ),
    "neighbours": (
        "sklearn.metrics._dist_metrics.EuclideanDistance64",
        "sklearn.metrics._dist_metrics.ManhattanDistance64",
        "sklearn.metrics._dist_metrics.MinkowskiDistance64",
        "sklearn.neighbors._ball_tree.BallTree",
        "sklearn.neighbors._kd_tree.KDTree",
    ),
    "networks": (
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    ),
    "lightgbm": ("lightgbm.basic.Booster", "lightgbm.sklearn.LGBMClassifier"),
    "xgboost": ("xgboost.core.Booster", "xgboost.sklearn.XGBClassifier"),
}
"""By kind of classifier, the types in a fitted one that skops doesn't trust by itself.

None of them runs code when it is read: they hold numbers, and xgboost and lightgbm parse a model.
"""


def untrusted_types(content: bytes) -> list[str]:
    """Types in a classifier as skops dumped it that a folder's reader would refuse."""
    known = {name for names in TRUSTED.values() for name in names}
    return sorted(set(skops.io.get_untrusted_types(data=content)) - known)


def dump_estimator(estimator: Any) -> bytes:
    """A classifier as skops writes it.

    Raises:
        UserError: skops can't write it, or it holds types that `load_estimator` refuses.
    """
    name = f"{type(estimator).__module__}.{type(estimator).__qualname__}"
    try:
        content: bytes = skops.io.dumps(estimator)
        unknown = untrusted_types(content)
    except Exception as error:  # skops raises what the object's own reduction raises
        raise UserError(f"{name} can't be stored without pickle: {error}; {MEND}") from error
    if unknown:
        raise UserError(
            f"{name} can't be stored without pickle: it holds {', '.join(unknown)}, which no "
            f"reader of a model's folder trusts; {MEND}"
        )
    return content


MEND = (
    "take another classifier, or teach by its answers alone (write its probabilities to a file, "
    "teacher=scores)"
)


def save_estimator(folder: Path, estimator: Any) -> None:
    """Write a fitted classifier with skops, whole or not at all."""
    write_atomically(folder / FILE, dump_estimator(estimator))


def load_estimator(path: Path) -> Any:
    """Read what `save_estimator` wrote; other types than those of `TRUSTED` are refused.

    Raises:
        ValueError: The file holds other types, or needs a library that is not installed.
    """
    content = path.read_bytes()
    unknown = untrusted_types(content)
    if unknown:
        raise ValueError(f"{path} holds types that no known classifier has: {', '.join(unknown)}")
    try:
        return skops.io.loads(content, trusted=skops.io.get_untrusted_types(data=content))
    except ImportError as error:
        raise ValueError(f"{path} needs a library that is not installed ({error})") from error
