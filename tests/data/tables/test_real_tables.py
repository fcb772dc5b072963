"""Real clinical tables, from the folder that MEDDISTILL_DATA names."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from meddistill.data.datamodule import CohortDataModule
from meddistill.data.split import PARTS, split_cohort
from meddistill.data.tables.table import table

FOLDER = os.environ.get("MEDDISTILL_DATA")
pytestmark = pytest.mark.skipif(not FOLDER, reason="MEDDISTILL_DATA names no folder of real data")

TABLES = {
    "heart_uci_4sites.csv": {
        "drop": "severity_num",
        "classes": {"0": 411, "1": 509},
        "columns": (13, 1),
        "missing": 1759,
    },
    "thyroid0387_multiclass.csv": {
        "drop": "diagnosis_code",
        "classes": {
            "binding_protein": 376,
            "general_health": 447,
            "healthy": 6771,
            "hyperthyroid": 241,
            "hypothyroid": 667,
            "other": 315,
            "replacement_therapy": 355,
        },
        "columns": (7, 22),
        "missing": 14633,
    },
    "cardiotocography.csv": {
        "drop": "recording",
        "classes": {"1": 1655, "2": 295, "3": 176},
        "columns": (21, 0),
        "missing": 0,
    },
    "hcv.csv": {
        "drop": None,
        "classes": {
            "0=Blood Donor": 533,
            "0s=suspect Blood Donor": 7,
            "1=Hepatitis": 24,
            "2=Fibrosis": 21,
            "3=Cirrhosis": 30,
        },
        "columns": (10, 1),
        "missing": 31,
    },
}


@pytest.fixture(scope="module", params=TABLES)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def expected(name):
    return TABLES[name]


@pytest.fixture(scope="module")
def real(name, expected):
    path = Path(FOLDER) / name
    if not path.is_file():
        pytest.skip(f"MEDDISTILL_DATA has no {name}")
    return table(str(path), "target", drop=[expected["drop"]] if expected["drop"] else [])


@pytest.fixture(scope="module")
def parts(real):
    return split_cohort(real)


@pytest.fixture(scope="module")
def module(real, parts):
    return CohortDataModule(real, parts)


def test_it_loads_with_its_rows_classes_and_columns(real, expected):
    counts = np.bincount(real.target).tolist()
    assert dict(zip(real.classes, counts, strict=True)) == expected["classes"]
    assert len(real.records.frame) == sum(counts)
    assert (len(real.records.schema.numeric), len(real.records.schema.categorical)) == expected[
        "columns"
    ]
    assert expected["drop"] not in real.records.frame
    assert "target" not in real.records.frame


def test_no_missing_cell_is_lost_or_invented(real, expected):
    assert real.records.frame.isna().sum().sum() == expected["missing"]


def test_each_part_has_its_share_of_each_class(real, parts):
    for part, share in zip(PARTS, (0.6, 0.2, 0.2), strict=True):
        counts = np.bincount(real.target[parts.part(part)], minlength=len(real.classes))
        assert (counts > 0).all()
        # a few rows aside, since copies go together and counts are rounded
        assert np.abs(counts - share * np.bincount(real.target)).max() <= 10


def test_no_row_of_one_part_has_a_copy_in_another(real, parts):
    contents = [set(real.content[parts.part(part)]) for part in PARTS]
    assert sum(map(len, contents)) == len(set.union(*contents))


def test_inputs_are_finite_float32_and_numbers_scaled_by_the_training_rows(real, parts, module):
    assert module.rows.inputs.dtype == torch.float32
    assert module.rows.inputs.isfinite().all()
    assert len(module.rows.inputs) == len(real.target)
    numeric = module.rows.inputs[parts.train][:, : len(real.records.schema.numeric)].double()
    torch.testing.assert_close(
        numeric.mean(0), torch.zeros(numeric.shape[1]).double(), atol=1e-5, rtol=0
    )
    torch.testing.assert_close(
        numeric.std(0, correction=0), torch.ones(numeric.shape[1]).double(), atol=1e-4, rtol=0
    )


def test_a_tenth_of_the_labels_still_has_every_class(real, parts, module):
    labelled = parts.labelled(real.target, 0.1)
    for positions in (parts.train, parts.validation):
        known = positions[labelled[positions]]
        assert set(real.target[known]) == set(range(len(real.classes)))
        assert len(known) < 0.2 * len(positions)
