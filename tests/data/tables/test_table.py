"""Anyone's table: what is read, what is guessed and said, and what is refused with a way out."""

from __future__ import annotations

import gzip
import re
import shlex

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from meddistill.data.split import PARTS, split_cohort
from meddistill.data.tables.table import table
from meddistill.errors import SettingError, UserError, typed

ROWS = 24


def patients(**columns):
    """Ages all different, two sexes, a third of the rows ill; `columns` replace or come besides."""
    number = np.arange(ROWS)
    frame = pd.DataFrame({"age": number * 7 % 48 + 30.5, "sex": np.array(["f", "m"])[number % 2]})
    return frame.assign(**{"diagnosis": (number % 3 == 0).astype(int), **columns})


def each(*values):
    """A column that repeats `values`."""
    return [values[row % len(values)] for row in range(ROWS)]


@pytest.fixture
def write(tmp_path):
    def write(content, name="patients.csv", **settings):
        path = tmp_path / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif isinstance(content, str):
            path.write_text(content, encoding="utf-8")
        elif name.endswith(".parquet"):
            content.to_parquet(path, **settings)
        else:
            content.to_csv(path, **{"index": False, **settings})
        return str(path)

    return write


@pytest.fixture
def read(write):
    def read(content, name="patients.csv", target="diagnosis", **settings):
        return table(write(content, name), target, **settings)

    return read


@pytest.fixture
def refused(read):
    """The message that a table is refused with."""

    def refused(*content, **settings):
        with pytest.raises(UserError) as caught:
            read(*content, **settings)
        return str(caught.value)

    return refused


# What is read


def test_numbers_and_text_become_numeric_and_categorical_columns_and_the_note_says_so(read):
    cohort = read(patients())
    assert (cohort.records.schema.numeric, cohort.records.schema.categorical) == (
        ("age",),
        ("sex",),
    )
    assert cohort.records.frame["age"].dtype == np.float64
    assert cohort.records.frame["age"].tolist() == patients()["age"].tolist()
    assert cohort.records.frame["sex"].tolist() == patients()["sex"].tolist()
    assert cohort.target.tolist() == patients()["diagnosis"].tolist()
    assert "columns read as numeric (1): 'age'; categorical (1): 'sex'" in cohort.notes
    assert cohort.name == "patients.csv"
    assert not cohort.has_ids
    assert cohort.row.tolist() == [str(row) for row in range(ROWS)]


@pytest.mark.parametrize("name", ["p.parquet", "p.csv.gz", "p.tsv"])
def test_the_same_rows_are_the_same_cohort_in_every_file_format(read, name):
    frame = patients(stage=each(1, None, 3), ward=each("a", "b", None, "c"))
    content = frame.to_csv(index=False, sep="\t") if name == "p.tsv" else frame
    assert read(content, name).fingerprint == read(frame).fingerprint


@pytest.mark.parametrize("name", ["p.csv", "p.parquet"])
def test_empty_cells_and_the_question_mark_are_missing_numbers_and_categories(read, name):
    cohort = read(patients(age=each("1.5", "?", "", " ? "), sex=each("f", "?", None, "m")), name)
    assert cohort.records.schema.numeric == ("age",)
    assert cohort.records.frame["age"].isna().tolist() == each(False, True, True, True)
    assert cohort.records.frame["sex"].isna().tolist() == each(False, True, True, False)


@pytest.mark.parametrize("name", ["p.csv", "p.parquet"])
@pytest.mark.parametrize("missing", [[-999], ["-999"], [-999, "?"]], ids=str)
@pytest.mark.parametrize("column", ["number", "text"])
def test_a_missing_code_is_missing_however_it_and_the_column_are_typed(read, name, missing, column):
    coded = each(-999, 4, 7, 5) if column == "number" else each("-999", "low", "low", "high")
    cohort = read(patients(marker=coded), name, missing=missing)
    assert cohort.records.frame["marker"].isna().tolist() == each(True, False, False, False)


