"""What training rows teach the preprocessings of series."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from meddistill.data.patients import Patients
from meddistill.data.series.channels import ChannelInputs
from meddistill.data.series.gaps import GAPPED, WHOLE, last_seen, strides, time_since
from meddistill.data.series.pace import Pace, row_ends
from meddistill.data.series.records import SeriesRecords
from meddistill.data.series.scales import Scales
from meddistill.data.series.static_inputs import StaticInputs
from meddistill.data.series.summary import SummaryInputs, summaries

LONGEST = 0.99
"""Quantile of training times since a value at which longer ones are cut off, or earlier."""


def fit_scales(
    records: SeriesRecords, patients: Patients, clip: float
) -> tuple[Scales, StaticInputs, Pace]:
    """Scales of the variables, static columns as inputs, and when the steps were."""
    columns = [column[~np.isnan(column)] for column in np.moveaxis(records.values, 2, 0)]
    scales = Scales.fit(columns, clip, patients.ends(*row_ends(records.values)))
    pace = Pace.of(records.times, patients)
    return scales, StaticInputs.fit(records, patients, clip), pace


def fit_channels(
    records: SeriesRecords, patients: Patients, clip: float, mask: bool
) -> ChannelInputs:
    """Channels by training rows: parts of three where a cell is missing or steps are uneven."""
    scales, statics, pace = fit_scales(records, patients, clip)
    gapped = mask and records.has_gaps
    gap, clock = torch.ones(len(records.variables)), (1.0, 1.0)
    if gapped:
        latest = max(abs(pace.earliest), abs(pace.latest)) or 1.0
        times = torch.from_numpy(records.times)
        clock = latest, _longest(strides(times).unsqueeze(-1), patients)
        gap = torch.tensor([_longest(since, patients) for since in _since(records, times)])
    parts = GAPPED if gapped else WHOLE
    return ChannelInputs(records.spec, scales, statics, pace, gap, clock, parts)


def _since(records: SeriesRecords, times: torch.Tensor) -> Iterator[torch.Tensor]:
    """Of one variable after the other [rows, time, 1] the time since its value before."""
    for place in range(len(records.variables)):
        seen = ~torch.from_numpy(records.values[:, :, place : place + 1]).isnan()
        yield time_since(times, last_seen(seen))


def _longest(gaps: torch.Tensor, patients: Patients) -> float:
    """Of gaps in time [rows, time, 1] a quantile, or what enough patients reach if it is less."""
    known = gaps[~gaps.isnan()].numpy()
    quantile = float(np.quantile(known, LONGEST, method="nearest")) if len(known) else 0.0
    _, reached = patients.ends(*row_ends(gaps.numpy()))
    found = min(quantile, float(reached[0]))
    return found if found > 0 else 1.0


def fit_summary(
    records: SeriesRecords, patients: Patients, clip: float, chosen: Sequence[str]
) -> SummaryInputs:
    """Statistics of each variable by training rows."""
    scales, statics, pace = fit_scales(records, patients, clip)
    rows = torch.cat(list(summaries(records, scales, chosen))).numpy()
    columns = [column[~np.isnan(column)] for column in rows.T]
    features = Scales.fit(columns, 0.0, patients.ends(rows, rows))
    return SummaryInputs(records.spec, scales, statics, pace, features, chosen)
