"""Long tables, a row a measurement, beside a table of outcomes, as a cohort."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from meddistill.config.identity import from_call
from meddistill.data.cohort import Cohort
from meddistill.data.series.beside import check_columns, statics_of
from meddistill.data.series.cohorts import cohort_of
from meddistill.data.series.long_rows import Long, column_names
from meddistill.data.series.pivot import long_records
from meddistill.data.series.records import NAMES
from meddistill.data.series.static import static_names
from meddistill.data.series.times import DATE, NUMBER
from meddistill.data.series.unlabelled import BESIDE, read_unlabelled
from meddistill.data.tables.labels import read_ids
from meddistill.data.tables.reading import read_raw
from meddistill.data.unlabelled import Unlabelled, with_unlabelled
from meddistill.errors import SettingError, UserError, listed, optional_number, shown


def series_table(
    path: str,
    outcomes_path: str,
    target: str,
    positive: str | int | float | bool | None = None,
    id: str | None = None,
    time: str | None = None,
    variable: str | None = None,
    value: str | None = None,
    static: Sequence[str] = (),
    group: str | None = None,
    part: str | None = None,
    parts: dict[str, object] | None = None,
    step: float | None = None,
    until: float | None = None,
    separator: str = ",",
    encoding: str = "utf-8",
    unlabelled: str | None = None,
    unlabelled_static_path: str | None = None,
) -> Cohort:
    """Read a long table of measurements and a table with a row of outcomes a patient.

    Args:
        path: .csv or .parquet file with a row a measurement.
        outcomes_path: .csv or .parquet file with a row for each id.
        target: Column of the outcomes that holds the diagnosis.
        positive: With two classes, the one to find; guessed and said where None.
        id: Column of both tables; None is `id`, or MEDS's `subject_id`.
        time: Column of numbers, of dates, which count in hours from the id's first row, or of
            durations, which count in hours.
        variable: Column of the variables' names; None is `variable`, or MEDS's `code`.
        value: Column of the values; None is `value`, or MEDS's `numeric_value`.
        static: Columns of the outcomes' table that stand beside the series.
        group: Column of the outcomes' table that says which ids belong together.
        part: Column of the outcomes' table by whose cells official parts are chosen.
        parts: Its cells by part: {train: [a], test: [c]}.
        step: Width of bins of time in which values are averaged; None keeps the times.
        until: Time of the prediction, after which nothing is read, since later visits tell the
            outcome; None reads all.
        separator: Between cells of CSV files.
        encoding: Of CSV files.
        unlabelled: A long table of further ids, or an .npz file, for a teacher to answer.
        unlabelled_static_path: A table with a row for each of these ids: their static columns and
            groups; None has them stand in the long one.

    Raises:
        UserError: The files or their content can't be used; the message says where and how to mend.
    """
    optional_number("data.step", step, above=0)
    optional_number("data.until", until)
    notation = separator, ".", encoding
    table = read_raw(from_call(path), *notation)
    beside = read_raw(from_call(outcomes_path), *notation)
    given = {"id": id, "time": time, "variable": variable, "value": value}
    names = column_names(table.frame, given, path)
    roles = {"target": target, "id": names["id"], "group": group, "part": part}
    beside_series = static_names(static, roles)
    columns = [*beside_series, *(str(name) for name in roles.values() if name is not None)]
    try:
        check_columns(columns, beside.frame)
        ids = read_ids(beside.frame, names["id"]).tolist()
    except UserError as error:
        raise UserError(f"{outcomes_path}: {error}") from error
    long = Long.read(table.frame, names, path)
    notes = (*table.notes, *beside.notes, *long.notes, *_of_hours(long, names["time"]))
    long, notes = _with_outcome(long, ids, outcomes_path, notes)
    long, chosen, notes = _until(long, ids, until, notes)
    frame = beside.frame[np.isin(np.array(ids, dtype=object), chosen)]
    statics = statics_of(chosen, frame, names["id"], dict.fromkeys(beside_series))
    spec = {
        "variables": long.present_variables(),
        "step": step, "until": until, "names": {**NAMES, **names},
    }  # fmt: skip
    records = long_records(long, chosen, statics, spec)
    cohort = cohort_of(Path(path).name, records, frame, roles, positive, parts, notes)
    more_beside = None if unlabelled_static_path is None else from_call(unlabelled_static_path)
    if more_beside is not None and unlabelled is None:
        raise SettingError(BESIDE, unlabelled_static_path, "stands beside data.unlabelled: name it")

    def read(file: Path) -> Unlabelled:
        return read_unlabelled(file, records.spec, roles, more_beside, separator, encoding)

    return with_unlabelled(cohort, unlabelled, read)


def _of_hours(long: Long, column: str) -> list[str]:
    if long.time_kind == NUMBER:
        return []
    since = " since the first row of their id" if long.time_kind == DATE else ""
    return [f"{long.time_kind}s in {shown(column)} are read as hours{since}"]


def _with_outcome(
    long: Long, ids: Sequence[str], outcomes: str, notes: tuple[str, ...]
) -> tuple[Long, tuple[str, ...]]:
    """The measurements of ids with an outcome; the others are left out, and said.

    Raises:
        UserError: An id with an outcome has no measurement, as where ids are written otherwise.
    """
    known, measured = set(ids), set(long.ids)
    absent = [id for id in ids if id not in measured]
    if absent:
        raise UserError(
            f"{outcomes}: id {listed(absent)} has an outcome and no row in the long table, whose "
            f"ids are such as {shown(long.ids[0])}: is it written otherwise? Leave such ids out"
        )
    others = [id for id in long.ids if id not in known]
    if not others:
        return long, notes
    said = f"{len(others)} id(s) without an outcome are left out: {listed(others)}"
    return long.at(np.array([id in known for id in long.ids])[long.id]), (*notes, said)


def _until(
    long: Long, ids: Sequence[str], until: float | None, notes: tuple[str, ...]
) -> tuple[Long, list[str], tuple[str, ...]]:
    """The measurements until the prediction, and ids that have any; what is left out is said."""
    if until is None:
        return long, list(ids), notes
    early = long.at(long.time <= until)
    present = {long.ids[place] for place in np.unique(early.id)}
    later = [id for id in ids if id not in present]
    cut = len(long.time) - len(early.time)
    said = [f"{cut} row(s) later than {until:g} (data.until) are not read"] if cut else []
    if later:
        said.append(f"{len(later)} id(s) have no row by then and are left out: {listed(later)}")
    return early, [id for id in ids if id in present], (*notes, *said)