def test_spaces_around_names_and_cells_and_a_byte_order_mark_are_no_part_of_them(read):
    text = patients().to_csv(index=False).replace(",", " , ")
    cohort = read(text.encode("utf-8-sig"))
    assert cohort.fingerprint == read(patients()).fingerprint


def test_decimal_commas_are_read_as_numbers(read):
    frame = patients(lab=each("1,5E-02", " 12,25", "-3", "+,5"))
    cohort = read(frame.to_csv(index=False, sep=";", decimal=","), separator=";", decimal=",")
    assert cohort.records.schema.numeric == ("age", "lab")
    assert cohort.records.frame["age"].tolist() == patients()["age"].tolist()
    assert cohort.records.frame["lab"].tolist() == each(0.015, 12.25, -3.0, 0.5)


def test_blank_lines_are_no_rows_and_line_numbers_still_count_them(read, refused):
    head, *rows = patients().to_csv(index=False).splitlines()
    text = "\n".join([head, "", rows[0], "", "", *rows[1:], "", ""])
    assert read(text).fingerprint == read(patients()).fingerprint
    assert "'age', row 7: 'forty'" in refused(text.replace(rows[2], "forty,f,0"))


def test_a_quoted_separator_and_a_quoted_line_break_are_part_of_their_cell(read):
    cohort = read(patients(sex=each("f, she", "m\nhe")))
    assert cohort.records.frame["sex"].tolist() == each("f, she", "m\nhe")


# Classes


@pytest.mark.parametrize(
    ("healthy", "ill", "classes"),
    [
        ("0", "1", ("0", "1")),
        ("0.0", "1.0", ("0", "1")),
        ("no", "yes", ("no", "yes")),
        ("B", "M", ("B", "M")),
        ("False", "True", ("False", "True")),
        ("2", "1", ("2", "1")),
    ],
)
def test_a_binary_diagnosis_may_be_spelled_in_any_way(read, healthy, ill, classes):
    cohort = read(patients(diagnosis=each(ill, healthy, healthy)))
    assert cohort.classes == classes
    assert cohort.positive == classes[1]
    assert cohort.target.tolist() == each(1, 0, 0)


@pytest.mark.parametrize("name", ["p.csv", "p.parquet"])
@pytest.mark.parametrize(
    ("cells", "classes"),
    [((1, 0, 0), ("0", "1")), ((1.0, 0.0, 0.0), ("0", "1")), ((True, False, False), None)],
)
def test_typed_labels_have_the_same_class_names_in_csv_and_parquet(read, name, cells, classes):
    cohort = read(patients(diagnosis=each(*cells)), name)
    assert cohort.classes == (classes or ("False", "True"))
    assert cohort.target.tolist() == each(1, 0, 0)


def test_one_and_one_point_zero_are_one_class(read):
    assert read(patients(diagnosis=each("1", "1.0", "0", "0.0"))).classes == ("0", "1")


def test_many_classes_stand_in_the_order_of_their_numbers_and_none_is_positive(read):
    cohort = read(patients(diagnosis=each(10, 9, 1)))
    assert cohort.classes == ("1", "9", "10")
    assert cohort.target.tolist() == each(2, 1, 0)
    assert cohort.positive is None
    assert not any("positive" in note for note in cohort.notes)
    assert "1 8, 9 8, 10 8" in cohort.describe()


def test_many_classes_may_be_words(read):
    cohort = read(patients(diagnosis=each("mild", "none at all", "severe")))
    assert cohort.classes == ("mild", "none at all", "severe")


@pytest.mark.parametrize(
    ("cells", "positive", "chosen"),
    [
        (("M", "B", "B"), "B", "B"),
        (("M", "B", "B"), "m", "M"),
        ((1, 0, 0), 0, "0"),
        ((1, 0, 0), 1.0, "1"),
        (("false", "true", "true"), True, "true"),
        (("True", "False", "False"), False, "False"),
    ],
)
def test_the_given_positive_class_is_class_1_and_nothing_is_guessed(read, cells, positive, chosen):
    cohort = read(patients(diagnosis=each(*cells)), positive=positive)
    assert cohort.positive == chosen
    assert cohort.target.tolist() == [str(cell) == chosen for cell in each(*cells)]
    assert not any("guessed" in note for note in cohort.notes)


