"""A CSV file to a frame of text, and what its lines and its rows have to do with each other."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol, TextIO, cast

import pandas as pd

from meddistill.data.tables.rows import check_names, clean_name
from meddistill.errors import SettingError, UserError, listed, shown

OPENERS: dict[str, Callable[[Path], BinaryIO]] = {
    ".gz": lambda path: cast(BinaryIO, gzip.GzipFile(path)),
    ".bz2": lambda path: cast(BinaryIO, bz2.BZ2File(path)),
    ".xz": lambda path: cast(BinaryIO, lzma.LZMAFile(path)),  # noqa: SIM115 - closed as text
    ".zip": lambda path: _in_zip(path),
}
BROKEN = (
    csv.Error,
    OSError,
    EOFError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    RuntimeError,
)
"""What the readers of packed files raise for a cut or damaged one."""
BYTE_ORDER_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}


def read_csv(
    path: Path, separator: str, encoding: str, alone: bool = False
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The text of every cell, indexed by the line that its row ends in, and what is to be said.

    Args:
        path: The file.
        separator: Between cells.
        encoding: Of its text.
        alone: Whether a single column is enough.

    Raises:
        UserError: The file can't be decoded or unpacked, or a line does not fit the header.
    """
    separator = "\t" if ".tsv" in path.suffixes and separator == "," else separator
    try:
        with _open(path, encoding) as file:
            rows = csv.reader(_no_nul(file, path), delimiter=separator)
            return _Lines(path, separator, rows, alone).read()
    except (UnicodeError, LookupError) as error:
        raise UserError(
            f"{path}: not readable as {encoding} ({error}): set data.encoding "
            "(data.encoding=latin-1 for many older files, data.encoding=utf-16 for some exports)"
        ) from error
    except BROKEN as error:
        hint = ": a quote may never be closed" if isinstance(error, csv.Error) else ""
        raise SettingError("data.path", path, f"can't be read as CSV ({error}){hint}") from error


class _Reader(Protocol):
    """What `csv.reader` returns."""

    line_num: int

    def __iter__(self) -> Iterator[list[str]]: ...

    def __next__(self) -> list[str]: ...


