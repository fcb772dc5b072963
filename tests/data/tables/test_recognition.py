"""How numbers are written, what names rows and what is a date: repaired where sure, else asked."""

from __future__ import annotations

import datetime
import re
import shlex

import numpy as np
import pandas as pd
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from meddistill.data.tables.findings import as_list
from meddistill.data.tables.table import table
from meddistill.errors import UserError

ROWS = 24


def each(*values):
    """A column that repeats `values`."""
    return [values[row % len(values)] for row in range(ROWS)]


@pytest.fixture
def read(tmp_path):
    """The cohort of columns beside an age and a diagnosis, from a CSV file."""

    def read(name="p.csv", age=None, ill=None, settings=None, **columns):
        number = np.arange(ROWS)
        frame = pd.DataFrame({"age": number * 7 % 48 + 30.5 if age is None else age, **columns})
        frame["ill"] = each(1, 0, 0) if ill is None else ill
        path = tmp_path / name
        frame.to_parquet(path) if name.endswith("parquet") else frame.to_csv(path, index=False)
        return table(str(path), "ill", **settings or {})

    return read


@pytest.fixture
def refused(read):
    def refused(*arguments, **columns):
        with pytest.raises(UserError) as caught:
            read(*arguments, **columns)
        return str(caught.value)

    return refused


# Numbers in a notation of their own


@pytest.mark.parametrize(
    ("cells", "numbers", "said"),
    [
        (("42%", "59.5%", "7 %"), (42, 59.5, 7), "the unit '%' is cut off"),
        (("70 kg", "82.5 KG", "64kg"), (70, 82.5, 64), "the unit 'kg' is cut off"),
        (("5 mg/dl", "7 mg/dl"), (5, 7), "the unit 'mg/dl' is cut off"),
        (("<5", "7", "12", "31"), (5, 7, 12, 31), "a bound such as <5 is read as 5"),
        ((">200", "7.5", "12", "31"), (200, 7.5, 12, 31), "a bound such as <5 is read as 5"),
        (("2,133", "834", "12,000"), (2133, 834, 12000), "',' stands between thousands"),
        (("1 234", "834", "1 234 567"), (1234, 834, 1234567), "' ' stands between thousands"),
        (("1,5", "2,25", "31,75"), (1.5, 2.25, 31.75), "',' is the decimal mark"),
        (("59,5%", "42,0%"), (59.5, 42), "',' is the decimal mark"),
    ],
)
def test_numbers_in_a_notation_of_their_own_are_read_and_said(read, cells, numbers, said):
    cohort = read(lab=each(*cells))
    assert cohort.records.frame["lab"].tolist() == each(*map(float, numbers))
    assert any("'lab'" in note and said in note for note in cohort.notes)
    again = cohort.records.schema.prepare(pd.DataFrame({"age": 50.0, "lab": list(cells)}))
    assert again["lab"].tolist() == list(map(float, numbers))


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        (("70 kg", "154 lb"), "numbers with different units"),
        (("70 kg", "82"), "numbers with different units, or with one in some cells alone"),
    ],
)
def test_numbers_of_several_units_are_asked_about(refused, cells, why):
    message = refused(weight=each(*cells))
    assert why in message
    assert "column 'weight', row 2" in message
    assert "data.categorical=['weight']" in message


@pytest.mark.parametrize("cells", [("2,133", "834"), ("1,234", "2,345")])
def test_a_mark_that_may_stand_between_thousands_is_asked_about(read, refused, cells):
    age = np.arange(ROWS) * 7 % 48
    message = refused(age=age, lab=each(*cells))
    assert "a mark before three digits" in message
    assert "data.thousands=\"','\" or data.decimal=\"','\"" in message
    grouped = read(age=age, lab=each(*cells), settings={"thousands": ","})
    assert grouped.records.frame["lab"][0] == float(cells[0].replace(",", ""))
    decimal = read(age=age, lab=each(*cells), settings={"decimal": ","})
    assert decimal.records.frame["lab"][0] == float(cells[0].replace(",", "."))