def test_the_positive_class_is_guessed_by_its_spelling_even_where_it_is_the_commoner(read):
    cohort = read(patients(diagnosis=each("Yes", "Yes", "No")))
    assert cohort.positive == "Yes"
    note = "positive class: 'Yes', guessed by its spelling (data.positive sets it)"
    assert note in cohort.notes


def test_the_positive_class_is_else_guessed_to_be_the_rarer_one(read):
    cohort = read(patients(diagnosis=each("B", "A", "B")))
    assert cohort.positive == "A"
    assert "positive class: 'A', guessed by the rarer class (data.positive sets it)" in cohort.notes


@pytest.mark.parametrize("positive", [2, 1.5, float("nan"), "ill", True])
def test_a_positive_class_that_is_none_is_refused_with_the_classes(refused, positive):
    message = refused(patients(), positive=positive)
    assert f"data.positive={typed(positive)}" in message
    assert "the classes are ['0', '1']" in message


def test_a_positive_class_among_three_is_refused(refused):
    message = refused(patients(diagnosis=each("a", "b", "c")), positive="a")
    assert message == "data.positive=a: there are 3 classes, so none is positive"


# Columns


def test_the_id_column_names_the_rows_and_is_no_feature(read):
    ids = [f"P{row:02}" for row in range(ROWS)]
    cohort = read(patients(pid=ids), id="pid")
    assert cohort.row.tolist() == cohort.keys == ids
    assert cohort.has_ids
    assert "pid" not in cohort.records.frame


def test_an_id_is_spelled_the_same_in_csv_and_parquet(read):
    frame = patients(pid=np.arange(ROWS) + 1000.0)
    in_parquet = read(frame, "p.parquet", id="pid").keys
    assert in_parquet == [str(1000 + row) for row in range(ROWS)]
    assert in_parquet == read(frame.astype({"pid": int}), id="pid").keys


@pytest.mark.parametrize("first", [0, 1000])
def test_the_index_of_a_parquet_file_may_be_the_id(read, first):
    named = patients().set_index(pd.RangeIndex(first, first + ROWS, name="pid"))
    assert read(named, "p.parquet", id="pid").keys == [str(first + row) for row in range(ROWS)]


def test_without_ids_a_row_is_recognised_by_its_content_and_copies_by_their_count(read):
    frame = pd.concat([patients(), patients().iloc[[5, 5]]])
    cohort, backwards = read(frame), read(frame[::-1])
    assert len(set(cohort.keys)) == ROWS + 2
    assert set(cohort.keys) == set(backwards.keys)
    assert cohort.keys[0] == backwards.keys[-1]


def test_dropped_columns_are_no_features_and_make_no_row_another(read):
    frame = pd.concat([patients(), patients().iloc[[3]]], ignore_index=True)
    cohort = read(frame.assign(visit=np.arange(len(frame)) % 9 + 0.5), drop=["visit"])
    assert cohort.records.schema.columns == ["age", "sex"]
    assert any(note.startswith("1 row(s) are exact copies") for note in cohort.notes)


def test_a_column_of_dates_is_refused_until_it_is_dropped_as_the_message_says(read, refused):
    frame = patients(seen=pd.date_range("2020-01-01", periods=ROWS))
    message = refused(frame, "p.parquet")
    assert "dates or times of day: column 'seen', row 1: '2020-01-01 00:00:00'" in message
    assert "data.drop=['seen']" in message
    assert "seen" not in read(frame, "p.parquet", drop=["seen"]).records.frame


@pytest.mark.parametrize("cell", [[1, 2], {"low": 1}], ids=["list", "struct"])
def test_a_column_of_lists_is_refused_until_it_is_dropped_as_the_message_says(read, refused, cell):
    frame = patients(trace=each(None, cell))
    message = refused(frame, "p.parquet")
    assert "a list in each cell: column 'trace', row 2" in message
    assert "data.drop=['trace']" in message
    assert "trace" not in read(frame, "p.parquet", drop=["trace"]).records.frame


