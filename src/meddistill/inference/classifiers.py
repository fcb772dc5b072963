"""Classifiers of anyone's: checked before anything is trained, fitted, asked, each with words."""

from __future__ import annotations

import logging
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddistill.errors import UserError

log = logging.getLogger(__name__)


def check_classifier(classifier: Any, name: str, key: str) -> None:
    """Refuse what gives no probabilities of classes, or a wrong setting, by a rehearsal.

    Args:
        classifier: As it was built; it is fitted on a few random numbers and asked.
        name: Its class, as the config names it.
        key: Of its node in the config.

    Raises:
        UserError: It says what is wrong.
    """
    from sklearn.utils._param_validation import InvalidParameterError

    if not hasattr(classifier, "fit") or not hasattr(classifier, "predict_proba"):
        raise _no_probabilities(name, key)
    random = np.random.default_rng(0)
    inputs, target = random.normal(size=(60, 6)).astype(np.float32), np.arange(60) % 3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            classifier.fit(inputs, target)
        except InvalidParameterError as error:
            raise UserError(f"{key}: {error}") from error
        except Exception as error:  # what real rows make of it is said when they are fitted
            log.debug("%s was not rehearsed: %s", name, error)
            return
        _check_classes(classifier, f"{key} ({name})")
        try:
            classifier.predict_proba(inputs)
        except AttributeError as error:  # a part of it has none, as it finds out now
            raise _no_probabilities(name, key) from error
        except Exception as error:
            log.debug("%s could not answer in rehearsal: %s", name, error)


def fit_classifier(
    classifier: Any,
    inputs: NDArray[np.float32],
    target: NDArray[np.int64],
    what: str,
    weight: NDArray[np.float64] | None = None,
) -> None:
    """Fit a classifier in place.

    Args:
        classifier: Not fitted.
        inputs: [rows, features].
        target: [rows] class numbers 0, 1, ...
        what: What it is called in messages.
        weight: [rows] how much each counts; None is alike.

    Raises:
        UserError: It can't be fitted to these rows, or is no classifier.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="X does not have valid feature names")
        try:
            more = {} if weight is None else {"sample_weight": weight}
            classifier.fit(inputs, target, **more)
        except (ValueError, TypeError) as error:
            raise UserError(f"{what} can't be fitted: {error}") from error
    _check_classes(classifier, what)


def asked(classifier: Any, inputs: NDArray[np.float32], classes: int) -> NDArray[np.float64]:
    """[rows, classes] probabilities of a fitted classifier.

    Args:
        classifier: Fitted.
        inputs: [rows, features].
        classes: Number of those that it was fitted on.

    Raises:
        UserError: It fails, or what it answers are no such probabilities.
    """
    name = type(classifier).__name__
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="X does not have valid feature names")
        try:
            answers = np.asarray(classifier.predict_proba(inputs), dtype=np.float64)
        except Exception as error:  # whatever a classifier of anyone's makes of these rows
            raise UserError(f"{name} was fitted, but can't answer: {error}") from error
    if answers.shape != (len(inputs), classes):
        raise UserError(
            f"{name} gives numbers of shape {list(answers.shape)} for {len(inputs)} rows, not a "
            f"probability for each of {classes} classes"
        )
    wrong = int((~np.isfinite(answers)).any(axis=1).sum())
    if wrong:
        raise UserError(f"{name} answers NaN or infinity for {wrong} of {len(inputs)} rows")
    return answers


def _no_probabilities(name: str, key: str) -> UserError:
    return UserError(
        f"{key}._target_={name}: has no predict_proba, so it gives no probabilities; wrap it "
        "(sklearn.calibration.CalibratedClassifierCV) or take another"
    )


def _check_classes(classifier: Any, what: str) -> None:
    if not hasattr(classifier, "classes_"):
        raise UserError(
            f"{what} is no classifier: it has no classes_ once it is fitted, so its probabilities "
            "are of something else (of clusters, say)"
        )
