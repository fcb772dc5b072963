"""A series as a recurrent or convolutional network reads it: value, observed, time since."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from meddistill.data.records import Records
from meddistill.data.series.gaps import GAPPED, WHOLE
from meddistill.data.series.preprocessing import SeriesPreprocessing
from meddistill.data.series.records import SeriesRecords
from meddistill.data.series.scales import Scales, finite
from meddistill.data.series.static_inputs import StaticInputs


class ChannelInputs(SeriesPreprocessing):
    """[parts, time, 1 + variables + static inputs], scaled on the device (see `layout`).

    A missing value is the one seen last, clipped and scaled, and 0, the training mean, before
    there was any. What lies beyond a row's last step is 0 in every part.

    Args:
        spec: Of the records.
        scales: Of the variables.
        longest_gap: [V] time since a value at which it is cut off, and by which it is divided.
        clock: Latest time and longest stride, likewise.
        statics: Static columns as inputs.
        parts: 3, or 1 for values alone.
    """

    layout = "series"
    method = "channels"

    def __init__(
        self,
        spec: dict[str, Any],
        scales: Scales,
        longest_gap: Tensor,
        clock: tuple[float, float],
        statics: StaticInputs,
        parts: int,
    ) -> None:
        super().__init__(spec, scales, statics)
        self.longest_gap, self.clock, self.parts = longest_gap, clock, parts
        self.names = ["clock", *spec["variables"], *statics.names]
        self.in_shape = (parts, spec["steps"], len(self.names))
        self.form = repr((self.method, parts, spec["steps"], statics.codes))

    def __call__(self, records: Records) -> NDArray[np.float32]:
        """[rows, parts, time, 1 + V + S], the same for every split."""
        assert isinstance(records, SeriesRecords)
        return self.fitting(records).in_parts(self.parts)

    def front(self, inputs: Tensor) -> Tensor:
        """[..., parts, time, 1 + V + S] -> [..., parts, time, 1 + V + static inputs]."""
        device = inputs.device
        scales, gap = self.scales.mapped(lambda t: t.to(device)), self.longest_gap.to(device)
        own = slice(1, 1 + len(self.spec["variables"]))
        value, *others = inputs.unbind(dim=-3)
        times = value[..., :1]
        real = (~times.isnan()).to(inputs.dtype)
        statics = self.statics.mapped(lambda t: t.to(device))
        fixed, known = statics(value[..., own.stop :])
        parts = [torch.cat([real, scales(value[..., own]), fixed], dim=-1)]
        if self.parts == GAPPED:
            observed, since = others
            latest, stride = self.clock
            read = scales.known.to(inputs.dtype)
            time = (times / latest).clamp(-1, 1).nan_to_num()
            step = (since[..., :1] / stride).clamp(0, 1)
            waited = (since[..., own] / gap).clamp(0, 1) * read
            parts.append(torch.cat([time, observed[..., own] * read, known], dim=-1))
            parts.append(torch.cat([step, waited, torch.zeros_like(fixed)], dim=-1))
        return torch.stack(parts, dim=-3)

    def as_plain(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "parts": self.parts,
            "latest": self.clock[0],
            "stride": self.clock[1],
            "longest_gap": self.longest_gap.tolist(),
            **super().as_plain(),
        }


def load_channels(plain: dict[str, Any], spec: dict[str, Any]) -> ChannelInputs:
    """What `as_plain` wrote, every value checked.

    Raises:
        ValueError: A value is none that could have been fitted.
    """
    scales = Scales.from_plain(plain.get("variables"), spec["variables"])
    statics = StaticInputs.from_plain(plain.get("statics"), spec["static"])
    if plain.get("parts") not in (GAPPED, WHOLE):
        raise ValueError(f"parts={plain.get('parts')!r:.40} must be 1 or 3")
    gaps = plain.get("longest_gap")
    if not isinstance(gaps, list) or len(gaps) != len(spec["variables"]):
        raise ValueError("'longest_gap' must be a list with a number for each variable")
    gap = [_positive({"longest_gap": each}, "longest_gap") for each in gaps]
    clock = _positive(plain, "latest"), _positive(plain, "stride")
    return ChannelInputs(spec, scales, torch.tensor(gap), clock, statics, plain["parts"])


def _positive(entry: dict[str, Any], name: str) -> float:
    value = finite(entry, name)
    if value <= 0:
        raise ValueError(f"{name}={value!r:.40} must be above 0")
    return value
