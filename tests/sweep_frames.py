"""Rows of a made-up `sweep.csv`, read as the file would be."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd


def student(score, test=None, **axes):
    """One finished student; its test log loss is `test`, or its score."""
    test = score if test is None else test
    row = {
        "status": "completed", "error": "", "member": 0, "score": score,
        "monitor": "val/log_loss", "threshold": 0.5, "epochs": 9, "seconds": 1.5, "classes": 2,
        "positive": "malignant", "name": "distilled student", "parameters": 529,
        "val/log_loss": score, "test/log_loss": test, "test/auroc": 1 - test,
        "test/accuracy": 1 - test / 2, "test/calibration_error": test / 10,
        "rows/train": 300, "rows/test": 100,
    }  # fmt: skip
    return row | {key.replace("__", "."): value for key, value in axes.items()}


def failed(error="The loss is not a number.", **axes):
    """One student without numbers."""
    return {"status": "failed", "error": error} | {k.replace("__", "."): v for k, v in axes.items()}


def sweep(rows):
    """Number the jobs and go through a CSV file."""
    numbered = [{"job": job, "folder": f"{job}_x", **row} for job, row in enumerate(rows)]
    return pd.read_csv(io.StringIO(pd.DataFrame(numbered).to_csv(index=False)))


def by_split(scores, tests=None, **more):
    """A student a learning rate (the key) and split: {lr: [score, ...]}."""
    tests = tests or scores
    return sweep([
        student(score, tests[lr][split], **{"optimizer__lr": lr, "data__split_seed": split}, **more)
        for lr in scores
        for split, score in enumerate(scores[lr])
        if score is not None
    ])  # fmt: skip


def noisy(rng, settings, splits, noise=0.02, rate=0.3):
    """Settings that are all the same; validation and test noise are independent."""
    draw = rate + noise * rng.standard_normal((2, settings, splits))
    return by_split(
        {k: list(draw[0, k]) for k in range(settings)},
        {k: list(draw[1, k]) for k in range(settings)},
    )


def grid(alone=True, seeds=5, splits=4):
    """Temperature 1, 2, 4, 8 by alpha 0.1, 0.5, 0.9, and the student alone."""
    rng = np.random.default_rng(0)
    settings = [("kd", t, a) for t in (1, 2, 4, 8) for a in (0.1, 0.5, 0.9)]
    rows = []
    for loss, temperature, alpha in [("ce", None, None)] * alone + settings:
        for split in range(splits):
            for seed in range(seeds):
                score = 0.3 + 0.05 * split + 0.01 * rng.standard_normal()
                axes = {"loss": loss, "loss__temperature": temperature, "loss__alpha": alpha}
                name = "student alone" if loss == "ce" else "distilled student"
                rows.append(student(score, score + 0.1, name=name, seed=seed,
                                    data__split_seed=split, **axes))  # fmt: skip
    return sweep(rows)
