"""torchmetrics for diagnosis: the Binary ones on the positive class, else Multiclass ones.

Every metric takes probabilities [rows, classes] and class numbers [rows]. Averages, stated once:

- two classes: AUROC, average precision, calibration error, sensitivity and specificity are of the
  positive class (the last); a row is called positive at a probability of the threshold or above;
- more classes: AUROC and average precision are the plain mean over classes, one against the rest,
  of the classes that occur (and don't fill the rows alone); accuracy counts rows ("micro");
  sensitivity and specificity are the mean over the classes that occur, a row being called the class
  of its highest probability; the calibration error is of that highest probability;
- a share of rows of which there is none is undefined, NaN and never 0: sensitivity and average
  precision without a positive row, specificity without a negative one, AUROC without either;
- Brier is the mean squared error of the positive class's probability (two classes) or the sum of
  squared errors over classes (more), as scikit-learn's `brier_score_loss` has it.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import (
    BinaryAccuracy,
    BinaryAUROC,
    BinaryAveragePrecision,
    BinaryCalibrationError,
    BinaryRecall,
    BinarySpecificity,
    BinaryStatScores,
    MulticlassAccuracy,
    MulticlassAUROC,
    MulticlassAveragePrecision,
    MulticlassCalibrationError,
    MulticlassStatScores,
)
from torchmetrics.utilities import dim_zero_cat

CALIBRATION_BINS = 15


class RowMean(Metric):
    """Mean over rows of a number worked out from probabilities and target; exact over ranks."""

    is_differentiable = False
    full_state_update = False
    total: Tensor
    count: Tensor

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.add_state("total", torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("count", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, probabilities: Tensor, target: Tensor) -> None:
        """Add rows: [rows, classes], [rows]."""
        self.total = self.total + self.per_row(probabilities, target).sum()
        self.count = self.count + len(target)

    def compute(self) -> Tensor:
        """The mean over all rows added."""
        return self.total / self.count

    def per_row(self, probabilities: Tensor, target: Tensor) -> Tensor:
        """[rows, classes], [rows] -> [rows]."""
        raise NotImplementedError


class LogLoss(RowMean):
    """Mean of -log p(true class) in nats, p clamped to the precision of its type."""

    def per_row(self, probabilities: Tensor, target: Tensor) -> Tensor:
        """[rows, classes], [rows] -> nats [rows]."""
        chosen = probabilities.gather(1, target.unsqueeze(1)).squeeze(1)
        return -chosen.clamp(min=torch.finfo(chosen.dtype).eps).log()


class BrierScore(RowMean):
    """Mean squared error of the probabilities (Brier 1950); with two classes of one of them."""

    def per_row(self, probabilities: Tensor, target: Tensor) -> Tensor:
        """[rows, classes], [rows] -> squared errors [rows]."""
        truth = torch.nn.functional.one_hot(target, probabilities.shape[1])
        squares = (probabilities - truth).square().sum(dim=1)
        return squares / 2 if probabilities.shape[1] == 2 else squares


class PositiveAUROC(BinaryAUROC):
    """AUROC of the positive class; NaN where only one class occurs (torchmetrics says 0)."""

    def update(self, probabilities: Tensor, target: Tensor) -> None:
        """Add rows: [rows, 2], [rows]."""
        super().update(probabilities[:, 1], target)

    def compute(self) -> Tensor:  # type: ignore[override]
        """The AUROC of all rows added."""
        positives = dim_zero_cat(self.target)
        both = 0 < positives.sum() < len(positives)
        return super().compute() if both else torch.tensor(torch.nan, device=self.device)


class PositiveAveragePrecision(BinaryAveragePrecision):
    """Average precision of the positive class; NaN without a positive row (torchmetrics says 0)."""

    def update(self, probabilities: Tensor, target: Tensor) -> None:
        """Add rows: [rows, 2], [rows]."""
        super().update(probabilities[:, 1], target)

    def compute(self) -> Tensor:  # type: ignore[override]
        """The average precision of all rows added."""
        known = dim_zero_cat(self.target).any()
        return super().compute() if known else torch.tensor(torch.nan, device=self.device)


class PositiveCalibrationError(BinaryCalibrationError):
    """Expected calibration error of the positive class's probability."""

    def update(self, probabilities: Tensor, target: Tensor) -> None:
        """Add rows: [rows, 2], [rows]."""
        super().update(_below_one(probabilities[:, 1]), target)


class TopCalibrationError(MulticlassCalibrationError):
    """Expected calibration error of the highest probability."""

    def update(self, probabilities: Tensor, target: Tensor) -> None:
        """Add rows: [rows, classes], [rows]."""
        super().update(_below_one(probabilities), target)


def _below_one(probabilities: Tensor) -> Tensor:
    """The next float32 below 1 in place of 1, for which torchmetrics would open one bin more."""
    return probabilities.clamp(0, 1 - torch.finfo(torch.float32).eps / 2)


