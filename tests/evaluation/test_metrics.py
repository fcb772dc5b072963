"""Every measure against scikit-learn, or NumPy where scikit-learn has none."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    brier_score_loss,
    log_loss,
    recall_score,
    roc_auc_score,
)

from meddistill.evaluation.members import evaluate_members
from meddistill.evaluation.metrics import diagnostic_metrics, training_metrics
from meddistill.evaluation.predictions import evaluate

pytestmark = pytest.mark.filterwarnings("ignore:No (positive|negative) samples:UserWarning")
ROWS = 300
MEASURES = {"auroc", "accuracy", "log_loss", "brier", "average_precision", "calibration_error",
            "sensitivity", "specificity"}  # fmt: skip
EXAMPLES = pytest.mark.parametrize(
    ("seed", "classes", "ties"),
    [(seed, classes, ties) for seed in range(3) for classes in (2, 3, 6) for ties in (False, True)],
)


def example(seed, classes, ties):
    """Probabilities and class numbers: imbalanced, informative, with many equal scores or none."""
    random = np.random.default_rng(seed)
    shares = 0.6 ** np.arange(classes)
    target = random.choice(classes, ROWS, p=shares / shares.sum())
    target[: 6 * classes] = np.arange(6 * classes) % classes
    probabilities = random.dirichlet(np.ones(classes), ROWS)
    probabilities = 0.7 * probabilities + 0.3 * np.eye(classes)[random.permutation(target)]
    right = random.random(ROWS) < 0.4
    probabilities[right] = 0.6 * probabilities[right] + 0.4 * np.eye(classes)[target[right]]
    if ties:  # eighths: exact in binary, sums of exactly 1, and no edge of a fifteenth inside
        probabilities = random.multinomial(8, probabilities) / 8
    else:
        probabilities = probabilities / probabilities.sum(axis=1, keepdims=True)
    return probabilities, target


def batches_of(target):
    """Row numbers in three batches; the first is without class 0."""
    without = np.flatnonzero(target != 0)[:20]
    rest = np.setdiff1d(np.arange(len(target)), without)
    return [without, rest[:7], rest[7:]]


def computed(metrics, probabilities, target, dtype=torch.float64):
    for rows in batches_of(target):
        metrics.update(torch.tensor(probabilities[rows], dtype=dtype), torch.tensor(target[rows]))
    return {name: value.item() for name, value in metrics.compute().items()}


def calibration_error(confidence, correct, bins=15):
    """Naeini et al. 2015: bins of equal width, the last one closed on both sides."""
    total = 0.0
    for k in range(bins):
        inside = (confidence >= k / bins) & (confidence < (k + 1) / bins)
        if k == bins - 1:
            inside |= confidence == 1
        if inside.any():
            total += abs(correct[inside].mean() - confidence[inside].mean()) * inside.mean()
    return total


def expected(probabilities, target, threshold=0.5):
    classes = probabilities.shape[1]
    result = {"log_loss": log_loss(target, probabilities, labels=range(classes))}
    if classes == 2:
        positive = probabilities[:, 1]
        called = (positive >= threshold).astype(int)
        return result | {
            "auroc": roc_auc_score(target, positive),
            "average_precision": average_precision_score(target, positive),
            "accuracy": accuracy_score(target, called),
            "brier": brier_score_loss(target, positive),
            "sensitivity": recall_score(target, called, pos_label=1),
            "specificity": recall_score(target, called, pos_label=0),
            "calibration_error": calibration_error(positive, target),
        }
    called = probabilities.argmax(axis=1)
    truth = np.eye(classes)[target]
    one_by_one = [average_precision_score(target == k, probabilities[:, k]) for k in range(classes)]
    not_called = [recall_score(target != k, called != k) for k in range(classes)]
    return result | {
        "auroc": roc_auc_score(target, probabilities, multi_class="ovr", average="macro"),
        "average_precision": np.mean(one_by_one),
        "accuracy": accuracy_score(target, called),
        "brier": ((probabilities - truth) ** 2).sum(axis=1).mean(),
        "sensitivity": recall_score(target, called, average="macro"),
        "specificity": np.mean(not_called),
        "calibration_error": calibration_error(probabilities.max(axis=1), called == target),
    }


# Against scikit-learn


@EXAMPLES
def test_every_measure_agrees_with_scikit_learn(seed, classes, ties):
    probabilities, target = example(seed, classes, ties)
    right = expected(probabilities, target)
    assert 0.55 < right["auroc"] < 0.97, "the example must be neither noise nor perfect"
    measured = evaluate(probabilities, target)
    assert set(measured) == MEASURES
    assert measured == pytest.approx(right, abs=1e-6)


@EXAMPLES
def test_measures_gathered_over_batches_agree_with_scikit_learn(seed, classes, ties):
    probabilities, target = example(seed, classes, ties)
    measured = computed(diagnostic_metrics(classes), probabilities, target)
    assert measured == pytest.approx(expected(probabilities, target), abs=1e-6)


@EXAMPLES
def test_what_is_followed_in_training_is_auroc_accuracy_and_log_loss_in_float32(
    seed, classes, ties
):
    probabilities, target = example(seed, classes, ties)
    right = expected(probabilities.astype(np.float32), target)
    followed = computed(training_metrics(classes), probabilities, target, torch.float32)
    assert set(followed) == {"auroc", "accuracy", "log_loss"}
    assert followed == pytest.approx({name: right[name] for name in followed}, abs=1e-5)


@pytest.mark.parametrize("classes", [2, 3])
def test_metrics_that_were_reset_start_anew(classes):
    metrics = diagnostic_metrics(classes)
    computed(metrics, *example(0, classes, False))
    metrics.reset()
    other = example(1, classes, False)
    assert computed(metrics, *other) == pytest.approx(expected(*other), abs=1e-6)


# The threshold


@pytest.mark.parametrize("threshold", [0.25, 0.5, 0.625, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_a_probability_of_exactly_the_threshold_is_called_positive(seed, threshold):
    probabilities, target = example(seed, 2, ties=True)
    probabilities[:4, 1], probabilities[:4, 0] = threshold, 1 - threshold
    at = probabilities[:, 1] == threshold
    assert {0, 1} <= set(target[at])
    right = expected(probabilities, target, threshold)
    assert evaluate(probabilities, target, threshold) == pytest.approx(right, abs=1e-6)
    followed = computed(training_metrics(2, threshold), probabilities, target, torch.float32)
    assert followed["accuracy"] == pytest.approx(right["accuracy"], abs=1e-6)


def test_a_threshold_that_binary_numbers_cannot_hold_is_met_in_either_precision():
    target = np.array([0, 0, 1, 1])
    positive = np.array([0.1, 0.2, 0.3, 0.3])
    probabilities = np.stack([1 - positive, positive], axis=1)
    for dtype in (torch.float32, torch.float64):
        metrics = diagnostic_metrics(2, threshold=0.3)
        metrics.update(torch.tensor(probabilities, dtype=dtype), torch.tensor(target))
        assert metrics.compute()["sensitivity"] == 1


@pytest.mark.parametrize("measure", ["auroc", "average_precision", "brier", "log_loss"])
def test_the_threshold_moves_no_measure_of_the_probabilities(measure):
    data = example(0, 2, ties=False)
    assert evaluate(*data, 0.2)[measure] == evaluate(*data, 0.8)[measure]


def test_the_threshold_plays_no_part_with_more_than_two_classes():
    data = example(0, 3, ties=False)
    assert evaluate(*data, 0.2) == evaluate(*data, 0.8)


# The positive class


def test_with_two_classes_the_last_is_the_positive_one():
    probabilities, target = example(0, 2, ties=False)
    assert target.mean() < 0.45, "imbalanced, or the classes could not be told apart"
    forth = evaluate(probabilities, target)
    back = evaluate(probabilities[:, ::-1].copy(), 1 - target)
    assert abs(forth["average_precision"] - back["average_precision"]) > 0.05
    assert abs(forth["sensitivity"] - forth["specificity"]) > 0.02
    assert forth["sensitivity"] == pytest.approx(back["specificity"])
    assert forth["specificity"] == pytest.approx(back["sensitivity"])
    for name in ("auroc", "brier", "log_loss"):
        assert forth[name] == pytest.approx(back[name], abs=1e-6)


# Classes that do not occur


@pytest.mark.parametrize("label", [0, 1])
def test_with_one_class_only_the_auroc_is_undefined_and_not_zero(label):
    probabilities, _ = example(0, 2, ties=False)
    target = np.full(ROWS, label)
    assert math.isnan(evaluate(probabilities, target)["auroc"])
    metrics = training_metrics(2)
    metrics.update(torch.tensor(probabilities), torch.tensor(target))
    assert metrics.compute()["auroc"].isnan()


@pytest.mark.parametrize(
    ("label", "undefined"),
    [(0, {"auroc", "sensitivity", "average_precision"}), (1, {"auroc", "specificity"})],
)
def test_a_share_of_rows_of_which_there_is_none_is_undefined_and_not_zero(
    label, undefined, recwarn
):
    probabilities, _ = example(0, 2, ties=False)
    target = np.full(ROWS, label)
    alone = evaluate(probabilities, target)
    together = evaluate_members(probabilities[None], target)
    for found in (alone, {name: value[0] for name, value in together.items()}):
        assert {name for name, value in found.items() if math.isnan(value)} == undefined
    assert not [str(w.message) for w in recwarn if "samples" in str(w.message)]


def test_with_one_class_only_of_several_the_auroc_is_undefined_and_not_zero():
    probabilities, _ = example(0, 3, ties=False)
    for label in range(3):
        assert math.isnan(evaluate(probabilities, np.full(ROWS, label))["auroc"])


@pytest.mark.parametrize("absent", [0, 2, 5])
def test_a_class_that_does_not_occur_is_left_out_of_every_mean_over_classes(absent):
    probabilities, target = example(0, 6, ties=False)
    there = target != absent
    probabilities, target = probabilities[there], target[there]
    called, occurring = probabilities.argmax(axis=1), [k for k in range(6) if k != absent]
    assert (called == absent).any(), "some rows must be called the absent class"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        measured = evaluate(probabilities, target)
    for name, score in {
        "auroc": lambda k: roc_auc_score(target == k, probabilities[:, k]),
        "average_precision": lambda k: average_precision_score(target == k, probabilities[:, k]),
        "sensitivity": lambda k: recall_score(target == k, called == k),
        "specificity": lambda k: recall_score(target != k, called != k),
    }.items():
        mean = np.mean([score(k) for k in occurring])
        assert measured[name] == pytest.approx(mean, abs=1e-6), name


# Probabilities, never logits


@pytest.mark.parametrize("classes", [2, 3, 6])
def test_a_rounding_error_above_one_is_not_taken_for_a_logit(classes):
    probabilities, target = example(0, classes, ties=False)
    probabilities[0] = np.eye(classes)[target[0]]
    right = evaluate(probabilities, target)
    probabilities[0, target[0]] += 4e-16
    probabilities[0, target[0] - 1] = -1e-17
    assert probabilities.max() > 1
    assert evaluate(probabilities, target) == pytest.approx(right, abs=1e-6)


@pytest.mark.parametrize("classes", [2, 3])
def test_a_batch_of_certain_answers_only_is_taken_as_probabilities(classes):
    target = np.arange(60) % classes
    called = np.where(np.arange(60) % 5 == 0, (target + 1) % classes, target)
    measured = computed(diagnostic_metrics(classes), np.eye(classes)[called], target)
    assert measured == pytest.approx(expected(np.eye(classes)[called], target), abs=1e-6)
    assert measured["brier"] == pytest.approx(0.2 if classes == 2 else 0.4)


def test_a_probability_of_zero_for_what_happened_costs_much_and_not_infinitely():
    probabilities = np.array([[1.0, 0.0], [0.5, 0.5]])
    loss = evaluate(probabilities, np.array([1, 0]))["log_loss"]
    assert 15 < loss < 20


# The calibration error


@pytest.mark.parametrize("classes", [2, 3])
def test_a_probability_of_one_is_in_the_last_bin_of_fifteen(classes):
    certain, nearly = np.eye(classes)[1], np.full(classes, 0.05 / (classes - 1))
    nearly[1] = 0.95
    probabilities = np.stack([certain] * 5 + [nearly] * 5)
    target = np.array([0, 0, *[1] * 8])
    measured = evaluate(probabilities, target)["calibration_error"]
    assert measured == pytest.approx(0.975 - 0.8, abs=1e-6)


@pytest.mark.parametrize("classes", [2, 3])
def test_the_calibration_error_tells_a_calibrated_model_from_a_boastful_one(classes):
    random = np.random.default_rng(0)
    probabilities = random.dirichlet(np.ones(classes), 20_000)
    chances = random.random((20_000, 1))
    target = (probabilities.cumsum(axis=1) < chances).sum(axis=1).clip(max=classes - 1)
    boastful = probabilities**4 / (probabilities**4).sum(axis=1, keepdims=True)
    assert evaluate(probabilities, target)["calibration_error"] < 0.02
    assert evaluate(boastful, target)["calibration_error"] > 0.1