def test_under_a_decimal_comma_a_point_is_never_a_decimal_mark(tmp_path):
    path = tmp_path / "p.csv"
    frame = pd.DataFrame({"a": each("1,5", "2"), "b": each("1.200", "12.345"), "ill": each(0, 1)})
    frame.to_csv(path, index=False, sep=";")
    cohort = table(str(path), "ill", separator=";", decimal=",")
    assert cohort.records.frame["b"].tolist() == each(1200.0, 12345.0)
    assert any("'.' stands between thousands" in note for note in cohort.notes)
    with pytest.raises(UserError, match=r"1\.200 may have been 1200"):
        cohort.records.schema.check_raw(pd.read_csv(path, sep=";"))


@pytest.mark.parametrize(
    "cells",
    [("<50", ">=50"), ("<=50K", ">50K"), ("0-9 y", "10-19 y"), ("1st", "2nd", "3rd"), ("3A", "3B"),
     ("120/80", "130/85"), ("1+", "2+")],
)  # fmt: skip
def test_brackets_and_codes_stay_categories(read, cells):
    cohort = read(kind=each(*cells))
    assert cohort.records.schema.categorical == ("kind",)
    assert cohort.records.frame["kind"].nunique() == len(cells)


def test_a_measurement_that_is_mostly_below_a_bound_stays_a_number_and_it_is_said(read):
    cohort = read(crp=each("<5", "<5", "<5", *map(str, range(6, 14)), "<5", "<5", *["<5"] * 11))
    assert cohort.records.schema.numeric == ("age", "crp")
    assert any("a bound such as <5 is read as 5" in note for note in cohort.notes)


def test_two_numbers_in_one_cell_are_asked_about(refused):
    message = refused(pressure=[f"{100 + row}/{60 + row % 20}" for row in range(ROWS)])
    assert "two numbers in one cell" in message
    assert "data.categorical=['pressure']" in message


# Codes


def test_diagnosis_codes_beside_numbers_are_categories_and_it_is_said(read):
    cohort = read(diag=each("250.83", "250.80", "401", "414", "V57"))
    assert cohort.records.schema.categorical == ("diag",)
    assert any("'diag': codes with letters beside numbers" in note for note in cohort.notes)
    assert cohort.records.frame["diag"].nunique() == 5


@pytest.mark.parametrize("name", ["p.csv", "p.parquet"])
def test_whole_numbers_that_a_float_would_merge_are_categories(read, name):
    codes = each(999000011000000103, 999000011000000104)
    cohort = read(name, code=codes)
    assert cohort.records.frame["code"].tolist() == list(map(str, codes))
    assert any("'code': whole numbers so long that they are codes" in n for n in cohort.notes)


def test_codes_that_differ_by_zeros_before_them_are_categories(read):
    cohort = read(code=each("01", "1", "007", "7"))
    assert cohort.records.frame["code"].tolist() == each("01", "1", "007", "7")


@pytest.mark.parametrize("cells", [("Yes", "yes", " YES ", "no"), ("é", "e\u0301", "É", "a")])
def test_spellings_that_differ_by_case_or_unicode_form_are_one_category_and_said(read, cells):
    cohort = read(smoker=each(*cells))
    assert cohort.records.frame["smoker"].nunique() == 2
    assert any("are one category" in note for note in cohort.notes)


@pytest.mark.parametrize("cells", [("Yes", "yes", "No"), ("café", "cafe\u0301", "thé")])
def test_classes_that_differ_by_case_or_unicode_form_are_one_and_said(read, cells):
    cohort = read(ill=each(*cells))
    assert len(cohort.classes) == 2
    assert np.bincount(cohort.target).tolist() in ([8, 16], [16, 8])
    said = any(note.startswith("class ") and note.endswith("are one") for note in cohort.notes)
    assert said == (cells[0] == "Yes")  # what differs can be seen


