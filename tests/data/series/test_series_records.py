"""Series in one array: copies are equal however they are padded, and rows are described."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from made_series import made_arrays, made_records, made_spec
from meddistill.data.series.reading import read_records


def test_half_precision_is_widened_and_all_rows_lie_in_one_array():
    records = made_records()
    assert records.block.dtype == np.float32
    assert records.block.shape == (60, 8, 1 + 3 + 2)
    assert np.shares_memory(records.values, records.block)
    assert records.nbytes == records.block.nbytes


def test_equal_series_have_equal_hashes_however_far_they_are_padded_and_whatever_others_there_are():
    arrays = made_arrays()
    arrays["X"][1], arrays["X"][2] = arrays["X"][0], arrays["X"][0]
    arrays["lengths"][:3] = 5
    arrays["X"][2, 6:] = 1.0  # padding
    arrays["age"][:3], arrays["unit"][:3] = 50, "surgical"
    one = read_records(arrays, made_spec())
    hashes = one.hashes()
    assert hashes[0] == hashes[1] == hashes[2]
    assert len(np.unique(hashes)) == 58
    few = {name: each[:1] if len(each) == 60 else each for name, each in arrays.items()}
    few["X"] = few["X"][:, :5]
    assert read_records(few, made_spec()).hashes()[0] == hashes[0]


@pytest.mark.parametrize("column", ["X", "age", "unit"])
def test_another_cell_is_another_hash(column):
    arrays = made_arrays()
    before = read_records(arrays, made_spec()).hashes()
    if column == "X":
        arrays["X"][4, 0, 0] = 12.0
    else:
        arrays[column][4] = {"age": 1.0, "unit": "rare"}[column]
    changed = before != read_records(arrays, made_spec()).hashes()
    assert np.flatnonzero(changed).tolist() == [4]


def test_zeros_of_either_sign_are_one():
    records = made_records()
    block = records.block.copy()
    block[0, 0, 1] = 0.0
    other = block.copy()
    other[0, 0, 1] = -0.0
    assert np.array_equal(
        replace(records, block=block).hashes(), replace(records, block=other).hashes()
    )


def test_rows_are_taken_and_described():
    records = made_records()
    assert "3 to 8 steps of 3 variables" in records.describe()
    assert "of cells missing; 2 static columns" in records.describe()
    taken = records.take(np.array([5, 2]))
    assert len(taken) == 2
    assert np.array_equal(taken.hashes(), records.hashes()[[5, 2]])
    assert taken.spec == records.spec