class _AtThreshold(BinaryStatScores):
    """Calls a row positive at the threshold or above; torchmetrics does so only above it."""

    def update(self, probabilities: Tensor, target: Tensor) -> None:
        """Add rows: [rows, 2], [rows]."""
        super().update((probabilities[:, 1] >= self.threshold).long(), target)


class PositiveAccuracy(_AtThreshold, BinaryAccuracy):
    """Share of rows called rightly at the threshold."""


class Sensitivity(_AtThreshold, BinaryRecall):
    """Share of positive rows called positive; NaN without any (torchmetrics says 0)."""

    def compute(self) -> Tensor:
        """The share of all rows added."""
        true_positive, _, _, false_negative = self._final_state()
        return true_positive / (true_positive + false_negative)


class Specificity(_AtThreshold, BinarySpecificity):
    """Share of negative rows called negative; NaN without any (torchmetrics says 0)."""

    def compute(self) -> Tensor:
        """The share of all rows added."""
        _, false_positive, true_negative, _ = self._final_state()
        return true_negative / (true_negative + false_positive)


@contextmanager
def _absent_classes_are_left_out() -> Iterator[None]:
    """Without torchmetrics' warnings of classes that don't occur, whose 0s are taken out here."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="No (positive|negative) samples")
        yield


def _over_occurring(values: Tensor, target: Tensor | list[Tensor]) -> Tensor:
    """Mean of a value a class over the classes that occur, but not in every row."""
    counts = torch.bincount(dim_zero_cat(target), minlength=len(values))
    return values[(counts > 0) & (counts < counts.sum())].mean()


class MacroAUROC(MulticlassAUROC):
    """Mean one-against-the-rest AUROC of the classes that occur (torchmetrics adds 0s)."""

    def compute(self) -> Tensor:  # type: ignore[override]
        """The mean over all rows added."""
        with _absent_classes_are_left_out():
            return _over_occurring(super().compute(), self.target)


class MacroAveragePrecision(MulticlassAveragePrecision):
    """Mean one-against-the-rest average precision of the classes that occur."""

    def compute(self) -> Tensor:  # type: ignore[override]
        """The mean over all rows added."""
        with _absent_classes_are_left_out():
            return _over_occurring(super().compute(), self.target)


class MacroSensitivity(MulticlassStatScores):
    """Mean over occurring classes of the share of a class's rows called that class."""

    def compute(self) -> Tensor:
        """The mean over all rows added."""
        true_positive, _, _, false_negative = self._final_state()
        positives = true_positive + false_negative
        return (true_positive / positives)[positives > 0].mean()


class MacroSpecificity(MulticlassStatScores):
    """Mean over occurring classes of the share of the other rows not called that class."""

    def compute(self) -> Tensor:
        """The mean over all rows added."""
        true_positive, false_positive, true_negative, false_negative = self._final_state()
        occurring = (true_positive + false_negative) > 0
        return (true_negative / (true_negative + false_positive))[occurring].mean()


def training_metrics(num_classes: int, threshold: float = 0.5, **options: Any) -> MetricCollection:
    """What is followed each epoch: `auroc`, `accuracy`, `log_loss`.

    Args:
        num_classes: Number of classes.
        threshold: Probability from which a row is called positive (two classes).
        **options: For each metric, as torchmetrics' `Metric` takes them.
    """
    return MetricCollection(_followed(num_classes, threshold, options), compute_groups=False)


def diagnostic_metrics(
    num_classes: int, threshold: float = 0.5, **options: Any
) -> MetricCollection:
    """Everything that is reported of a finished model, `training_metrics` included."""
    metrics = _followed(num_classes, threshold, options)
    metrics["brier"] = BrierScore(**options)
    options |= {"validate_args": False}
    if num_classes == 2:
        metrics["average_precision"] = PositiveAveragePrecision(**options)
        metrics["calibration_error"] = PositiveCalibrationError(
            n_bins=CALIBRATION_BINS, norm="l1", **options
        )
        metrics["sensitivity"] = Sensitivity(threshold=threshold, **options)
        metrics["specificity"] = Specificity(threshold=threshold, **options)
    else:
        options |= {"num_classes": num_classes}
        metrics["average_precision"] = MacroAveragePrecision(average="none", **options)
        metrics["calibration_error"] = TopCalibrationError(
            n_bins=CALIBRATION_BINS, norm="l1", **options
        )
        metrics["sensitivity"] = MacroSensitivity(average=None, **options)
        metrics["specificity"] = MacroSpecificity(average=None, **options)
    return MetricCollection(metrics, compute_groups=False)


def _followed(
    num_classes: int, threshold: float, options: dict[str, Any]
) -> dict[str, Metric | MetricCollection]:
    metrics: dict[str, Metric | MetricCollection] = {"log_loss": LogLoss(**options)}
    options = {**options, "validate_args": False}
    if num_classes == 2:
        metrics["auroc"] = PositiveAUROC(**options)
        metrics["accuracy"] = PositiveAccuracy(threshold=threshold, **options)
    else:
        metrics["auroc"] = MacroAUROC(num_classes, average="none", **options)
        metrics["accuracy"] = MulticlassAccuracy(num_classes, average="micro", **options)
    return metrics
