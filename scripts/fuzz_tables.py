"""Random tables, most of them nasty: each is read as its maker meant it, or refused in one message.

    python scripts/fuzz_tables.py --tables 2000 --seed 0

The maker of a table knows what every cell means before it spells it, and shares no code with the
reader. After reading, each of these must hold, or the table counts as a failure:

1. Reading ends in a cohort or in a `UserError` of at most 1,500 visible characters; nothing else
   is raised.
2. No row is lost or moved: as many rows as were made, and two rows have one class where they were
   made with one, and only there.
3. No cell is changed in silence. In a column read as numbers, each cell is the number that was
   meant, to the last bit. Where a column means words, or numbers were read as categories, two rows
   are equal where they were meant to be equal, and only there. A cell is missing where it was meant
   to be, and only there. A column that breaks this, or is no feature, must be named by a note.
4. The same file read by pandas in several ways is prepared as in training, bit for bit (numbers of
   pandas' own reader, which rounds the last bit otherwise, to two units in the last place), or
   refused by a `UserError`.
5. Inputs are finite numbers.
"""

from __future__ import annotations

import argparse
import bz2
import collections
import contextlib
import csv
import datetime
import decimal
import gzip
import io
import logging
import lzma
import math
import random
import sys
import tempfile
import traceback
import unicodedata
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from meddistill.data.cohort import Cohort
from meddistill.data.datamodule import CohortDataModule
from meddistill.data.split import split_cohort
from meddistill.data.tables.table import table
from meddistill.errors import UserError

NULLS = ("", "", "NA", "NaN", "?", "null", "n/a", "None")
WORDS = (
    "alpha",
    "beta",
    "gamma",
    "delta",
    "epsilon",
    "été",
    "naïve",
    "日本",
    "O'Neil",
    "a b",
    "x;y",
    'say "hi"',
)


@dataclass
class Made:
    """A column as it was made: the spelling of each cell, and what it means (None is missing)."""

    name: str
    cells: list[Any]
    meant: list[Any]
    settings: dict[str, list[str]] = field(default_factory=dict)


@dataclass
class Table:
    """A table as it was made."""

    columns: list[Made]
    labels: list[Any]
    classes: list[int]
    settings: dict[str, Any]


