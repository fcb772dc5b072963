"""Lines, rows and files of a table: what does not fit is refused by its place, the rest said."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from meddistill.data.tables.table import table
from meddistill.errors import UserError

ROWS = 24
FRAME = pd.DataFrame(
    {
        "age": np.arange(ROWS) * 7 % 48 + 30.5,
        "note": ["é", "b", "c"] * (ROWS // 3),
        "ill": [1, 0, 0] * (ROWS // 3),
    }
)
TEXT = FRAME.to_csv(index=False)


@pytest.fixture
def read(tmp_path):
    def read(content, name="p.csv", target="ill", **settings):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return table(str(path), target, **settings)

    return read


@pytest.fixture
def refused(read):
    def refused(*content, **settings):
        with pytest.raises(UserError) as caught:
            read(*content, **settings)
        return str(caught.value)

    return refused


def zipped(*names):
    """An archive with the table under each name."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in names:
            archive.writestr(name, TEXT)
    return content.getvalue()


PACKED = {
    "p.csv.gz": gzip.compress(TEXT.encode()),
    "p.csv.bz2": bz2.compress(TEXT.encode()),
    "p.csv.xz": lzma.compress(TEXT.encode()),
    "p.zip": zipped("p.csv"),
    "p.csv.zip": zipped("folder/p.csv", "__MACOSX/p.csv"),
}


@pytest.mark.parametrize("name", PACKED)
def test_a_packed_file_is_read_as_the_file_in_it(read, name):
    assert read(PACKED[name], name).fingerprint == read(TEXT).fingerprint


@pytest.mark.parametrize("name", PACKED)
def test_a_cut_packed_file_is_refused(refused, name):
    message = refused(PACKED[name][:-20], name)
    assert message.startswith("data.path=")
    assert "encoding" not in message


def test_an_archive_of_several_files_is_refused_with_their_names(refused):
    message = refused(zipped("a.csv", "b.csv"), "p.zip")
    assert "holds 2 files ('a.csv', 'b.csv')" in message


@pytest.mark.parametrize(
    ("name", "kind"),
    [("p.xlsx", "a spreadsheet"), ("p.sav", "SPSS's"), ("p.dta", "Stata's"), ("p.json", "JSON")],
)
def test_a_file_of_another_kind_is_refused_by_its_kind(refused, name, kind):
    assert f"{kind} file is not read: save it as CSV" in refused(b"PK\x03\x04abc", name)


def test_a_spreadsheet_that_is_called_csv_is_refused_as_one(refused):
    assert "is a zip archive or a spreadsheet" in refused(zipped("xl/workbook.xml"), "p.csv")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_byte_order_mark_says_the_encoding(read, encoding):
    mark = "\ufeff" if encoding.endswith("e") else ""
    assert read((mark + TEXT).encode(encoding)).fingerprint == read(TEXT).fingerprint


def test_nul_bytes_are_refused_by_their_line(refused, read):
    message = refused(TEXT.replace("é", "e").encode("utf-16-le"))
    assert "line 1 holds NUL bytes" in message
    assert "data.encoding" in message
    whole = read(TEXT.encode("utf-16-le"), encoding="utf-16-le")
    assert whole.fingerprint == read(TEXT).fingerprint


def test_rows_and_lines_are_counted_and_what_is_left_out_is_said(read):
    lines = TEXT.splitlines()
    text = "\n".join([*lines[:3], "", *lines[3:], ",,", ""])
    note = f"{ROWS} rows read of {ROWS + 3} lines, the header among them"
    assert f"{note} (1 blank, 1 with empty cells alone left out)" in read(text).notes
    assert f"{ROWS} rows read of {ROWS + 1} lines, the header among them" in read(TEXT).notes


def test_cells_with_line_breaks_are_counted_and_rows_keep_their_lines(read, refused):
    lines = TEXT.splitlines()
    broken = lines[2].replace("b", '"two\nlines"')
    text = "\n".join([*lines[:2], broken, *lines[3:]])
    assert "1 cell(s) hold line breaks, first in line 3" in read(text).notes
    wrong = text.replace(lines[4].split(",")[0], "forty")
    assert "line 6: 'forty'" in refused(wrong).replace("row", "line")


@pytest.mark.parametrize("closed", [3, 4, 9, ROWS])
@pytest.mark.parametrize("cell", [0, 1, 2])
def test_a_quote_that_swallows_rows_is_refused_by_its_line(refused, closed, cell):
    lines = [line.split(",") for line in TEXT.splitlines()]
    lines[2][cell] = '"' + lines[2][cell]
    lines[closed][cell] += '"'
    message = refused("\n".join(",".join(line) for line in lines))
    assert f"a quote opened in line 3 makes one cell of lines 3 to {closed + 1}" in message


def test_a_quote_that_never_closes_is_refused_by_its_line(refused):
    lines = TEXT.splitlines()
    lines[5] = lines[5].replace(",", ',"', 1)
    assert "opened in line 6" in refused("\n".join(lines))


@pytest.mark.parametrize("header", ["age,,ill", "age, ,ill"])
def test_a_column_without_a_name_is_called_as_pandas_calls_it_and_said(read, header):
    text = TEXT.replace("age,note,ill", header)
    cohort = read(text)
    assert cohort.records.schema.categorical == ("Unnamed: 1",)
    assert "columns without a name are called 'Unnamed: 1'" in cohort.notes
    rows = pd.read_csv(io.StringIO(TEXT.replace("age,note,ill", "age,,ill")))
    assert cohort.records.schema.prepare(rows).equals(cohort.records.frame)


