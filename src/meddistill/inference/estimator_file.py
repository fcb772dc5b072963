"""scikit-learn-compatible classifiers in a file without pickle, of types listed here alone."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from meddistill.errors import UserError
from meddistill.files.atomic import write_atomically
from meddistill.files.model_files import check_archive

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
DATA = {
    "BytesNode", "BytearrayNode", "CachedNode", "DefaultDictNode", "DictNode", "JsonNode",
    "ListNode", "LossNode", "MaskedArrayNode", "NdArrayNode", "ObjectNode", "RandomGeneratorNode",
    "RandomStateNode", "ReduceNode", "SetNode", "SliceNode", "SparseMatrixNode", "TreeNode",
    "TupleNode", "TypeNode",
}  # fmt: skip
"""How skops describes data: neither functions, methods and operators, nor parts of these."""
CALLS = ("FunctionTransformer",)
"""Classes of scikit-learn that call what they hold."""


def untrusted_types(content: bytes) -> list[str]:
    """Types in a classifier as skops dumped it that a folder's reader would refuse.

    skops trusts functions and methods of scikit-learn, numpy and scipy by itself; a classifier
    needs none, and one that is called when it answers could do what nobody expects of it.
    """
    import skops.io  # with it comes all of scikit-learn: not for a model that is a network

    known = {name for names in TRUSTED.values() for name in names}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        nodes = list(_nodes(json.loads(archive.read("schema.json"))))
    strange = {
        f"{node.get('__module__')}.{node.get('__class__')} ({node.get('__loader__')})"
        for node in nodes
        if node.get("__loader__") not in DATA or node.get("__class__") in CALLS
    }
    return sorted(strange or set(skops.io.get_untrusted_types(data=content)) - known)


def attributes(content: bytes) -> set[str]:
    """Names of all attributes of a classifier and of what it holds, as skops dumped it."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        nodes = _nodes(json.loads(archive.read("schema.json")))
    contents = (node.get("content") for node in nodes)
    return {key for each in contents if isinstance(each, dict) for key in each}


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Every description of an object in what skops wrote, without recursion."""
    left = [value]
    while left:
        each = left.pop()
        if isinstance(each, dict):
            if "__loader__" in each or "__class__" in each:
                yield each
            left += each.values()
        elif isinstance(each, list):
            left += each


def dump_estimator(estimator: Any) -> bytes:
    """A classifier as skops writes it.

    Raises:
        UserError: skops can't write it, or it holds types that `load_estimator` refuses.
    """
    import skops.io

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


MEND = "take another classifier, or teach by its answers alone (teacher.keep=answers)"


def save_estimator(folder: Path, estimator: Any) -> None:
    """Write a fitted classifier with skops, whole or not at all."""
    write_atomically(folder / FILE, dump_estimator(estimator))


def load_estimator(content: bytes, name: str) -> Any:
    """Read what `save_estimator` wrote; other types than those of `TRUSTED` are refused.

    Args:
        content: The file's bytes.
        name: The file's name, for messages.

    Raises:
        ValueError: The file holds other types, or needs a library that is not installed.
    """
    check_archive(content, name)
    try:
        unknown = untrusted_types(content)
    except Exception as error:  # skops raises whatever a damaged schema makes it raise
        raise ValueError(f"{name!r} is damaged, or no file of a classifier: {error}") from error
    if unknown:
        raise ValueError(f"{name!r} holds types that no known classifier has: {', '.join(unknown)}")
    try:
        import skops.io

        return skops.io.loads(content, trusted=skops.io.get_untrusted_types(data=content))
    except ImportError as error:
        raise ValueError(f"{name!r} needs a library that is not installed ({error})") from error
    except Exception as error:
        raise ValueError(f"{name!r} is damaged, or no file of a classifier: {error}") from error
