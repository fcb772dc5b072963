"""Series without labels beside the data: read as new ones, and none that is held back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from made_series import as_long, made_arrays, made_cohort
from meddistill.data.datamodule import CohortDataModule
from meddistill.data.held_back import check_unlabelled
from meddistill.data.series.long_table import series_table
from meddistill.data.series.npz import series_npz
from meddistill.data.split import split_cohort
from meddistill.errors import SettingError, UserError

STATIC = ["age", "unit"]


def others(**changed):
    """Arrays of nine patients who are not among the data's sixty."""
    arrays = made_arrays(rows=9, seed=5)
    return {**arrays, "record_id": np.arange(900, 909), **changed}


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """Sixty patients as arrays and as tables, and nine others."""
    monkeypatch.chdir(tmp_path)
    arrays = made_arrays()
    np.savez("own.npz", **arrays, ward=np.arange(60) // 2)
    long, static = as_long(arrays)
    long.to_csv("own.csv", index=False)
    static.assign(died=arrays["y"], ward=np.arange(60) // 2).to_csv("outcomes.csv", index=False)
    save()


def save(**changed):
    """The others as arrays, as a long table, and with static columns among the measurements."""
    arrays = others(**changed)
    np.savez("more.npz", **arrays)
    if arrays["X"].shape != (9, 8, 3) or arrays["lengths"].max() > 8:
        return
    long, static = as_long(arrays)
    long.to_csv("more.csv", index=False)
    static.to_csv("static.csv", index=False)
    long.merge(static, on="id").to_csv("merged.csv", index=False)


def of_npz(more="more.npz", **settings):
    given = {"static": STATIC, "id": "record_id", "positive": 1, "unlabelled": more}
    return series_npz("own.npz", **{**given, **settings})


def of_tables(more="merged.csv", **settings):
    given = {"target": "died", "static": STATIC, "positive": 1, "unlabelled": more}
    return series_table("own.csv", "outcomes.csv", **{**given, **settings})


def beside(more="more.csv", **settings):
    return of_tables(more, **{"unlabelled_static_path": "static.csv", **settings})


def module(cohort, **settings):
    return CohortDataModule(cohort, split_cohort(cohort), **settings)


# The file


@pytest.mark.parametrize(
    ("read", "more"),
    [(of_npz, "more.npz"), (of_npz, "merged.csv"), (of_tables, "merged.csv"), (beside, "more.csv")],
)
def test_arrays_and_long_tables_give_the_same_rows(read, more):
    cohort = read(more)
    found, plain = cohort.unlabelled, of_npz(None)
    assert found.records.variables == plain.records.variables
    assert cohort.fingerprint == replace(cohort, unlabelled=None).fingerprint
    assert np.array_equal(found.content, of_npz().unlabelled.content)
    assert found.row.tolist() == [str(k) for k in range(900, 909)]
    assert "9 rows without labels" in cohort.notes[-1]
    check_unlabelled(module(cohort))


def test_a_diagnosis_beside_them_is_not_read_and_that_is_said():
    assert "their array 'y' is not read" in of_npz().notes[-1]
    pd.read_csv("merged.csv").assign(died=1).to_csv("merged.csv", index=False)
    assert "their column 'died' is not read" in of_tables().notes[-1]


def test_steps_times_and_the_time_of_prediction_are_those_of_the_data():
    save(X=np.concatenate([others()["X"], others()["X"]], axis=1), lengths=np.full(9, 16))
    data = module(of_npz()).with_unlabelled(of_npz().unlabelled.records)
    assert data.rows.inputs.shape[1] == 8
    for cohort in (of_npz(until=4), of_tables(until=4, step=2)):
        assert np.nanmax(cohort.unlabelled.records.times) <= 4
    assert np.nanmax(of_tables(until=4, step=2).unlabelled.records.lengths) == 3


@pytest.mark.parametrize(
    ("read", "change", "more", "says"),
    [
        (of_npz, {}, "nowhere.npz", "no such file"),
        (of_npz, {}, ".", "is a folder, and a table is one file"),
        (of_npz, {"X": others()["X"][:, :, :0]}, "more.npz", "array 'X' has shape (9, 8, 0)"),
        (of_npz, {"lengths": np.full(9, 99)}, "more.npz", "row 0: length 99 is beyond the 8 steps"),
        (of_npz, {"variables": np.array(["HR", "pH", "K"])}, "more.npz", "lack variables"),
        (of_npz, {"age": np.array(["old"] * 9)}, "more.npz", "column 'age'"),
        (of_npz, {"record_id": np.zeros(9)}, "more.npz", "holds '0' more than once"),
        (of_tables, {}, "more.csv", "lacks static columns of the data, 'age', 'unit'"),
        (of_tables, {"variables": np.array(list("abc"))}, "merged.csv", "none of the variables"),
    ],
)  # fmt: skip
def test_what_predict_would_refuse_is_refused_by_name(read, change, more, says):
    save(**change)
    with pytest.raises(SettingError) as caught:
        read(more)
    assert str(caught.value).startswith(f"data.unlabelled={more}: ")
    assert says in str(caught.value)


def test_arrays_without_what_the_data_are_known_by_are_refused():
    for missing, says in {
        "X": "no array 'X'",
        "age": "no array 'age' (a static column)",
        "record_id": "lacks array 'record_id' (data.id), without which",
    }.items():
        np.savez("less.npz", **{k: each for k, each in others().items() if k != missing})
        with pytest.raises(SettingError) as caught:
            of_npz("less.npz")
        assert f"data.unlabelled=less.npz: {says}" in str(caught.value)


@pytest.mark.parametrize(
    ("read", "says"),
    [
        (lambda: beside("more.npz"), "data.unlabelled_static_path=static.csv: stands beside a"),
        (lambda: beside(None), "data.unlabelled_static_path=static.csv: stands beside data"),
        (
            lambda: beside(unlabelled_static_path="no.csv"),
            "data.unlabelled_static_path=no.csv: no such file",
        ),
        (lambda: beside(group="ward"), "data.unlabelled=more.csv: lacks column 'ward' (data.gro"),
    ],
)  # fmt: skip
def test_a_table_beside_them_is_read_where_it_is_asked_for(read, says):
    with pytest.raises(UserError) as caught:
        read()
    assert str(caught.value).startswith(says)


def test_what_is_odd_about_them_is_said_as_of_new_rows(caplog):
    save(age=others()["age"] + 1000)
    check_unlabelled(module(of_npz()))
    assert "data.unlabelled: values far off those of training in 'age'" in caplog.text


# Beside a split


@pytest.mark.parametrize("read", [of_npz, of_tables, beside])
@pytest.mark.parametrize("part", ["test", "validation"])
def test_a_patient_who_is_held_back_is_refused_by_id_content_and_group(read, part):
    data = module(read())
    held = data.split.part(part)[2]
    own = {name: each[[held]] for name, each in made_arrays().items() if len(each) == 60}
    known = int(data.cohort.row[held])
    new = others()
    ids = np.r_[[known], np.arange(901, 909)]
    copied = {
        name: np.concatenate([own[name], each[1:]]) if name in own else each
        for name, each in new.items()
    }
    for changed, says in (
        ({"record_id": ids}, f"1 of its rows have the ids .* {part} part .first: id {known}"),
        ({"record_id": np.r_[[f"0{known}"], ids[1:]]}, f"the id of 1 .* the {part} part"),
        ({**copied, "record_id": np.arange(900, 909)}, f"1 of its rows are exact .* {part} part"),
    ):
        save(**changed)
        with pytest.raises(SettingError, match=says):
            check_unlabelled(module(read()))


def test_a_patient_of_a_group_that_is_held_back_is_refused():
    def read(groups):
        save(ward=groups)
        table = pd.read_csv("static.csv").assign(ward=groups)
        table.to_csv("static.csv", index=False)
        pd.read_csv("more.csv").merge(table, on="id").to_csv("merged.csv", index=False)
        return [each(group="ward") for each in (of_npz, of_tables, beside)]

    for cohort in read(np.arange(800, 809)):
        assert cohort.unlabelled.group.tolist() == [str(k) for k in range(800, 809)]
        check_unlabelled(module(cohort))
        held = int(cohort.group[module(cohort).split.test[0]])
    for cohort in read(np.r_[[held], np.arange(801, 809)]):
        with pytest.raises(SettingError, match="1 of its rows belong to groups of the test part"):
            check_unlabelled(module(cohort))


# In memory


def test_all_splits_share_one_copy_of_them():
    cohort = of_npz()
    modules = [CohortDataModule(cohort, split_cohort(cohort, split_seed=seed)) for seed in (0, 1)]
    one, two = (each.with_unlabelled(cohort.unlabelled.records) for each in modules)
    assert one.rows.inputs.data_ptr() == two.rows.inputs.data_ptr()
    read = one.preprocessing(one.preprocessing.read(cohort.unlabelled.records))
    np.testing.assert_array_equal(one.rows.inputs[60:].numpy(), read)


def test_a_live_teacher_of_variables_in_another_order_reads_its_own():
    cohort = made_cohort()
    block = cohort.records.block[:, :, [0, 2, 1, 3, 4, 5]]
    turned = replace(cohort.records, block=block, variables=("pH", "HR", "rare"))
    split = split_cohort(cohort)
    teacher = CohortDataModule(replace(cohort, records=turned), split).preprocessing
    taught = CohortDataModule(cohort, split).with_live_teacher(teacher)
    read = taught.read_at(np.arange(60))
    assert torch.equal(read.teacher_inputs[..., [0, 2, 1]], read.inputs[..., [0, 1, 2]])
