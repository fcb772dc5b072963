"""What training rows teach the preprocessings of series."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from meddistill.data.patients import Patients
from meddistill.data.series.channels import ChannelInputs
from meddistill.data.series.gaps import GAPPED, WHOLE, last_seen, strides, time_since
from meddistill.data.series.records import SeriesRecords
from meddistill.data.series.scales import Scales
from meddistill.data.series.static_inputs import StaticInputs
from meddistill.data.series.summary import SummaryInputs, summaries

LONGEST = 0.99
"""Quantile of training times since a value at which longer ones are cut off."""


def fit_scales(
    records: SeriesRecords, patients: Patients, clip: float
) -> tuple[Scales, StaticInputs]:
    """Scales of the variables, and static columns as inputs."""
    values = records.values
    columns, known = [], []
    for place in range(len(records.variables)):
        column = values[:, :, place]
        seen = ~np.isnan(column)
        columns.append(column[seen])
        known.append(patients.are_enough(np.any(seen, axis=1)))
    return Scales.fit(columns, clip, known), StaticInputs.fit(records, patients, clip)


def fit_channels(
    records: SeriesRecords, patients: Patients, clip: float, mask: bool
) -> ChannelInputs:
    """Channels by training rows: parts of three where a cell is missing or steps are uneven."""
    scales, statics = fit_scales(records, patients, clip)
    gapped = mask and records.has_gaps
    gap, clock = torch.ones(len(records.variables)), (1.0, 1.0)
    if gapped:
        gap, clock = _longest(records)
    return ChannelInputs(records.spec, scales, gap, clock, statics, GAPPED if gapped else WHOLE)


def _longest(records: SeriesRecords) -> tuple[torch.Tensor, tuple[float, float]]:
    """[V] quantiles of the time since a value; the latest time, and a quantile of strides."""
    times = torch.from_numpy(records.times)
    gaps = [_quantile(since.numpy(), LONGEST) for since in _since(records, times)]
    stride = _quantile(strides(times).numpy(), LONGEST)
    latest = float(np.nanmax(np.abs(records.times), initial=0.0))
    return torch.tensor(gaps, dtype=torch.float32), (latest or 1.0, stride)


def _since(records: SeriesRecords, times: torch.Tensor) -> Iterator[torch.Tensor]:
    """Of one variable after the other [rows, time, 1] the time since its value before."""
    for place in range(len(records.variables)):
        seen = ~torch.from_numpy(records.values[:, :, place : place + 1]).isnan()
        yield time_since(times, last_seen(seen))


def _quantile(values: NDArray[np.float32], share: float) -> float:
    known = values[~np.isnan(values)]
    found = float(np.quantile(known, share, method="nearest")) if len(known) else 0.0
    return found if found > 0 else 1.0


def fit_summary(
    records: SeriesRecords, patients: Patients, clip: float, chosen: Sequence[str]
) -> SummaryInputs:
    """Statistics of each variable by training rows."""
    scales, statics = fit_scales(records, patients, clip)
    rows = torch.cat(list(summaries(records, scales, chosen))).numpy()
    columns = [column[~np.isnan(column)] for column in rows.T]
    known = [patients.are_enough(~np.isnan(column)) for column in rows.T]
    return SummaryInputs(records.spec, scales, Scales.fit(columns, 0.0, known), statics, chosen)
