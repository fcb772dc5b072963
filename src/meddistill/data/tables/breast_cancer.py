"""Breast Cancer Wisconsin (Diagnostic) as scikit-learn ships it: nothing is downloaded."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_breast_cancer

from meddistill.data.cohort import Cohort, number_rows
from meddistill.data.tables.records import TableRecords
from meddistill.data.tables.schema import Schema


def breast_cancer() -> Cohort:
    """569 tumours, 30 measurements of cell nuclei; the positive class is malignant.

    scikit-learn calls benign 1; here malignant is 1, since it is the one to find.

    Source: Wolberg, Mangasarian, Street and Street (1993), UCI Machine Learning Repository 17.
    """
    bunch = load_breast_cancer(as_frame=True)
    schema = Schema(numeric=tuple(bunch.data.columns))
    return Cohort(
        name="breast_cancer",
        records=TableRecords.prepared(bunch.data, schema),
        target=np.asarray(bunch.target == 0, dtype=np.int64),
        classes=("benign", "malignant"),
        row=number_rows(len(bunch.target)),
    )