class Maker:
    """Makes random columns.

    Args:
        seed: Of all that is drawn.
    """

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.rows = self.draw.randint(24, 60)
        self.comma = self.draw.random() < 0.2

    def some(self, count: int, make: Callable[[], Any]) -> list[Any]:
        """Cells of at most `count` different values."""
        values = [make() for _ in range(count)]
        return [self.draw.choice(values) for _ in range(self.rows)]

    def number(self) -> float:
        """Of at most twelve digits, so that every reader finds the nearest float64."""
        digits = self.draw.randint(0, 6)
        return float(f"{self.draw.uniform(-1000, 1000):.{digits}f}")

    def plain(self, number: float) -> str:
        """A number as text with the table's decimal mark."""
        text = repr(number)
        text = text.removesuffix(".0") if self.draw.random() < 0.5 else text
        return text.replace(".", ",") if self.comma else text

    def with_holes(self, cells: list[Any], meant: list[Any]) -> tuple[list[Any], list[Any]]:
        """Some cells spelled as missing."""
        share = self.draw.choice([0, 0, 0.1, 0.4])
        holes = [self.draw.random() < share for _ in cells]
        return (
            [
                self.draw.choice(NULLS) if hole else cell
                for hole, cell in zip(holes, cells, strict=True)
            ],
            [None if hole else value for hole, value in zip(holes, meant, strict=True)],
        )

    # Kinds of columns: each gives the cells and what they mean

    def _numbers(self) -> tuple[list[Any], list[Any]]:
        meant = [self.number() for _ in range(self.rows)]
        return self.with_holes([self.plain(value) for value in meant], meant)

    def _integers(self) -> tuple[list[Any], list[Any]]:
        meant = self.some(9, lambda: float(self.draw.randint(-50, 200)))
        return self.with_holes([str(int(value)) for value in meant], meant)

    def _exponents(self) -> tuple[list[Any], list[Any]]:
        meant = [self.draw.choice([1.5e-7, 2e10, -3.25e5, 1e-30, 6e22]) for _ in range(self.rows)]
        return [f"{value:.3E}".replace(".", "," if self.comma else ".") for value in meant], meant

    def _too_large(self) -> tuple[list[Any], list[Any]]:
        wild = [("1e300", 1e300), ("inf", math.inf), ("-1e39", -1e39), ("9" * 400, 1.7e308)]
        tame = [("2", 2.0), ("3", 3.0)] * 8
        pairs = [self.draw.choice(wild + tame) for _ in range(self.rows)]
        return [cell for cell, _ in pairs], [value for _, value in pairs]

    def _percent(self) -> tuple[list[Any], list[Any]]:
        meant = [float(self.draw.randint(0, 100)) for _ in range(self.rows)]
        unit = self.draw.choice(["%", " %", " kg", " mg/dl", "kg", " mmHg", " years"])
        return self.with_holes([f"{int(value)}{unit}" for value in meant], meant)

    def _mixed_units(self) -> tuple[list[Any], list[Any]]:
        meant = [
            (self.draw.randint(40, 99), self.draw.choice(["kg", "lb"])) for _ in range(self.rows)
        ]
        return [f"{value} {unit}" for value, unit in meant], meant

    def _bounded(self) -> tuple[list[Any], list[Any]]:
        meant = [float(self.draw.randint(5, 200)) for _ in range(self.rows)]
        return [f"<{int(v)}" if v == min(meant) else str(int(v)) for v in meant], meant

    def _thousands(self) -> tuple[list[Any], list[Any]]:
        meant = [float(self.draw.randint(100, 99_999)) for _ in range(self.rows)]
        mark = self.draw.choice([".", " ", "'"] if self.comma else [",", " ", "\u00a0", "'"])
        return [f"{int(value):,}".replace(",", mark) for value in meant], meant

    def _other_decimals(self) -> tuple[list[Any], list[Any]]:
        meant = [round(self.draw.uniform(0, 50), 2) for _ in range(self.rows)]
        swap = str.maketrans(".,", ",.")
        return [f"{value:.2f}".translate({} if self.comma else swap) for value in meant], meant

    def _minus(self) -> tuple[list[Any], list[Any]]:
        meant = [float(self.draw.randint(-9, 9)) for _ in range(self.rows)]
        return [str(int(value)).replace("-", "\u2212") for value in meant], meant

    def _words(self) -> tuple[list[Any], list[Any]]:
        meant = self.some(5, lambda: self.draw.choice(WORDS))
        return self.with_holes(meant, meant)

    def _long_words(self) -> tuple[list[Any], list[Any]]:
        meant = self.some(4, lambda: self.draw.choice(WORDS) + "\n" + self.draw.choice(WORDS) * 9)
        return meant, meant

    def _cased(self) -> tuple[list[Any], list[Any]]:
        meant = [self.draw.choice(["yes", "no", "café"]) for _ in range(self.rows)]
        ways = (str.upper, str.lower, str.title, lambda w: f" {w} ",
                lambda w: unicodedata.normalize("NFD", w))  # fmt: skip
        return [self.draw.choice(ways)(word) for word in meant], meant

    def _truth(self) -> tuple[list[Any], list[Any]]:
        spelled = self.draw.choice(
            [("TRUE", "FALSE"), ("True", "False"), ("true", "false"), ("T", "F")]
        )
        meant = [self.draw.random() < 0.5 for _ in range(self.rows)]
        return self.with_holes([spelled[not value] for value in meant], meant)

    def _icd(self) -> tuple[list[Any], list[Any]]:
        codes = ["250.83", "250.80", "401", "V57", "E932", "414.01"]
        meant = [self.draw.choice(codes) for _ in range(self.rows)]
        return meant, meant

    def _zeros(self) -> tuple[list[Any], list[Any]]:
        codes = self.draw.choice([["01", "02", "10"], ["01", "1", "02"], ["007", "07", "7"]])
        meant = [self.draw.choice(codes) for _ in range(self.rows)]
        return meant, meant

    def _snomed(self) -> tuple[list[Any], list[Any]]:
        start = self.draw.choice([2**53, 999000011000000103, 2**64 - 50, 10**25])
        meant = self.some(5, lambda: str(start + self.draw.randint(0, 40)))
        return self.with_holes(meant, meant)

    def _dates(self) -> tuple[list[Any], list[Any]]:
        shape = self.draw.choice(
            ["%Y-%m-%d", "%d/%m/%Y", "%m/%d/%y", "%Y%m%d", "%d.%m.%Y %H:%M", "%d-%b-%Y", "%H:%M"]
        )
        start = datetime.datetime(2020, 1, 1)
        step = datetime.timedelta(hours=1) if shape == "%H:%M" else datetime.timedelta(days=1)
        meant = [start + step * self.draw.randrange(24) for _ in range(self.rows)]
        return [day.strftime(shape) for day in meant], meant

    def _ids(self) -> tuple[list[Any], list[Any]]:
        first = self.draw.randint(1, 10**6)
        meant = list(range(first, first + self.rows))
        if self.draw.random() < 0.5:
            self.draw.shuffle(meant)
        return [str(value) for value in meant], [float(value) for value in meant]

    def _strays(self) -> tuple[list[Any], list[Any]]:
        word = self.draw.choice(
            [".", "n.d.", "unknown", "abc", "12:30", "3 or 4", "\x1b[31m", "\u202e7"]
        )
        meant = [word if self.draw.random() < 0.1 else self.number() for _ in range(self.rows)]
        return [value if isinstance(value, str) else self.plain(value) for value in meant], meant

    def _junk(self) -> tuple[list[Any], list[Any]]:
        alphabet = "ab1.,;'\" \t-+%<>=/\\é\u202e\u200b€0"
        meant = self.some(
            6, lambda: "x" + "".join(self.draw.choice(alphabet) for _ in range(4)) + "x"
        )
        return meant, meant

    def _constant(self) -> tuple[list[Any], list[Any]]:
        return ["7"] * self.rows, [7.0] * self.rows

    def _empty(self) -> tuple[list[Any], list[Any]]:
        return [self.draw.choice(NULLS) for _ in range(self.rows)], [None] * self.rows

    KINDS = (
        _numbers, _numbers, _integers, _exponents, _too_large, _percent, _mixed_units, _bounded,
        _thousands, _other_decimals, _minus, _words, _words, _long_words, _cased, _truth, _icd,
        _zeros, _snomed, _dates, _ids, _strays, _junk, _constant, _empty,
    )  # fmt: skip
    GENTLE = (
        _numbers,
        _integers,
        _percent,
        _bounded,
        _words,
        _cased,
        _truth,
        _icd,
        _snomed,
        _too_large,
        _ids,
        _constant,
    )

    def name(self, place: int) -> str:
        """Of a column, always with its place, so that a note that names it can be found."""
        odd = ["lab", "PatientID", "a b", "été", "x\ty", "n°", "visit", "$\\frac$", "<b>", "count"]
        return f"{self.draw.choice(odd)}_c{place}c"

    def table(self) -> Table:
        """A whole table; its first column is of plain numbers."""
        kinds = self.GENTLE if self.draw.random() < 0.6 else self.KINDS
        columns = []
        for place in range(self.draw.randint(2, 7)):
            kind = self._numbers if place == 0 else self.draw.choice(kinds).__get__(self)
            cells, meant = kind()
            columns.append(Made(self.name(place), cells, meant))
        spelled = self.draw.choice(
            [("0", "1"), ("no", "yes"), ("A", "B", "C"), ("01", "02"), ("B", "M"), ("é", "e"),
             ("9990000110000001030", "9990000110000001031"), ("FALSE", "TRUE"), ("1.0", "2.0")]
        )  # fmt: skip
        classes = [self.draw.randrange(len(spelled)) for _ in range(self.rows)]
        settings: dict[str, Any] = {"decimal": ","} if self.comma else {}
        if self.draw.random() < 0.3:
            settings["categorical"] = [self.draw.choice(columns[1:]).name]
        elif self.draw.random() < 0.2:
            settings["numeric"] = [self.draw.choice(columns[1:]).name]
        settings |= {"drop": [columns[1].name]} if self.draw.random() < 0.05 else {}
        return Table(columns, [spelled[k] for k in classes], classes, settings)


