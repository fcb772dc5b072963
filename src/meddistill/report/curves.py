"""ROC, precision-recall, reliability and decision curves of models that answered the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meddistill.evaluation.calibration import reliability
from meddistill.evaluation.decision import net_benefit, treat_all
from meddistill.evaluation.operating import precision_recall, roc
from meddistill.report.classes import per_class_auroc
from meddistill.report.page import Plot
from meddistill.report.plots import (
    classes_plot,
    curves_plot,
    decision_plot,
    reliability_plot,
)

Numbers = NDArray[np.float64]
THRESHOLDS = np.linspace(0.01, 0.8, 80)


@dataclass(frozen=True)
class Answered:
    """A model's answers.

    Args:
        label: Its name.
        number: Its style in all plots.
        probabilities: [rows, classes].
        target: [rows] class numbers.
    """

    label: str
    number: int
    probabilities: Numbers
    target: NDArray[np.int64]


def curves(models: Sequence[Answered], classes: Sequence[str], name: str, rows: str) -> list[Plot]:
    """The plots that fit two classes, or more.

    Args:
        models: What is drawn; nothing where their rows are of one class.
        classes: Names; the second of two is the positive one.
        name: Ends the figures' ids.
        rows: A sentence on which rows these are.
    """
    if not models or all(len(np.unique(model.target)) == 1 for model in models):
        return []  # curves are of one class against another
    if len(classes) == 2:
        return _for_two_classes(models, classes[1], name, rows)
    return _for_more_classes(models, classes, name, rows)


def _for_two_classes(models: Sequence[Answered], positive: str, name: str, rows: str) -> list[Plot]:
    rocs, precisions, reliable, benefits = [], [], [], []
    for model in models:
        head, score, ill = (model.label, model.number), model.probabilities[:, 1], model.target == 1
        rocs.append((*head, *roc(score, ill)))
        precisions.append((*head, *precision_recall(score, ill)))
        mean, share, _, low, high = reliability(score, ill)
        reliable.append((*head, mean, share, low, high))
        benefits.append((*head, net_benefit(score, ill, THRESHOLDS)))
    prevalence = float((models[0].target == 1).mean())
    names = ", ".join(model.label for model in models)
    return [
        Plot(
            curves_plot(f"roc-{name}", rocs, "1 - specificity", "sensitivity", diagonal=True),
            f"ROC curves of {names}; the areas are in the table of measures.", f"ROC. {rows}",
        ),
        Plot(
            curves_plot(f"pr-{name}", precisions, "recall (sensitivity)", "precision",
                        level=prevalence),
            f"Precision-recall curves of {names}; the prevalence is {prevalence:.2f}.",
            f"Precision and recall; the line is the prevalence, {prevalence:.2f}. {rows}",
        ),
        Plot(
            reliability_plot(f"reliability-{name}", reliable),
            f"Share of {positive} among test rows against the probability given, of {names}; the "
            "table of calibration has errors, slopes and intercepts.",
            f"Reliability for {positive} in tenths of the rows, with Wilson's 95 % intervals "
            "(which take rows for independent). On the diagonal probabilities come true.",
        ),
        Plot(
            decision_plot(f"decision-{name}", THRESHOLDS, benefits,
                          treat_all(prevalence, THRESHOLDS)),
            f"Net benefit of acting on {names} against the threshold probability.",
            "Decision curve: net benefit a patient, in true positives, of acting where the "
            "probability reaches the threshold.",
        ),
    ]  # fmt: skip


def _for_more_classes(
    models: Sequence[Answered], classes: Sequence[str], name: str, rows: str
) -> list[Plot]:
    """AUROC of each class against the rest, and the reliability of the most probable class."""
    areas, reliable = [], []
    for model in models:
        values, target = model.probabilities, model.target
        head = model.label, model.number
        areas.append((*head, per_class_auroc(values, target)))
        mean, share, _, low, high = reliability(values.max(axis=1), values.argmax(axis=1) == target)
        reliable.append((*head, mean, share, low, high))
    words = "; ".join(
        f"{label}: " + ", ".join(f"{c} {v:.3f}" for c, v in zip(classes, values, strict=True))
        for label, _, values in areas
    )
    return [
        Plot(
            classes_plot(f"classes-{name}", classes, areas, "AUROC against the rest"),
            f"AUROC of each class against the rest. {words}.", f"Each class's AUROC. {rows}",
        ),
        Plot(
            reliability_plot(f"reliability-{name}", reliable),
            "Share of rows whose most probable class was right, against its probability.",
            "Reliability of the most probable class in tenths of the rows.",
        ),
    ]  # fmt: skip