# Strays


@pytest.mark.parametrize("word", [".", "-", "unknown", "n.d."])
def test_a_word_for_missing_is_offered_for_the_list_of_them(read, refused, word):
    frame = {f"lab{k}": each("1.5", "2", "?", "7", word) for k in range(16)}
    message = refused(**frame)
    assert message.count("data.missing=") == 1
    words = ",".join(f"'{each}'" for each in sorted([word, "?"]))
    assert f'data.missing="[{words}]"' in message
    assert "and in 13 more columns" in message
    assert len(message) < 1500
    mended = read(**frame, settings={"missing": [word, "?"]})
    assert mended.records.frame["lab0"].isna().tolist() == each(False, False, True, False, True)


def test_text_that_is_no_word_for_missing_is_not_offered_for_it(refused):
    assert "data.missing" not in refused(lab=each("1.5", "2", "3", "7", "three"))


@pytest.mark.parametrize("word", ["None", "NA", "n/a"])
def test_what_is_missing_is_the_list_alone(read, word):
    column = each(word, "much", "some")
    assert read(alcohol=column).records.frame["alcohol"].isna().sum() == 8
    assert any(f"'{word}' in column 'alcohol' (8 cells)" in n for n in read(alcohol=column).notes)
    kept = read(alcohol=column, settings={"missing": ["?"]})
    assert kept.records.frame["alcohol"].tolist() == each(word.lower(), "much", "some")
    assert word in read(ill=each(word, "a", "b"), settings={"missing": []}).classes


def test_a_kept_word_that_pandas_has_emptied_is_refused_with_the_way_to_read_it(read):
    cohort = read(alcohol=each("None", "much", "some"), settings={"missing": ["?"]})
    rows = pd.DataFrame({"age": [50.0], "alcohol": [None]})
    with pytest.raises(UserError, match=r"'alcohol', row 0.*keep_default_na=False"):
        cohort.records.schema.check_raw(rows)
    cohort.records.schema.check_raw(rows.assign(alcohol=""))


def test_a_class_that_is_listed_as_missing_is_refused_with_the_list_without_it(refused):
    message = refused(ill=each("None", "a", "b"))
    assert "if 'None' is a class" in message
    assert "data.missing=" in message


# Ids


UNIQUE = (np.random.default_rng(0).permutation(ROWS) * 7919 % 100_003).tolist()


@pytest.mark.parametrize(
    "name",
    ["PatientID", "patient_id", "patientid", "pid", "uid", "SSN", "subject", "case", "no", "MRN",
     "record", "encounter", "hadm_id", "HADM_ID", "RecordID", "patient_nbr", "caseNo", "index",
     "Fallnummer", "pat_nr", "Patientennummer", "NHC"],
)  # fmt: skip
def test_a_different_whole_number_in_every_row_under_the_name_of_an_id_is_left_out(read, name):
    cohort = read(**{name: UNIQUE})
    assert name not in cohort.records.frame
    note = next(note for note in cohort.notes if f"'{name}' left out" in note)
    assert "like an id" in note
    assert f"data.numeric=['{name}']" in note
    assert name in read(**{name: UNIQUE}, settings={"numeric": [name]}).records.frame


@pytest.mark.parametrize("name", ["platelets", "weight", "paid", "valid", "nose"])
def test_a_different_whole_number_in_every_row_under_another_name_is_kept(read, name):
    assert name in read(**{name: UNIQUE}).records.frame


@pytest.mark.parametrize("cells", [range(500, 500 + ROWS), range(0, 9 * ROWS, 9),
                                   np.random.default_rng(1).permutation(ROWS)])  # fmt: skip
def test_a_numbering_of_the_rows_is_left_out_under_any_name(read, cells):
    assert "x" not in read(x=list(cells)).records.frame