def test_a_code_is_a_category_where_the_user_says_so(read):
    cohort = read(patients(stage=each(1, 2, 3)), "p.parquet", categorical=["stage"])
    assert cohort.records.schema.categorical == ("sex", "stage")
    assert cohort.records.frame["stage"].tolist() == each("1", "2", "3")


def test_a_count_that_looks_like_an_id_is_a_number_where_the_user_says_so(read):
    frame = patients(days=np.arange(ROWS))
    assert "days" not in read(frame).records.schema.columns
    assert "days" in read(frame, numeric=["days"]).records.schema.numeric


def test_text_in_a_column_that_the_user_calls_numeric_is_refused_by_row_and_value(refused):
    message = refused(patients(), numeric=["sex"])
    assert "column 'sex', row 2: 'f' is no number (24 such cells)" in message
    assert "data.missing" in message


def test_no_column_is_left_out_in_silence(read):
    frame = patients(
        pid=np.arange(ROWS),
        constant="same",
        empty=None,
        remark=[f"note {row}" for row in range(ROWS)],
        patient_id=np.random.default_rng(0).permutation(ROWS) + 100,
    )
    cohort = read(frame)
    assert cohort.records.schema.columns == ["age", "sex"]
    reasons = {
        "pid": "a different whole number in every row, like an id",
        "constant": "constant ('same' in every row)",
        "empty": "every cell is empty",
        "remark": "text that differs in nearly every row, like an id or free text",
        "patient_id": "a different whole number in every row, like an id",
    }
    for column, reason in reasons.items():
        assert any(
            f"'{column}'" in note and f" left out: {reason}" in note for note in cohort.notes
        )


@pytest.mark.parametrize("key", ["numeric", "categorical"])
def test_the_note_on_an_id_like_column_tells_how_to_keep_it(read, key):
    frame = patients(pid=np.arange(ROWS))
    note = next(note for note in read(frame).notes if "'pid'" in note)
    assert f"data.{key}=['pid']" in note
    assert "pid" in getattr(read(frame, **{key: ["pid"]}).records.schema, key)


def test_a_constant_of_a_parquet_file_is_named_by_its_value(read):
    notes = read(patients(site=1.0), "p.parquet").notes
    assert "column 'site' left out: constant ('1.0' in every row)" in notes


@pytest.mark.parametrize("name", ["p.csv", "p.parquet"])
def test_infinities_are_missing_and_counted_in_a_note(read, name):
    cohort = read(patients(lab=each(np.inf, 2.5, -np.inf, 4.5)), name)
    assert cohort.records.frame["lab"].isna().tolist() == each(True, False, True, False)
    note = "column 'lab': 12 infinite cell(s) read as missing (so is what is beyond 3.4e38)"
    assert note in cohort.notes


def test_copies_of_a_row_are_counted_in_a_note_and_stay_on_one_side_of_every_split(read):
    cohort = read(pd.concat([patients()] * 4))
    note = f"{3 * ROWS} row(s) are exact copies of others: copies stay on one side of every split"
    assert note in cohort.notes
    for seed in range(5):
        names = split_cohort(cohort, seed).names().reshape(4, ROWS)
        assert (names == names[0]).all()
        assert set(names[0]) == set(PARTS)


@pytest.mark.parametrize("key", ["target", "id", "drop", "numeric", "categorical"])
def test_a_column_that_is_not_there_is_named_with_its_key_and_those_that_are(refused, key):
    value = "Age" if key in ("target", "id") else ["Age"]
    message = refused(patients(), **{key: value})
    have = "'age', 'sex', 'diagnosis'"
    assert message == f"data.{key}=Age: no such column; is 'age' meant? The table has {have}"


