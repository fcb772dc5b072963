"""Files of series as cohorts: outcomes, ids, groups and official parts, each mistake named."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf

from made_series import as_long, made_arrays, save_long, save_series
from meddistill.config.identity import identity
from meddistill.data.series.beside import check_columns
from meddistill.data.series.long_table import series_table
from meddistill.data.series.npz import series_npz
from meddistill.data.split import split_cohort
from meddistill.errors import UserError

REAL = Path(os.environ.get("MEDDISTILL_DATA", Path(__file__).parents[4] / "shared" / "data"))


def read_arrays(folder, arrays=None, **settings):
    np.savez(folder / "series.npz", **(arrays or made_arrays()))
    return series_npz(str(folder / "series.npz"), **settings)


def read_tables(folder, change=None, **settings):
    arrays = made_arrays()
    long, static = as_long(arrays)
    static["died"] = arrays["y"]
    if change:
        long, static = change(long, static)
    long.to_csv(folder / "long.csv", index=False)
    static.to_csv(folder / "outcomes.csv", index=False)
    paths = [str(folder / f"{name}.csv") for name in ("long", "outcomes")]
    return series_table(*paths, **{"target": "died", "static": ["age", "unit"], **settings})


def test_arrays_and_long_tables_are_the_same_cohort(tmp_path):
    one = read_arrays(tmp_path, static=["age", "unit"], id="record_id", positive=1)
    other = read_tables(tmp_path, positive=1, id="id")
    assert np.array_equal(one.content, other.content)
    assert np.array_equal(one.target, other.target)
    assert one.row.tolist() == other.row.tolist()
    assert other.records.index.tolist() == other.row.tolist()


def test_rows_in_parquet_are_those_in_csv(tmp_path):
    csv = read_tables(tmp_path)
    for name in ("long", "outcomes"):
        pd.read_csv(tmp_path / f"{name}.csv").to_parquet(tmp_path / f"{name}.parquet")
    paths = [str(tmp_path / f"{name}.parquet") for name in ("long", "outcomes")]
    parquet = series_table(*paths, target="died", static=["age", "unit"])
    assert np.array_equal(csv.content, parquet.content)


def test_official_parts_are_kept_and_validation_rows_come_from_the_training_part(tmp_path):
    cohort = read_arrays(tmp_path, part="set", parts={"train": "a", "test": ["b"]})
    split = split_cohort(cohort, split="official")
    where = made_arrays()["set"]
    assert set(where[split.test]) == {"b"}
    assert set(where[np.concatenate([split.train, split.validation])]) == {"a"}
    assert len(split.validation) == 8


def test_class_numbers_get_their_names(tmp_path):
    arrays = made_arrays() | {"classes": np.array(["well", "ill"])}
    by_array = read_arrays(tmp_path, arrays, classes="classes", positive="ill")
    by_list = read_arrays(tmp_path, classes=["well", "ill"], positive="ill")
    assert by_array.classes == by_list.classes == ("well", "ill")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"target": "z"}, "no array 'z'"),
        ({"lengths": "n"}, "data.lengths=n: no such array; there are 'X'"),
        ({"static": ["height"]}, "no array 'height' (a static column)"),
        ({"static": ["X"]}, "array 'X' has shape (60, 8, 3)"),
        ({"id": "set"}, "holds 'a' more than once"),
        ({"part": "set"}, "data.part=set: needs data.parts beside it"),
        ({"part": "set", "parts": {"train": "a"}}, "says nothing of 'b'"),
        ({"part": "set", "parts": {"fit": "a"}}, "data.parts=fit: is none of"),
        ({"part": "set", "parts": {"train": "a", "test": "a"}}, "has a in two parts"),
        ({"classes": ["well"]}, "is no number of one of the 1 classes"),
        ({"step": 0}, "data.step=0"),
        ({"classes": 3}, "data.classes=3: must be the name of an array, or a list"),
        ({"until": "noon"}, "data.until=noon: must be a number"),
        ({"static": "age"}, "data.static=age: must be a list: data.static=[age]"),
        ({"static": ["age", "age"]}, "names a column twice"),
        ({"part": "set", "parts": "a"}, "data.parts=a: must be a mapping"),
        ({"until": -1}, "row 0 has no step until -1"),
    ],
)
def test_what_is_wrong_in_settings_of_arrays_is_named(tmp_path, settings, said):
    with pytest.raises(UserError) as error:
        read_arrays(tmp_path, **settings)
    assert said in str(error.value)


@pytest.mark.parametrize("role", ["target", "id", "group", "part"])
@pytest.mark.parametrize("read", [read_arrays, read_tables])
def test_a_static_column_that_is_the_outcome_or_whose_row_it_is_is_refused(read, role, tmp_path):
    usual = {"target": "y" if read is read_arrays else "died", "id": "id", "group": "unit"}
    column = usual.get(role, "age")
    settings = {role: column, "static": list(dict.fromkeys(["age", column]))}
    with pytest.raises(UserError, match=rf"data.static=.* names '{column}', which is data.{role}"):
        read(tmp_path, **settings)


def test_an_id_without_an_outcome_is_left_out_and_said(tmp_path):
    cohort = read_tables(tmp_path, lambda long, static: (long, static[5:]))
    assert len(cohort.target) == 55
    assert any("5 id(s) without an outcome are left out: '100'" in note for note in cohort.notes)


def test_an_outcome_without_series_is_refused_with_the_ids(tmp_path):
    with pytest.raises(UserError, match="id '100' has an outcome and no row in the long table"):
        read_tables(tmp_path, lambda long, static: (long[long["id"] != 100], static))


def test_what_is_later_than_the_prediction_is_cut_and_who_has_nothing_by_then_is_left_out(tmp_path):
    def late(long, static):
        long.loc[long["id"] == 100, "time"] += 50
        return long, static

    cohort = read_tables(tmp_path, late, until=3)
    assert np.nanmax(cohort.records.times) == 3
    assert len(cohort.target) == 59
    notes = " ".join(cohort.notes)
    assert "later than 3 (data.until) are not read" in notes
    assert "1 id(s) have no row by then and are left out: '100'" in notes


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda long, static: (long.assign(value="x"), static), "row 2: 'x'"),
        (lambda long, static: (long, static.rename(columns={"unit": "u"})), "no column 'unit'"),
        (lambda long, static: (long, static.rename(columns={"id": "nr"})), "no column 'id'"),
        (lambda long, static: (long, pd.concat([static, static[:1]])), "holds '100' more than"),
    ],
)
def test_what_is_wrong_in_tables_is_named(tmp_path, change, said):
    with pytest.raises(UserError) as error:
        read_tables(tmp_path, change)
    assert said in str(error.value)


def test_impossible_values_rows_without_any_and_copies_are_said(tmp_path):
    arrays = made_arrays(rows=400)
    arrays["X"] = arrays["X"].astype(np.float32)
    arrays["X"][3, 0, 1] = 735
    arrays["X"][7] = np.nan
    for name in ("X", "lengths", "age", "unit"):
        arrays[name][9] = arrays[name][8]
    notes = " ".join(read_arrays(tmp_path, arrays, static=["age", "unit"]).notes)
    assert "values far off all others in pH (735)" in notes
    assert "row(s) without any value are kept" in notes
    assert "1 row(s) are exact copies of others" in notes


def test_other_outcomes_are_another_run(tmp_path):
    settings = {"data": {"path": str(tmp_path / "a"), "outcomes_path": str(tmp_path / "b")}}
    for name in ("a", "b"):
        (tmp_path / name).write_text("one")
    before = identity(settings)
    (tmp_path / "b").write_text("two")
    assert identity(settings) != before


@pytest.mark.parametrize(
    ("name", "rows", "parts"),
    [("icu_mortality_48h", 7996, [3197, 799, 4000]), ("heart_sounds", 800, None)],
)
def test_presets_read_the_real_files(name, rows, parts, monkeypatch):
    from hydra import compose, initialize_config_dir

    from meddistill.config.compose import build
    from meddistill.config.confdir import conf_dir
    from meddistill.data.source import source, split_rows

    monkeypatch.setenv("MEDDISTILL_DATA", str(REAL))
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        config = compose("distill", [f"data={name}"])
    if not Path(config.data.path).exists():
        pytest.skip(f"{config.data.path} is absent")
    settings = {"data": OmegaConf.to_container(config.data)}
    cohort = build(source(settings), "data")
    split = split_rows(settings, cohort)
    assert len(cohort.target) == rows
    if parts:
        assert [len(split.part(part)) for part in ("train", "validation", "test")] == parts


@pytest.mark.parametrize("saved", [save_series, save_long])
def test_every_form_goes_through_the_command_line(saved, tmp_path, meddistill):
    small = ["teacher=gru", "teacher.network.width=4", "teacher.trainer.max_epochs=2"]
    code, out, err = meddistill(
        "distill", *saved(tmp_path), *small, "student=gru_small", "trainer.max_epochs=2"
    )
    assert code == 0, err
    assert "3 to 8 steps of 3 variables" in out


def test_no_static_column_that_is_read_is_taken_for_an_absent_one():
    frame = pd.DataFrame(columns=["id", "sofa_min", "Age"])
    with pytest.raises(UserError, match=r"no column 'sofa_max'; there are"):
        check_columns(["sofa_max", "sofa_min"], frame)
    with pytest.raises(UserError, match=r"no column 'age' \(is 'Age' meant\?\)"):
        check_columns(["age", "sofa_min"], frame)