def csv_bytes(
    made: Table, draw: random.Random
) -> tuple[bytes, dict[str, Any], dict[str, Any], bool]:
    """The file, the reader's settings, pandas' settings, and whether it was damaged."""
    separator = draw.choice(
        [";", "\t", "|"] if made.settings.get("decimal") else [",", ",", ";", "\t", "|"]
    )
    text = io.StringIO()
    style = draw.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
    writer = csv.writer(
        text, delimiter=separator, quoting=style, lineterminator=draw.choice(["\n", "\r\n"])
    )
    writer.writerow([column.name for column in made.columns] + ["target"])
    for row in zip(*(column.cells for column in made.columns), made.labels, strict=True):
        writer.writerow(row)
        if draw.random() < 0.01:
            text.write("\n")
    encoding = draw.choice(["utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "cp1252"])
    whole = text.getvalue()
    try:
        content = whole.encode(encoding)
    except UnicodeEncodeError:
        encoding, content = "utf-8", whole.encode()
    reader = {"separator": separator, "encoding": encoding}
    pandas = {"sep": separator, "encoding": encoding}
    if draw.random() < 0.12:
        return damaged(content, draw), reader, pandas, True
    return content, reader, pandas, False


def damaged(content: bytes, draw: random.Random) -> bytes:
    """What happens to files: cut, a stray quote, lost or doubled separators, odd bytes."""
    place = draw.randrange(len(content))
    what = draw.choice([b'"', b"\0", b"\xff", b",", b"\n", b'"\n"', b""])
    return content[:place] + what + content[place + draw.choice([0, 0, 1, 30]) :]


def packed(content: bytes, path: Path, draw: random.Random) -> Path:
    """The file under a name by which it is read, packed in one way or not at all."""
    ending = draw.choice(["", "", "", ".gz", ".bz2", ".xz", ".zip"])
    path = path.with_name(path.name + ending)
    if ending == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("table.csv", content)
        return path
    pack: dict[str, Callable[[bytes], bytes]] = {
        ".gz": gzip.compress,
        ".bz2": bz2.compress,
        ".xz": lzma.compress,
    }
    path.write_bytes(pack[ending](content) if ending else content)
    return path


def typed(column: Made, draw: random.Random) -> tuple[Any, list[Any]]:
    """An Arrow array of a column's meaning, and the meaning again where it has changed."""
    meant = column.meant
    known = [value for value in meant if value is not None]
    if known and all(isinstance(value, float) for value in known):
        if all(value.is_integer() and abs(value) < 2**31 for value in known):
            kind = draw.choice(
                [pa.int64(), pa.float64(), pa.int32(), pa.decimal128(20, 2), pa.string()]
            )
        else:
            kind = draw.choice([pa.float64(), pa.string()])
        if pa.types.is_decimal(kind):
            return pa.array(
                [None if v is None else decimal.Decimal(int(v)) for v in meant], kind
            ), meant
        if pa.types.is_string(kind):
            return pa.array([None if v is None else repr(v) for v in meant]), meant
        return pa.array(
            [None if v is None else v if kind == pa.float64() else int(v) for v in meant], kind
        ), meant
    if known and all(isinstance(value, bool) for value in known):
        return pa.array(meant), meant
    if known and all(isinstance(value, datetime.datetime) for value in known):
        kind = draw.choice([pa.timestamp("us"), pa.date32()])
        return pa.array([v if kind != pa.date32() else v.date() for v in meant], kind), meant
    digits = all(isinstance(v, str) and v.isdigit() and v[0] != "0" for v in known)
    if known and digits and max(map(int, known)) < 2**64:
        kind = pa.uint64() if max(map(int, known)) >= 2**63 else pa.int64()
        return pa.array([None if v is None else int(v) for v in meant], kind), meant
    if known and all(isinstance(value, str) for value in known):
        array = pa.array(meant)
        return draw.choice([array, array.dictionary_encode(), array.cast(pa.large_string())]), meant
    return pa.array([str(cell) for cell in column.cells]), meant


def write(
    made: Table, folder: Path, draw: random.Random
) -> tuple[Path, dict[str, Any], list[Callable[[], Any]], bool]:
    """The file, the reader's settings, pandas' ways of reading it, and whether it was damaged."""
    if draw.random() < 0.3:
        path = folder / "table.parquet"
        arrays = {column.name: typed(column, draw)[0] for column in made.columns}
        pq.write_table(pa.table({**arrays, "target": pa.array(made.labels)}), path)
        ways = [
            lambda: pd.read_parquet(path),
            lambda: pd.read_parquet(path, dtype_backend="numpy_nullable"),
            lambda: pd.read_parquet(path, dtype_backend="pyarrow"),
        ]
        return path, {}, ways, False
    content, reader, options, hurt = csv_bytes(made, draw)
    path = packed(content, folder / "table.csv", draw)
    more: list[dict[str, Any]] = [
        {}, {"dtype": str}, {"dtype": str, "keep_default_na": False},
        {"dtype_backend": "numpy_nullable"}, {"dtype_backend": "pyarrow"},
        *([{"decimal": ","}] if made.settings.get("decimal") else []),
    ]  # fmt: skip
    return (
        path,
        reader,
        [lambda extra=extra: pd.read_csv(path, **options, **extra) for extra in more],
        hurt,
    )


def partition(values: list[Any]) -> list[int]:
    """[rows] the first row that is equal: the same for lists that tell the same rows apart."""
    first: dict[Any, int] = {}
    return [first.setdefault((type(value), value), row) for row, value in enumerate(values)]


def is_large(value: Any) -> bool:
    """Whether a number is infinite in float32."""
    return isinstance(value, float) and abs(value) > 3.4028235e38


def changed(column: Made, cohort: Cohort) -> str | None:
    """What the reader made of a column that its maker did not mean, if anything."""
    name = column.name.replace("\t", " ")
    if name not in cohort.records.frame:
        return "no feature"
    read, meant = cohort.records.frame[name].tolist(), column.meant
    none = [value != value for value in read]
    numbers = name in cohort.records.schema.numeric
    if numbers and any(is_large(value) for value in meant):
        return "numbers too large"
    if none != [value is None for value in meant]:
        return "other cells are missing"
    known = [(a, b) for gone, a, b in zip(none, read, meant, strict=True) if not gone]
    if numbers and all(isinstance(b, float) for _, b in known):
        return None if all(a == b for a, b in known) else "other numbers"
    return (
        None
        if partition([a for a, _ in known]) == partition([b for _, b in known])
        else "merged or split"
    )


def check(made: Table, cohort: Cohort, hurt: bool) -> list[str]:
    """What is wrong with a cohort, a sentence each."""
    if hurt:  # what was meant is not known any more
        return []
    if len(cohort.target) != len(made.classes):
        return [f"{len(cohort.target)} rows of {len(made.classes)}"]
    if partition(cohort.target.tolist()) != partition(made.classes):
        return ["other classes"]
    wrong = []
    for place, column in enumerate(made.columns):
        fault = changed(column, cohort)
        named = any(f"_c{place}c" in note for note in cohort.notes if "read as numeric" not in note)
        if fault and not named and column.name not in made.settings.get("drop", ()):
            wrong.append(f"{column.name!r}: {fault}: {column.cells[:6]}")
    return wrong


def same_again(cohort: Cohort, ways: list[Callable[[], Any]]) -> tuple[list[str], int]:
    """Ways of reading that are prepared otherwise than in training, and how many were refused."""
    wrong, refused = [], 0
    for number, way in enumerate(ways):
        try:
            rows = way()
        except (ValueError, OverflowError, pa.ArrowException):  # pandas itself can't
            continue
        try:
            cohort.records.schema.check_raw(rows)
            prepared = cohort.records.schema.prepare(rows).reset_index(drop=True)
        except UserError as error:
            check_message(error)
            refused += 1
            continue
        for column in cohort.records.schema.numeric:
            got, wanted = prepared[column].to_numpy(), cohort.records.frame[column].to_numpy()
            if len(got) != len(wanted) or not np.allclose(
                got, wanted, rtol=4.5e-16, atol=0, equal_nan=True
            ):
                wrong.append(f"way {number}: {column!r} is otherwise")
        for column in cohort.records.schema.categorical:
            if not prepared[column].equals(cohort.records.frame[column]):
                wrong.append(f"way {number}: {column!r} is otherwise")
    return wrong, refused


def check_message(error: UserError) -> None:
    """A message has at most 1,500 characters, none of which steers a terminal."""
    text = str(error)
    assert len(text) <= 1500, len(text)
    assert all(c == "\n" or unicodedata.category(c)[0] != "C" for c in text), text


def inputs_are_finite(cohort: Cohort) -> bool:
    """Whether a network would read finite numbers alone."""
    try:
        data = CohortDataModule(cohort, split_cohort(cohort))
    except UserError:
        return True
    return bool(np.isfinite(data.rows.inputs.numpy()).all())


def fuzz(seed: int, folder: Path) -> tuple[str, list[str]]:
    """One table: how reading it ended, and what is wrong with that."""
    maker = Maker(seed)
    made = maker.table()
    path, reader, ways, hurt = write(made, folder, maker.draw)
    try:
        cohort = table(str(path), "target", **{**made.settings, **reader})
    except UserError as error:
        check_message(error)
        return "refused" if not hurt else "damaged, refused", []
    wrong = check(made, cohort, hurt)
    if hurt:
        return "damaged, read", wrong
    more, refused = same_again(cohort, ways)
    wrong += more
    if not inputs_are_finite(cohort):
        wrong.append("inputs are not finite")
    return f"read, {refused} of {len(ways)} other ways refused" if refused else "read", wrong


def run(tables: int, seed: int) -> tuple[collections.Counter[str], dict[int, list[str]]]:
    """How reading ended, counted, and what is wrong by the seed of a table."""
    ended: collections.Counter[str] = collections.Counter()
    failures: dict[int, list[str]] = {}
    for number in range(seed, seed + tables):
        with tempfile.TemporaryDirectory() as folder:
            try:
                end, wrong = fuzz(number, Path(folder))
            except Exception:
                end, wrong = "crashed", [traceback.format_exc(limit=-4)]
        ended[end] += 1
        if wrong:
            failures[number] = wrong
    return ended, failures


def main() -> int:
    """Print how reading ended and every failure; 1 where there is one."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tables", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    with contextlib.suppress(KeyboardInterrupt):
        ended, failures = run(arguments.tables, arguments.seed)
    for end, count in sorted(ended.items()):
        print(f"{count:6} {end}")
    for number, wrong in failures.items():
        print(f"table {number}:", *wrong, sep="\n  ")
    print(f"{len(failures)} of {arguments.tables} tables failed")
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