class _Lines:
    """Rows of one file as they are read.

    Args:
        path: The file, for messages.
        separator: Between cells.
        rows: The reader of its rows.
        alone: Whether a single column is enough.
    """

    def __init__(self, path: Path, separator: str, rows: _Reader, alone: bool) -> None:
        self.path, self.separator, self.rows, self.alone = path, separator, rows, alone
        self.blank = self.empty = self.broken = 0
        self.first_broken: int | None = None

    def read(self) -> tuple[pd.DataFrame, tuple[str, ...]]:
        header = next(self.rows, [])
        if not self.alone:
            _check_separator(self.path, header, self.separator)
        header = [clean_name(name) for name in header]
        names = [name or f"Unnamed: {place}" for place, name in enumerate(header)]  # as pandas says
        check_names(self.path, names)
        lines, cells = self._cells(len(header))
        columns = list(zip(*cells, strict=True)) if cells else [() for _ in names]
        frame = pd.DataFrame(
            dict(zip(names, columns, strict=True)),
            index=pd.Index(lines, dtype="int64"),
            dtype=object,
        )
        unnamed = [name for name, given in zip(names, header, strict=True) if not given]
        return frame, tuple(self._notes(len(lines), unnamed))

    def _cells(self, width: int) -> tuple[list[int], list[list[str]]]:
        lines: list[int] = []
        cells: list[list[str]] = []
        last = self.rows.line_num
        for row in self.rows:
            line, first = self.rows.line_num, last + 1
            last = line
            if not row:
                self.blank += 1
                continue
            if line > first:
                self._check_breaks(row, first, line, width)
            if len(row) != width:
                row = self._fitted(row, width, first)
            if any(row):
                lines.append(first)
                cells.append(row)
            else:
                self.empty += 1
        return lines, cells

    def _fitted(self, row: list[str], width: int, line: int) -> list[str]:
        """A short row would be filled up with missing cells, a long one cut."""
        if len(row) < width or any(row[width:]):
            raise UserError(
                f"{self.path}: line {line} has {len(row)} cell(s), the header {width}: mend the "
                f"line (a cell that holds {self.separator!r} must stand in double quotes) or the "
                "header"
            )
        return row[:width]

    def _check_breaks(self, row: list[str], first: int, line: int, width: int) -> None:
        """A quote that is not closed makes one cell of the rows below it."""
        broken = [cell for cell in row if "\n" in cell or "\r" in cell]
        self.broken += len(broken)
        self.first_broken = self.first_broken or first
        for cell in broken:
            marks = [part.count(self.separator) for part in cell.splitlines()]
            rows = sum(marks) == (len(marks) - 1) * (width - 1) > 0
            if width - 1 in marks or rows:
                raise UserError(
                    f"{self.path}: a quote opened in line {first} makes one cell of lines {first} "
                    f"to {line}, which look like rows of their own: close it, or write a quote "
                    f'that belongs to the text twice (""); the cell begins with {shown(cell, 40)}'
                )

    def _notes(self, rows: int, unnamed: Sequence[str]) -> Iterator[str]:
        lines = self.rows.line_num
        out = [f"{self.blank} blank"] if self.blank else []
        out += [f"{self.empty} with empty cells alone"] if self.empty else []
        apart = f" ({', '.join(out)} left out)" if out else ""
        yield f"{rows} rows read of {lines} lines, the header among them{apart}"
        if self.broken:
            yield f"{self.broken} cell(s) hold line breaks, first in line {self.first_broken}"
        if unnamed:
            yield f"columns without a name are called {listed(unnamed)}"


def _open(path: Path, encoding: str) -> TextIO:
    opener = OPENERS.get(path.suffix.lower())
    packed: BinaryIO = opener(path) if opener else path.open("rb")
    start = packed.read(4)
    packed.seek(0)
    if start == b"PK\x03\x04":
        raise SettingError("data.path", path, "is a zip archive or a spreadsheet: save it as CSV")
    if encoding.lower().replace("-", "") in ("utf8", "utf16"):
        marked = (name for mark, name in BYTE_ORDER_MARKS.items() if start.startswith(mark))
        encoding = next(marked, encoding)
    return io.TextIOWrapper(packed, encoding=encoding, newline="")


def _in_zip(path: Path) -> BinaryIO:
    archive = zipfile.ZipFile(path)
    inside = [
        name for name in archive.namelist() if not name.endswith("/") and "__MACOSX" not in name
    ]
    if len(inside) != 1:
        raise SettingError(
            "data.path", path, f"holds {len(inside)} files ({listed(inside)}), and only one can be "
            "read: unpack it and name that file",
        )  # fmt: skip
    return cast(BinaryIO, archive.open(inside[0], "r"))


def _no_nul(file: TextIO, path: Path) -> Iterator[str]:
    for number, line in enumerate(file, start=1):
        if "\0" in line:
            raise UserError(
                f"{path}: line {number} holds NUL bytes, so it is no text in this encoding: set "
                "data.encoding (utf-16-le for some exports), or save the file as CSV"
            )
        yield line


def _check_separator(path: Path, header: list[str], separator: str) -> None:
    if len(header) > 1:
        return
    for other in (";", "\t", "|", ","):
        if other != separator and header and other in header[0]:
            spelled = other.replace("\t", "\\t")
            raise UserError(
                f"{path}: the header is one column, {header[0].strip()[:60]!r}, so the cells are "
                f"not separated by {separator!r}: set data.separator=\"'{spelled}'\""
            )
    only = shown(header[0] if header else "")
    raise UserError(
        f"{path}: the header (line 1), {only}, is one column; a target and a feature are needed: "
        "if it is a comment, remove the line"
    )