def test_of_very_many_columns_a_message_lists_only_the_first(refused):
    genes = pd.DataFrame({f"gene{k}": np.arange(ROWS) ** 2 / 7 for k in range(100)})
    assert refused(pd.concat([patients(), genes], axis=1), target="y").endswith(
        "'gene16' and 83 more"
    )


# What is refused


def test_text_where_numbers_were_is_refused_by_row_and_value_with_three_ways_out(read, refused):
    lab = [str(row / 2) for row in range(ROWS)]
    lab[4] = lab[9] = "n.d."
    message = refused(patients(lab=lab))
    assert "column 'lab', row 6: 'n.d.' (2 such cells)" in message
    assert "mend the cells" in message
    assert "data.missing=\"['n.d.']\"" in message
    assert "data.categorical=['lab']" in message
    mended = read(patients(lab=lab), missing=["n.d."])
    assert mended.records.frame["lab"].isna().sum() == 2
    assert "lab" in read(patients(lab=lab), categorical=["lab"]).records.schema.categorical


def test_all_columns_with_text_among_numbers_are_named_at_once(refused):
    lab = ["high", *map(str, range(1, ROWS))]
    message = refused(patients(lab=lab, dose=lab[::-1]))
    assert "'lab', row 2" in message
    assert f"'dose', row {ROWS + 1}" in message


def test_a_row_of_a_parquet_file_is_counted_from_1(refused):
    lab = ["high", *map(str, range(1, ROWS))]
    assert "column 'lab', row 1: 'high'" in refused(patients(lab=lab), "p.parquet")


@pytest.mark.parametrize("name", ["p.csv", "p.parquet"])
@pytest.mark.parametrize("cell", [None, "?"])
def test_a_missing_diagnosis_is_refused_with_its_row(refused, name, cell):
    message = refused(patients(diagnosis=["1", "0", cell, cell, *each("1", "0")[4:]]), name)
    row = 4 if name == "p.csv" else 3
    assert f"column 'diagnosis' (data.target) is empty in 2 row(s), first in row {row}" in message
    assert "leave these rows out" in message


def test_a_single_class_is_refused(refused):
    message = refused(patients(diagnosis=1))
    assert message == "data.target=diagnosis: has one class only ('1'): a diagnosis needs two"


def test_a_table_of_one_row_is_refused(refused):
    assert "has one class only" in refused(patients().iloc[:1])


def test_a_measurement_as_target_is_refused(refused):
    message = refused(patients(), target="age")
    assert "data.target=age: has 24 different values in 24 rows" in message
    assert "choose a column with few classes" in message


def test_a_class_with_a_single_row_is_refused_by_name_when_rows_are_split(read):
    cohort = read(patients(diagnosis=["rare", *each("mild", "severe")[1:]]))
    with pytest.raises(UserError, match=r"class 'rare' has 1 row\(s\)") as caught:
        split_cohort(cohort)
    assert "merge it with another class or leave its rows out" in str(caught.value)


def test_an_id_twice_is_refused_by_its_value(refused):
    message = refused(patients(pid=["P7", "P7", *map(str, range(ROWS - 2))]), id="pid")
    assert "column 'pid' (data.id) holds 'P7' more than once" in message
    assert "put 'pid' in data.drop" in message


def test_an_empty_id_is_refused_by_its_row(refused):
    message = refused(patients(pid=["P7", None, *map(str, range(ROWS - 2))]), id="pid")
    assert message == "column 'pid' (data.id) is empty in row 3: every row needs an id"


def test_a_table_without_any_useful_column_is_refused_with_the_reasons(refused):
    message = refused(patients(age=40)[["age", "diagnosis"]])
    assert "no feature column is left" in message
    assert "column 'age' left out: constant ('40' in every row)" in message


def test_a_missing_file_is_refused_with_its_path(tmp_path):
    with pytest.raises(SettingError, match=r"data.path=.*absent\.csv: no such file"):
        table(str(tmp_path / "absent.csv"), "diagnosis")


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(SettingError, match="is a folder, and a table is one file"):
        table(str(tmp_path), "diagnosis")


