"""A series as a vector: what each variable came to over a row's observed steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from meddistill.data.records import Records
from meddistill.data.series.pace import Pace
from meddistill.data.series.preprocessing import SeriesPreprocessing
from meddistill.data.series.records import SeriesRecords
from meddistill.data.series.scales import Scales
from meddistill.data.series.spec import checked_spec
from meddistill.data.series.static_inputs import StaticInputs

STATISTICS = ("mean", "min", "max", "first", "last", "slope", "observed")
"""Of a variable in a row: `slope` by least squares a unit of time, `observed` a share of steps."""
Chosen = Sequence[str]
ROWS_AT_ONCE = 1024


class SummaryInputs(SeriesPreprocessing):
    """[features] for networks and estimators of vectors.

    Args:
        spec: Of the records.
        scales: Of the variables; cells are clipped and scaled before they are summed up.
        statics: Static columns as inputs.
        pace: When the steps of training were.
        features: Scales of the statistics; one that nobody has is 0, its mean.
        chosen: Which of `STATISTICS`.
    """

    layout = "vector"
    method = "summary"

    def __init__(
        self,
        spec: dict[str, Any],
        scales: Scales,
        statics: StaticInputs,
        pace: Pace,
        features: Scales,
        chosen: Chosen,
    ) -> None:
        super().__init__(spec, scales, statics, pace)
        self.features, self.chosen = features, tuple(chosen)
        self.names = [*feature_names(spec["variables"], chosen), *statics.names]
        self.in_shape = (len(self.names),)

    def __call__(self, records: Records) -> NDArray[np.float32]:
        """[rows, features]."""
        assert isinstance(records, SeriesRecords)
        records = self.matched(records)
        inputs = np.empty((len(records), len(self.names)), dtype=np.float32)
        first = 0
        for part in summaries(records, self.scales, self.chosen):
            rows = slice(first, first + len(part))
            fixed = self.statics(torch.from_numpy(records.statics[rows]))
            inputs[rows] = torch.cat([self.features(part), fixed], dim=-1).numpy()
            first += len(part)
        return inputs

    def as_plain(self) -> dict[str, Any]:
        """JSON values."""
        names = feature_names(self.spec["variables"], self.chosen)
        return {
            "statistics": list(self.chosen),
            "features": self.features.as_plain(names),
            **super().as_plain(),
        }


def load_summary(plain: dict[str, Any], spec: Mapping[str, Any]) -> SummaryInputs:
    """What `as_plain` wrote, every value checked.

    Raises:
        ValueError: A value is none that could have been fitted.
    """
    spec, chosen = checked_spec(spec), plain.get("statistics")
    if not isinstance(chosen, list) or not chosen or not set(map(str, chosen)) <= set(STATISTICS):
        raise ValueError(f"statistics={chosen!r:.40} are none of {list(STATISTICS)}")
    scales = Scales.from_plain(plain.get("variables"), spec["variables"])
    features = Scales.from_plain(plain.get("features"), feature_names(spec["variables"], chosen))
    statics = StaticInputs.from_plain(plain.get("statics"), spec["static"])
    pace = Pace.from_plain(plain.get("pace"))
    return SummaryInputs(spec, scales, statics, pace, features, chosen)


def feature_names(variables: list[str], chosen: Chosen) -> list[str]:
    """[statistics of each variable] such as `HR (mean)`."""
    return [f"{name} ({each})" for each in chosen for name in variables]


def summaries(records: SeriesRecords, scales: Scales, chosen: Chosen) -> Iterator[Tensor]:
    """[some rows, statistics * V] one part of the rows after the other, NaN where there is none."""
    for first in range(0, len(records), ROWS_AT_ONCE):
        rows = slice(first, first + ROWS_AT_ONCE)
        values = torch.from_numpy(records.values[rows])
        times = torch.from_numpy(records.times[rows])
        yield _summary(values, times, scales, chosen)


def _summary(values: Tensor, times: Tensor, scales: Scales, chosen: Chosen) -> Tensor:
    seen, real = ~values.isnan() & scales.known, ~times.isnan()
    scaled, count = scales(values), seen.sum(dim=1)
    total = count.to(values.dtype)
    time = times.nan_to_num().unsqueeze(-1)
    steps = torch.arange(values.shape[1]).unsqueeze(-1)
    first = torch.where(seen, steps, values.shape[1] - 1).amin(dim=1, keepdim=True)
    last = torch.where(seen, steps, 0).amax(dim=1, keepdim=True)
    mean, middle = scaled.sum(dim=1) / total, (time * seen).sum(dim=1) / total
    away = torch.where(seen, time - middle.unsqueeze(1), 0.0)
    spread = away.square().sum(dim=1)
    found = {
        "mean": mean,
        "min": scaled.masked_fill(~seen, torch.inf).amin(dim=1),
        "max": scaled.masked_fill(~seen, -torch.inf).amax(dim=1),
        "first": scaled.gather(1, first).squeeze(1),
        "last": scaled.gather(1, last).squeeze(1),
        "slope": torch.where(count > 1, (away * scaled).sum(dim=1) / spread, torch.nan),
    }
    found = {name: torch.where(count > 0, each, torch.nan) for name, each in found.items()}
    found["observed"] = total / real.sum(dim=1, keepdim=True)
    return torch.cat([found[name] for name in chosen], dim=-1)
