"""Teacher, student alone, distilled student and scikit-learn's logistic regression over splits.

Reads a sweep over `data.split_seed` and `loss=ce,kd`, made for instance by

    meddistill distill experiment=side_by_side 'data.split_seed=range(0,20)' \
        hydra.sweep.dir=outputs/twenty

fits logistic regression on the same labelled training rows of each split, and prints Markdown.

    python scripts/repeated_splits.py outputs/twenty
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from scipy.stats import t as student_t
from sklearn.linear_model import LogisticRegression

from meddistill.config.compose import build
from meddistill.data.cohort import Cohort
from meddistill.data.modalities import fit_preprocessing
from meddistill.data.source import source
from meddistill.evaluation.predictions import evaluate
from meddistill.sweeps.students import collect

MEASURES = {"auroc": "AUROC", "accuracy": "accuracy", "log_loss": "log loss"}


def logistic(job: Path, member: int, cohorts: dict[str, Cohort]) -> dict[str, float]:
    """Test measures of scikit-learn's logistic regression (C = 1) on a student's split."""
    node = source(yaml.safe_load((job / "config.yaml").read_text()))
    cohort = cohorts.setdefault(str(node), build(node, "data"))
    table = pd.read_parquet(job / "predictions.parquet", filters=[("member", "==", member)])
    train = np.flatnonzero(table["split"] == "train")
    known = np.flatnonzero((table["split"] == "train") & table["labelled"])
    test = np.flatnonzero(table["split"] == "test")
    fitted = fit_preprocessing({}, cohort.records.take(train))
    inputs = fitted(cohort.records)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = LogisticRegression(max_iter=5000).fit(inputs[known], cohort.target[known])
    return evaluate(model.predict_proba(inputs[test]), cohort.target[test])


def table_of_models(sweep: Path) -> pd.DataFrame:
    """A line for each split seed and model."""
    cohorts: dict[str, Cohort] = {}
    rows = []
    for _, student in collect(sweep)[0].iterrows():
        ratio = student["rows/test"] / (student["rows/train"] + student["rows/validation"])
        models = {student["name"]: {k: student[f"test/{k}"] for k in MEASURES}}
        if isinstance(student.get("teacher/name"), str):
            models["teacher"] = {k: student[f"teacher/test/{k}"] for k in MEASURES}
            fitted = logistic(sweep / student["folder"], int(student["member"]), cohorts)
            models["logistic regression (scikit-learn)"] = {k: fitted[k] for k in MEASURES}
        seed = int(student["data.split_seed"])
        rows += [{"seed": seed, "ratio": ratio, "model": n, **test} for n, test in models.items()]
    return pd.DataFrame(rows)


def paired(table: pd.DataFrame, measure: str, against: str) -> str:
    """Distilled minus `against`: mean, spread, and the corrected resampled t interval.

    Splits share training rows, so the variance is (1/k + test/train) times the sample variance
    (Nadeau and Bengio 2003, Machine Learning 52).
    """
    wide = table.pivot(index="seed", columns="model", values=measure)
    difference = (wide["distilled student"] - wide[against]).dropna()
    count, mean, spread = len(difference), difference.mean(), difference.std(ddof=1)
    error = np.sqrt(1 / count + table["ratio"].mean()) * spread
    half = student_t.ppf(0.975, count - 1) * error
    better = int((difference > 0).sum() if measure != "log_loss" else (difference < 0).sum())
    interval = f"{mean - half:+.4f} to {mean + half:+.4f}"
    return (
        f"| {MEASURES[measure]} | {mean:+.4f} | {spread:.4f} | {interval} | {better} of {count} |"
    )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sweep", type=Path, help="folder of the sweep")
    table = table_of_models(parser.parse_args().sweep)
    count = table["seed"].nunique()
    print(f"Test rows of {count} splits, mean (standard deviation):\n")
    print(
        "| model | " + " | ".join(MEASURES.values()) + " |\n" + "|---" * (len(MEASURES) + 1) + "|"
    )
    for name, rows in table.groupby("model", sort=False):
        cells = [f"{rows[k].mean():.4f} ({rows[k].std(ddof=1):.4f})" for k in MEASURES]
        print(f"| {name} | " + " | ".join(cells) + " |")
    print("\nDistilled student minus student alone, paired by split:\n")
    print("| measure | mean | standard deviation | 95 % interval (corrected) | better in |")
    print("|---|---|---|---|---|")
    for measure in MEASURES:
        print(paired(table, measure, "student alone"))


if __name__ == "__main__":
    main()