@pytest.mark.parametrize("name", ["p.csv", "p.parquet"])
def test_an_empty_file_is_refused(refused, name):
    message = refused(b"", name)
    assert message.startswith("data.path=")
    assert message.endswith(f"{name}: the file is empty")


@pytest.mark.parametrize("name", ["p.csv", "p.parquet"])
def test_a_header_without_rows_is_refused(refused, name):
    assert "the table has a header but no rows" in refused(patients().iloc[:0], name)


@pytest.mark.parametrize("text", ["\n\n\n", "  ", "diagnosis\n1\n0\n"])
def test_a_table_of_one_column_is_refused(refused, text):
    message = refused(text)
    assert "is one column; a target and a feature are needed" in message
    assert "if it is a comment, remove the line" in message


@pytest.mark.parametrize("true", [";", "\t", "|", ","], ids=["semicolon", "tab", "bar", "comma"])
def test_a_wrong_separator_is_refused_and_the_advice_works_when_typed_into_a_shell(
    read, refused, true
):
    text = patients().to_csv(index=False, sep=true)
    message = refused(text, separator=":" if true == "," else ",")
    assert f"the header is one column, {text.splitlines()[0]!r}" in message
    (typed,) = shlex.split(re.search(r"set (\S+)$", message)[1])
    override = OverridesParser.create().parse_override(typed)
    assert override.key_or_group == "data.separator"
    assert read(text, separator=override.value()).fingerprint == read(patients()).fingerprint


@pytest.mark.parametrize("key", ["separator", "decimal"])
@pytest.mark.parametrize("value", ["", "::"])
def test_a_separator_or_decimal_mark_that_is_not_one_character_is_refused(refused, key, value):
    assert refused(patients(), **{key: value}) == f"data.{key}={value}: must be one character"


@pytest.mark.parametrize("header", ["age,age,diagnosis", "age, age ,diagnosis"])
def test_a_column_name_twice_is_refused(refused, header):
    message = refused(f"{header}\n1,2,0\n3,4,1\n")
    assert "column name 'age' stands twice in the header: rename one" in message


@pytest.mark.parametrize(
    ("row", "cells"), [("70.5,f", 2), ("70.5", 1), ("70.5,f,1,9", 4), ("70,5,f,1", 4)]
)
@pytest.mark.parametrize("place", [0, 5, ROWS], ids=["first", "middle", "last"])
def test_a_row_with_too_many_or_too_few_cells_is_refused_by_its_line(refused, row, cells, place):
    lines = patients().to_csv(index=False).splitlines()
    lines.insert(1 + place, row)
    message = refused("\n".join(lines))
    assert f"line {2 + place} has {cells} cell(s), the header 3" in message
    assert "must stand in double quotes" in message


def test_row_names_without_a_name_in_the_header_shift_no_column(refused):
    head, *rows = patients().to_csv(index=False).splitlines()
    named = "\n".join([head, *(f"{row},{cells}" for row, cells in enumerate(rows))])
    assert "line 2 has 4 cell(s), the header 3" in refused(named)


def test_a_separator_at_the_end_of_every_row_is_no_cell(read):
    text = patients().to_csv(index=False)
    head, *rows = text.splitlines()
    assert read("\n".join([head, *(f"{row}," for row in rows)])).fingerprint == (
        read(text).fingerprint
    )


def test_a_quote_that_never_closes_is_refused(refused):
    assert f"line {ROWS + 2} has 2 cell(s)" in refused(
        patients().to_csv(index=False) + '70.5,"f,1\n'
    )


@pytest.mark.parametrize("place", [2, ROWS])
def test_bytes_of_another_encoding_are_refused_with_the_key_that_mends_them(read, refused, place):
    sexes = each("f", "m")
    sexes[place - 1] = "männlich"
    content = patients(sex=sexes).to_csv(index=False).encode("latin-1")
    message = refused(content)
    assert "not readable as utf-8" in message
    assert "data.encoding=latin-1" in message
    assert read(content, encoding="latin-1").records.frame["sex"].tolist() == sexes