@pytest.mark.parametrize("name", ["a\x1b[31mge", "a\u202ege", "age\r\n(years)", "a\u200bge"])
def test_a_name_can_neither_steer_a_terminal_nor_hide(read, name):
    cohort = read(
        pd.DataFrame({name: FRAME["age"]}).join(FRAME[["note", "ill"]]).to_csv(index=False)
    )
    assert all(character.isprintable() for character in cohort.records.schema.numeric[0])
    rows = FRAME.rename(columns={"age": name})
    assert cohort.records.schema.prepare(rows).equals(cohort.records.frame)


def test_a_class_can_not_steer_a_terminal(read):
    classes = FRAME["ill"].map({0: "well", 1: "i\x1b[2Jl\nl\u202e"})
    names = read(FRAME.assign(ill=classes).to_csv(index=False)).classes
    assert all(name.isprintable() for name in names)


@pytest.mark.parametrize("cell", ["\x1b]0;title\x07", "a\nb", "\u202eabc"])
def test_a_cell_in_a_message_can_not_steer_a_terminal(refused, cell):
    text = FRAME.assign(lab=[cell, *range(1, ROWS)]).to_csv(index=False)
    message = refused(text)
    assert message.isprintable()
    assert len(message) <= 1500


# Columns that are to be two things


@pytest.mark.parametrize(
    "settings",
    [{"drop": ["note"], "group": "note"}, {"drop": ["id"], "id": "id"}, {"drop": ["ill"]},
     {"group": "id", "id": "id"}],
    ids=str,
)  # fmt: skip
def test_what_is_no_feature_may_be_dropped_as_well(read, settings):
    cohort = read(FRAME.assign(id=range(ROWS)).to_csv(index=False), **settings)
    assert "ill" not in cohort.records.frame


@pytest.mark.parametrize(
    "settings",
    [{"drop": ["age"], "numeric": ["age"]}, {"numeric": ["age"], "categorical": ["age"]},
     {"group": "ill"}, {"id": "ill"}, {"categorical": ["note"], "group": "note"}],
    ids=str,
)  # fmt: skip
def test_a_column_that_is_to_be_two_things_is_refused(refused, settings):
    assert "too: name it in one of them" in refused(TEXT, **settings)


def test_a_column_called_by_a_number_can_be_named(read):
    text = TEXT.replace("age,note,ill", "0,1,2")
    cohort = read(text, target=2, categorical=[0])
    assert cohort.records.schema.categorical == ("0", "1")


@pytest.mark.parametrize("target", ["Ill", "ILL", "il", "ills"])
def test_the_near_name_of_a_target_is_shown(refused, target):
    assert f"data.target={target}: no such column; is 'ill' meant?" in refused(TEXT, target=target)


# Parquet


def parquet(**columns):
    content = io.BytesIO()
    plain = {name: FRAME[name].tolist() for name in FRAME}
    pq.write_table(pa.table({**plain, **columns}), content)
    return content.getvalue()


@pytest.mark.parametrize(("key", "value"), [("separator", ";"), ("encoding", "latin-1")])
def test_what_only_a_csv_file_has_is_refused_beside_another(refused, key, value):
    message = refused(parquet(), "p.parquet", **{key: value})
    assert message == f"data.{key}={value}: a Parquet file has none: leave it out"


def test_bytes_that_are_text_are_read_and_others_refused(read, refused):
    cohort = read(parquet(word=pa.array([b"a", b"\xc3\xa9"] * (ROWS // 2))), "p.parquet")
    assert cohort.records.frame["word"].tolist() == ["a", "é"] * (ROWS // 2)
    message = refused(parquet(word=pa.array([b"a", b"\xff"] * (ROWS // 2))), "p.parquet")
    assert "column 'word', row 2" in message
    assert "holds bytes that are no text" in message
    assert "data.drop=['word']" in message


@pytest.mark.parametrize(
    "cells",
    [[{"a": 1}], [[1, 2]], [None, [1, 2]]],
    ids=["struct", "list", "list with a hole"],
)
@pytest.mark.parametrize("role", [{}, {"numeric": ["x"]}, {"categorical": ["x"]}], ids=str)
def test_lists_and_structs_are_refused_by_column_and_row(refused, cells, role):
    column = pa.array((cells * ROWS)[:ROWS])
    message = refused(parquet(x=column), "p.parquet", **role)
    assert "a list in each cell: column 'x', row" in message
    assert "data.drop=['x']" in message


@pytest.mark.parametrize("key", ["target", "id", "group"])
def test_a_list_as_target_id_or_group_is_refused(refused, key):
    content = parquet(x=pa.array([[row % 2] for row in range(ROWS)]))
    message = refused(content, "p.parquet", **{"target": "ill", key: "x"})
    assert "column 'x', row 1" in message
    assert "is a list" in message


def test_floats_that_have_merged_codes_are_refused_as_classes_and_groups(refused):
    code = pa.array([9.99000011000000103e17, 9.99000031000000106e17] * (ROWS // 2))
    for key in ("target", "group", "id"):
        message = refused(parquet(code=code), "p.parquet", **{"target": "ill", key: "code"})
        assert "have become one" in message


def test_a_whole_number_beyond_any_float_is_one_message(refused, read):
    cells = ["9" * 400, *map(str, range(ROWS - 1))]
    notes = read(FRAME.assign(x=cells).to_csv(index=False)).notes
    assert any("column 'x': 1 infinite cell(s) read as missing" in note for note in notes)
    assert "different values" in refused(FRAME.assign(x=cells).to_csv(index=False), target="x")
