"""What the papers say the teacher's part of each loss is, row by row in plain NumPy.

Each takes the student's logits [rows, classes], the teacher's log-probabilities [rows, classes],
the labels [rows] and the loss's settings, and returns the mean over the rows.
"""

from __future__ import annotations

import numpy as np


def softmax(logits):
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


def kl(p, q):
    return sum(a * np.log(a / b) for a, b in zip(p, q, strict=True))


def cross_entropy(student, labels, label_smoothing=0.0):
    total = 0.0
    for z, y in zip(student, labels, strict=True):
        aim = np.full(len(z), label_smoothing / len(z))
        aim[y] += 1 - label_smoothing
        total -= sum(share * np.log(q) for share, q in zip(aim, softmax(z), strict=True))
    return total / len(student)


def kd(student, teacher, labels, temperature):
    """Hinton et al. 2015: T^2 KL of the softened answers."""
    each = [
        kl(softmax(t / temperature), softmax(s / temperature))
        for s, t in zip(student, teacher, strict=True)
    ]
    return temperature**2 * np.mean(each)


def entropy_of_teacher(teacher, temperature):
    """Mean entropy of the softened answers."""
    answers = [softmax(t / temperature) for t in teacher]
    return np.mean([-(p * np.log(p)).sum() for p in answers])


def soft_ce(student, teacher, labels, temperature):
    """Hinton et al. 2015: cross-entropy with soft targets."""
    total = 0.0
    for s, t in zip(student, teacher, strict=True):
        p, q = softmax(t / temperature), softmax(s / temperature)
        total -= sum(a * np.log(b) for a, b in zip(p, q, strict=True))
    return temperature**2 * total / len(student)


def logit_mse(student, teacher, labels):
    """Kim et al. 2021, with logits of mean 0; the mean over the classes."""
    each = [((s - s.mean()) - (t - t.mean())) ** 2 for s, t in zip(student, teacher, strict=True)]
    return np.mean(each)


def dkd(student, teacher, labels, temperature, beta):
    """Zhao et al. 2022: TCKD + beta NCKD, times T^2."""
    total = 0.0
    for s, t, y in zip(student, teacher, labels, strict=True):
        p, q = softmax(t / temperature), softmax(s / temperature)
        others = [k for k in range(len(p)) if k != y]
        target = kl([p[y], p[others].sum()], [q[y], q[others].sum()])
        rest = kl(p[others] / p[others].sum(), q[others] / q[others].sum())
        total += target + beta * rest
    return temperature**2 * total / len(student)


def nkd(student, teacher, labels, temperature, gamma):
    """Yang et al. 2023: the label's part not softened, the others' normalised and softened."""
    total = 0.0
    for s, t, y in zip(student, teacher, labels, strict=True):
        total -= softmax(t)[y] * np.log(softmax(s)[y])
        p, q = softmax(np.delete(t, y) / temperature), softmax(np.delete(s, y) / temperature)
        total -= gamma * temperature**2 * sum(a * np.log(b) for a, b in zip(p, q, strict=True))
    return total / len(student)


def least_nkd(teacher, labels, temperature, gamma):
    """What is left where the student is sure of the label and the teacher among the others."""
    rest = [softmax(np.delete(t, y) / temperature) for t, y in zip(teacher, labels, strict=True)]
    return gamma * temperature**2 * np.mean([-(p * np.log(p)).sum() for p in rest])


def dist(student, teacher, labels, temperature, beta, gamma):
    """Huang et al. 2022: beta inter + gamma intra."""
    q = np.array([softmax(s / temperature) for s in student])
    p = np.array([softmax(t / temperature) for t in teacher])
    inter = np.mean([1 - np.corrcoef(a, b)[0, 1] for a, b in zip(q, p, strict=True)])
    intra = np.mean([1 - np.corrcoef(a, b)[0, 1] for a, b in zip(q.T, p.T, strict=True)])
    return beta * inter + gamma * intra


def ranking(student, teacher, labels, temperature):
    """Huang et al. 2022, the intra-class part alone."""
    return dist(student, teacher, labels, temperature, 0.0, 1.0)


def logit_standardization(student, teacher, labels, temperature):
    """Sun et al. 2024: kd of z-scores, the deviation over the number of classes."""
    scores = [
        np.array([(z - z.mean()) / np.sqrt(((z - z.mean()) ** 2).sum() / len(z)) for z in each])
        for each in (student, teacher)
    ]
    return kd(*scores, labels, temperature)


def margin(student, teacher, labels, delta):
    """Huber 1964 of the log odds of each class against the rest."""
    total = 0.0
    for s, t in zip(student, teacher, strict=True):
        p, q = softmax(t), softmax(s)
        for k in range(len(p)):
            error = abs(np.log(q[k] / (1 - q[k])) - np.log(p[k] / (1 - p[k])))
            half = error <= delta
            total += (error**2 / 2 if half else delta * (error - delta / 2)) / len(p)
    return total / len(student)


def ce(student, teacher, labels):
    """No teacher, no part of it."""
    return 0.0


FORMULAS = {f.__name__: f for f in (ce, kd, soft_ce, logit_mse, dkd, nkd, dist, ranking,
                                    logit_standardization, margin)}  # fmt: skip

OF_LABELLED_ROWS = {"dkd", "nkd"}
"""Losses whose teacher's part needs the label."""