def test_an_encoding_that_is_none_is_refused(refused):
    assert "unknown encoding: klingon" in refused(patients(), encoding="klingon")


@pytest.mark.parametrize("kept", [5, 20, 0.5, -4])
def test_a_cut_gzip_file_is_refused(refused, kept):
    whole = gzip.compress(pd.concat([patients()] * 50).to_csv(index=False).encode(), mtime=0)
    cut = whole[: int(kept * len(whole)) if isinstance(kept, float) else kept]
    message = refused(cut, "p.csv.gz")
    assert message.startswith("data.path=")
    assert "can't be read as CSV" in message
    assert "ended before" in message


def test_a_damaged_gzip_file_is_refused_wherever_the_damage_is(write):
    whole = gzip.compress(pd.concat([patients()] * 50).to_csv(index=False).encode(), mtime=0)
    for start in range(0, len(whole) - 8, 16):
        damaged = whole[:start] + b"\xff" * 8 + whole[start + 8 :]
        path = write(damaged, "p.csv.gz")
        with pytest.raises(UserError, match=r"p\.csv\.gz"):
            table(path, "diagnosis")


def test_a_file_that_is_only_called_gzip_is_refused(refused):
    assert "Not a gzipped file" in refused(patients().to_csv(index=False).encode(), "p.csv.gz")


@pytest.mark.parametrize("damage", ["cut", "garbage", "csv"])
def test_a_corrupt_parquet_file_is_refused(refused, write, damage, tmp_path):
    write(patients(), "p.parquet")
    whole = (tmp_path / "p.parquet").read_bytes()
    content = {
        "cut": whole[: len(whole) // 2],
        "garbage": b"PAR1" + b"\xff" * 200 + b"PAR1",
        "csv": patients().to_csv(index=False).encode(),
    }[damage]
    message = refused(content, "p.parquet")
    assert message.startswith("data.path=")
    assert "p.parquet: can't be read as Parquet" in message


def test_an_index_with_the_name_of_a_column_is_refused(refused):
    frame = patients().set_index(pd.Index(np.arange(ROWS)[::-1], name="age"))
    assert "column name 'age' stands twice" in refused(frame, "p.parquet")


def test_a_column_name_twice_in_a_parquet_file_is_refused(tmp_path):
    lab = pa.array(np.arange(ROWS) / 7)
    twice = pa.table([lab, lab, pa.array(each(0, 1))], names=["lab", "lab", "diagnosis"])
    pq.write_table(twice, tmp_path / "p.parquet")
    with pytest.raises(UserError, match=r"p.parquet: column name 'lab' stands twice"):
        table(str(tmp_path / "p.parquet"), "diagnosis")


def test_a_forgotten_decimal_comma_is_an_error_that_names_the_setting(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("x;y\n" + "".join(f"{i},{i + 1};{i % 2}\n" for i in range(30)))
    with pytest.raises(
        UserError, match=r"a decimal comma: column 'x', row 2: '0,1'.*data\.decimal"
    ):
        table(str(path), "y", separator=";")
    assert table(str(path), "y", separator=";", decimal=",").records.schema.numeric == ("x",)


def test_one_beside_two_is_not_taken_for_positive_by_its_spelling(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("x,y\n" + "".join(f"{i * 7 % 11},{1 + (i % 3 == 0)}\n" for i in range(30)))
    cohort = table(str(path), "y")
    assert cohort.positive == "2"
    assert any("guessed by the rarer class" in note for note in cohort.notes)


@pytest.mark.parametrize("key", ["drop", "numeric", "categorical", "missing"])
def test_a_bare_word_where_a_list_belongs_is_refused_with_the_list(tmp_path, key):
    path = tmp_path / "table.csv"
    path.write_text("x,y\n" + "".join(f"{i * 7 % 11},{i % 2}\n" for i in range(30)))
    with pytest.raises(UserError, match=rf"data\.{key}=x: must be a list: data\.{key}=\[x\]"):
        table(str(path), "y", **{key: "x"})