def test_an_id_that_repeats_is_left_out_with_the_advice_to_group_by_it(read):
    ids = [1000 + 17 * (row // 2) for row in range(ROWS)]
    wide = [*range(22), 20, 21]
    assert "patient_id" in read(patient_id=ids).records.frame  # 12 patients: too few to say
    for name in ("patient_id", "pat_nr"):
        cohort = read(**{name: [7 * value for value in wide]})
        assert name not in cohort.records.frame


def test_whole_numbers_whose_order_tells_the_classes_apart_are_asked_about(read, refused):
    ill = [row % 2 for row in range(ROWS)]
    number = [100_000 * (1 + row % 2) + 977 * (row * 5 % ROWS) for row in range(ROWS)]
    message = refused(key0=number, ill=ill)
    assert "order alone tells the classes apart" in message
    assert "data.numeric=['key0']" in message
    assert "key0" in read(key0=number, ill=ill, settings={"numeric": ["key0"]}).records.frame


# Dates


DAYS = [
    datetime.datetime(2020, 1, 1) + datetime.timedelta(days=31 * row, hours=row)
    for row in range(ROWS)
]


@pytest.mark.parametrize(
    "shape",
    ["%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%y", "%Y%m%d", "%Y-%m-%dT%H:%M:%S", "%d-%b-%Y",
     "%d/%m/%Y %H:%M", "%b %d, %Y", "%H:%M:%S", "%Y-%m", "%d%m%Y", "%m%d%Y", "%G-W%V"],
)  # fmt: skip
def test_dates_in_a_csv_file_are_asked_about(read, refused, shape):
    cells = [day.strftime(shape) for day in DAYS]
    message = refused(seen=cells)
    assert "dates" in message
    assert "column 'seen', row 2" in message
    assert "data.drop=['seen']" in message
    assert "seen" not in read(seen=cells, settings={"drop": ["seen"]}).records.frame


@pytest.mark.parametrize("kind", ["datetime", "date", "time"])
def test_dates_in_a_parquet_file_are_asked_about_alike(refused, kind):
    cells = DAYS if kind == "datetime" else [getattr(day, kind)() for day in DAYS]
    message = refused("p.parquet", seen=cells)
    assert re.match(r"dates or times of day: column 'seen', row 1: ", message)


def test_durations_are_days_and_said(read):
    cohort = read("p.parquet", stay=pd.to_timedelta(each(1, 2.5, 4), "D"))
    assert cohort.records.frame["stay"].tolist() == each(1.0, 2.5, 4.0)
    assert "column 'stay': durations read as days" in cohort.notes


@pytest.mark.parametrize("cells", [(120_80_999, 2), (19990101, 20000101, 99), ("1.2", "3.4.5")])
def test_other_numbers_are_no_dates(read, cells):
    columns = {"x": each(*cells)} if not isinstance(cells[0], str) else {"x": each("1.2", "3.4")}
    assert "x" in read(**columns).records.frame


# Too large


@pytest.mark.parametrize("cell", ["1e300", "-1.797e308", "inf", "3.5e38", "1" + "0" * 320])
def test_what_float32_can_not_hold_is_missing_and_counted_over_all_columns(read, cell):
    cohort = read(lab=each(cell, "2.5", "7"), dose=each("1", cell, "3", "4"))
    assert cohort.records.frame["lab"].isna().tolist() == each(True, False, False)
    note = "columns 'lab', 'dose': 14 infinite cell(s) read as missing"
    assert any(n.startswith(note) for n in cohort.notes)


def test_what_float32_can_not_hold_is_missing_in_new_rows_and_counted(read):
    cohort = read(lab=each(1.5, 2.5), dose=each(2.5, 3, 1))
    rows = pd.DataFrame({"age": [1e300, 5], "lab": [-np.inf, 1], "dose": ["1e39", "4"]})
    assert cohort.records.schema.prepare(rows).isna().to_numpy().tolist() == [
        [True] * 3,
        [False] * 3,
    ]
    assert cohort.records.schema.read(rows).infinite == {"age": 1, "lab": 1, "dose": 1}


def test_infinite_cells_are_said_once_in_training(read, caplog):
    cohort = read(lab=each("inf", 1.5, 2.5))
    assert sum("infinite" in note for note in cohort.notes) == 1
    assert not caplog.records


@pytest.mark.parametrize(
    ("cells", "note"),
    [
        (each("007", "012", "100", "090"), True),
        (each("07", "12", "31"), True),
        (each("7", "12", "100"), False),
        (each("100", "101", "102"), False),
        (each("0.7", "0.2", "1.0"), False),
    ],
)
def test_digits_of_one_width_with_zeros_before_them_are_said_with_the_mend(read, cells, note):
    said = [n for n in read(code=cells).notes if "digits of one width" in n]
    assert len(said) == note
    if note:
        assert said[0].startswith("column 'code': ")
        assert "data.categorical=['code'] reads them as categories" in said[0]
        assert read(code=cells, settings={"categorical": ["code"]}).records.schema.categorical == (
            "code",
        )


@pytest.mark.parametrize("word", [-999, 999, -9, 9999, -99])
def test_repeated_nines_far_outside_a_column_are_said_with_the_mend(read, word):
    cells = {"lab": each(word, 2.5, 7.1, 4), "dose": each(1.5, 2, word, 3)}
    (said,) = (n for n in read(**cells).notes if n.startswith("far outside the other numbers"))
    assert f"'{word}' in columns 'lab', 'dose' (" in said
    assert f"data.missing=['{word}']" in said
    mended = read(**cells, settings={"missing": [str(word)]})
    assert mended.records.frame["lab"].isna().sum() == sum(cell == word for cell in cells["lab"])
    assert not any("far outside" in note for note in mended.notes)


@pytest.mark.parametrize(
    "cells",
    [each(99, 85, 60, 97), each(9, 3, 6, 8), each(-9, -12, 5, 30), [999, *each(2, 7, 4)[1:]]],
)
def test_nines_among_other_numbers_and_a_single_one_are_numbers(read, cells):
    assert not any("far outside" in note for note in read(lab=cells).notes)


@pytest.mark.parametrize("written", ["{} g/L", "{} mg", "{},5"])
def test_one_bad_cell_among_measurements_is_asked_about_however_they_are_written(refused, written):
    cells = [written.format(row) for row in range(ROWS)]
    cells[3] = "haemolysed"
    message = refused(lab=cells, settings={"decimal": ","} if "," in written else {})
    assert "text where numbers were: column 'lab', row 5: 'haemolysed' (1 such cells)" in message


def test_numbers_beside_more_text_are_said_to_be_categories(read):
    cells = [str(row) if row % 3 == 0 else "not done here" for row in range(ROWS)]
    cohort = read(lab=cells)
    assert cohort.records.schema.categorical == ("lab",)
    assert any("'lab': different numbers beside more text" in note for note in cohort.notes)


def test_a_word_that_is_missing_by_default_is_said_to_be_a_category_where_the_list_is_anothers(
    read,
):
    cells = each("F", "M", "NA")
    assert not any("'NA'" in note and "category" in note for note in read(sex=cells).notes)
    cohort = read(sex=cells, settings={"missing": ["-999"]})
    assert "column 'sex': 'NA' is read as a category, since data.missing is without it" in [
        note.partition(" (")[0] for note in cohort.notes
    ]


@pytest.mark.parametrize(
    "names", [["a"], ["a", "b c"], ["-999"], ["null"], ["1e5"], ["it's", 'x"$y`'], ["n.d.", "?"]]
)
def test_a_list_in_a_message_is_read_again_by_a_shell_and_hydra(names):
    [word] = shlex.split(f"data.drop={as_list(names)}")
    parsed = OverridesParser.create().parse_override(word).value()
    assert [str(name) for name in parsed] == names
