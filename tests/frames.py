"""Frames in the place of a cohort's rows, and a preprocessing asked for the inputs of a frame."""

from __future__ import annotations

from dataclasses import replace

from meddistill.data.tables.encoding import Fitted
from meddistill.data.tables.records import TableRecords
from meddistill.data.tables.remarks import remarks


def with_frame(cohort, frame, schema=None, **changes):
    """The cohort with other cells: `frame` holds prepared ones, of `schema` or the cohort's own."""
    schema = cohort.records.schema if schema is None else schema
    return replace(cohort, records=TableRecords(frame, schema), **changes)


def inputs_of(preprocessing, raw):
    """[rows, features] of raw rows, read and made as `predict` does."""
    return preprocessing(preprocessing.read(raw))


def remarks_on(preprocessing, frame):
    """What is odd about new rows, a sentence each."""
    fitted = Fitted(preprocessing.schema, preprocessing.numbers, preprocessing.categories)
    return remarks(fitted, preprocessing.read(frame).cells, frame)
