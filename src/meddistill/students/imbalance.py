"""A student whose classes are out of balance: what can be asked of it, and what it came to."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddistill.config.compose import choice_name
from meddistill.data.datamodule import CohortDataModule
from meddistill.errors import SettingError
from meddistill.evaluation.calibration import apply_temperature, fit_temperature
from meddistill.losses import DistillationLoss
from meddistill.losses.building import build_loss
from meddistill.losses.choice import loss_name
from meddistill.losses.imbalance import Imbalance, Sampler, build_imbalance
from meddistill.losses.treated import treatment_by

log = logging.getLogger(__name__)


def check_imbalance(settings: Mapping[str, Any], loss: DistillationLoss, in_sweep: bool) -> None:
    """Refuse what no label's term of the loss would show.

    In a sweep others may have one, and a student that has none is trained without it.
    """
    made = build_imbalance(settings["imbalance"])
    if made is not None:
        _check_cost(settings["threshold"], made)
    if made is None or isinstance(made, Sampler) or loss.ever_learns_labels:
        return
    name, why = choice_name(settings["imbalance"]), (
        f"loss={loss_name(loss)} takes nothing from the labels as it is set (such as loss.alpha=1) "
        "or has a term of its own for them, so there is nothing to treat"
    )  # fmt: skip
    if not in_sweep:
        raise SettingError("imbalance", name, f"{why}: take imbalance=none or sampler")
    log.info("imbalance=%s: %s", name, why)


def _check_cost(threshold: float | str, made: Imbalance) -> None:
    """Refuse a threshold by costs for answers of another prior: it is one for true risks."""
    if str(threshold).startswith("cost:") and not made.correct:
        mend = (
            "is for answers of the true prior, and these are left bent: leave imbalance.correct at "
            "true, or take another threshold"
        )
        raise SettingError("threshold", threshold, mend)


def brought_back(
    settings: Mapping[str, Any], data: CohortDataModule, probabilities: NDArray[np.float32]
) -> tuple[NDArray[np.float32], dict[str, Any]]:
    """A student's answers [rows, classes] as they are given, and what `metrics.json` says of it.

    What labels of another prior do is undone in training itself; of the focal loss there is a
    temperature, fitted on labelled validation rows. Nothing is said where no label is treated, as
    with `loss.alpha=1`.
    """
    if not settings["imbalance"]:
        return probabilities, {}
    treatment = treatment_by(build_loss(settings["loss"]), settings["imbalance"], data)
    if treatment is None or treatment.is_plain:
        return probabilities, {}
    temperature = 1.0
    if treatment.calibrates and np.isfinite(probabilities).all():
        rows = data.labelled_validation
        with np.errstate(divide="ignore"):
            held = np.log(probabilities[rows].astype(np.float64))
        temperature = fit_temperature(held, data.cohort.target[rows])
        probabilities = apply_temperature(probabilities.astype(np.float64), temperature).astype(
            np.float32
        )
    return probabilities, {"imbalance": {
        "how": choice_name(settings["imbalance"]),
        "bend": treatment.bend.tolist(),
        "left": treatment.left.tolist(),
        "temperature": temperature,
    }}  # fmt: skip
