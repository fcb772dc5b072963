"""A series as a recurrent or convolutional network reads it: value, observed, time since."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from meddistill.data.records import Records
from meddistill.data.series.gaps import GAPPED, WHOLE
from meddistill.data.series.pace import Pace
from meddistill.data.series.preprocessing import SeriesPreprocessing
from meddistill.data.series.records import SeriesRecords
from meddistill.data.series.scales import LEARNED, Scales, finite
from meddistill.data.series.spec import checked_spec
from meddistill.data.series.static_inputs import StaticInputs

ROWS_AT_ONCE = 64
"""Rows scaled at once: arrays that the processor's cache holds take a third of the time."""


class ChannelInputs(SeriesPreprocessing):
    """[parts, time, 1 + variables + static inputs], scaled on the device (see `layout`).

    A missing value is the one seen last, clipped and scaled, and 0, the training mean, before
    there was any. What lies beyond a row's last step is 0 in every part.

    Args:
        spec: Of the records.
        scales: Of the variables.
        statics: Static columns as inputs.
        pace: When the steps of training were.
        longest_gap: [V] time since a value at which it is cut off, and by which it is divided.
        clock: Latest time and longest stride, likewise.
        parts: 3, or 1 for values alone.
    """

    layout = "series"
    method = "channels"

    def __init__(
        self,
        spec: dict[str, Any],
        scales: Scales,
        statics: StaticInputs,
        pace: Pace,
        longest_gap: Tensor,
        clock: tuple[float, float],
        parts: int,
    ) -> None:
        super().__init__(spec, scales, statics, pace)
        self.longest_gap, self.clock, self.parts = longest_gap, clock, parts
        self.names = ["clock", *spec["variables"], *statics.names]
        self.in_shape = (parts, spec["steps"], len(self.names))
        self._affine = self._affine_of_parts()
        columns = tuple(spec["variables"]), tuple(spec["static"])
        self.form = repr((self.method, parts, spec["steps"], columns, statics.codes))

    def __call__(self, records: Records) -> NDArray[np.float32]:
        """[rows, time, parts, 1 + V + S], the same for every split."""
        assert isinstance(records, SeriesRecords)
        return self.matched(records).in_parts(self.parts)

    def front(self, inputs: Tensor) -> Tensor:
        """[..., time, parts, 1 + V + S] -> [..., parts, time, 1 + V + static inputs].

        A step's numbers lie together in memory, as networks read them.
        """
        rows = inputs.reshape(-1, *inputs.shape[-3:])
        scaled = torch.cat([self._scaled(part) for part in torch.split(rows, ROWS_AT_ONCE)])
        return scaled.view(*inputs.shape[:-1], -1).movedim(-2, -3)

    def _scaled(self, inputs: Tensor) -> Tensor:
        """[rows, time, parts, 1 + V + S] -> [rows, time, parts, 1 + V + static inputs]."""
        low, high, mean, scale = (each.to(inputs.device) for each in self._affine)
        scaled = inputs.clamp(low, high).sub_(mean).mul_(scale).nan_to_num_()
        scaled[..., 0, 0] = (~inputs[..., 0, 0].isnan()).to(inputs.dtype)
        pieces, start = [], 0
        first = 1 + len(self.spec["variables"])
        columns = zip(self.statics.codes, self.statics.known, strict=True)
        for place, (codes, known) in enumerate(columns, first):
            if codes is not None and known is not None:
                pieces += [scaled[..., start:place], _one_hot(inputs[..., place], codes, known)]
                start = place + 1
        return torch.cat([*pieces, scaled[..., start:]], dim=-1) if pieces else scaled

    def _affine_of_parts(self) -> tuple[Tensor, ...]:
        """[parts, 1 + V + S] each: ends, mean and scale of whatever lies in memory.

        A code of a category has none: it becomes 0 here, and inputs of its own.
        """
        scales, fixed = self.scales, self.statics.in_place()
        latest, stride = self.clock
        read, some = scales.known.float(), torch.ones(len(fixed.low))
        none, nothing = torch.zeros_like(read), torch.zeros_like(some)
        value = [
            torch.cat([torch.zeros(1), getattr(scales, name), getattr(fixed, name)])
            for name in LEARNED
        ]
        observed = [
            torch.cat([torch.tensor([end]), own, static])
            for end, own, static in (
                (-latest, none, nothing), (latest, none + 1, some), (0.0, none, nothing),
                (1 / latest, read, some),
            )
        ]  # fmt: skip
        since = [
            torch.cat([torch.tensor([end]), own, nothing])
            for end, own in (
                (0.0, none), (stride, self.longest_gap), (0.0, none),
                (1 / stride, read / self.longest_gap),
            )
        ]  # fmt: skip
        parts = [value, observed, since][: self.parts]
        return tuple(torch.stack(each) for each in zip(*parts, strict=True))

    def as_plain(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "parts": self.parts,
            "latest": self.clock[0],
            "stride": self.clock[1],
            "longest_gap": self.longest_gap.tolist(),
            **super().as_plain(),
        }


def _one_hot(column: Tensor, codes: Sequence[str], known: Sequence[str]) -> Tensor:
    """[..., parts] a category's code, whether it was observed, 0 -> [..., parts, known]."""
    wanted = torch.tensor([codes.index(name) for name in known], device=column.device)
    inputs = column.nan_to_num().unsqueeze(-1).repeat_interleave(len(known), dim=-1)
    inputs[..., 0, :] = (column[..., 0, None] == wanted).to(column.dtype)
    return inputs


def load_channels(plain: dict[str, Any], spec: Mapping[str, Any]) -> ChannelInputs:
    """What `as_plain` wrote, every value checked.

    Raises:
        ValueError: A value is none that could have been fitted.
    """
    spec = checked_spec(spec)
    scales = Scales.from_plain(plain.get("variables"), spec["variables"])
    statics = StaticInputs.from_plain(plain.get("statics"), spec["static"])
    pace = Pace.from_plain(plain.get("pace"))
    if plain.get("parts") not in (GAPPED, WHOLE):
        raise ValueError(f"parts={plain.get('parts')!r:.40} must be 1 or 3")
    gaps = plain.get("longest_gap")
    if not isinstance(gaps, list) or len(gaps) != len(spec["variables"]):
        raise ValueError("'longest_gap' must be a list with a number for each variable")
    gap = [_positive({"longest_gap": each}, "longest_gap") for each in gaps]
    clock = _positive(plain, "latest"), _positive(plain, "stride")
    return ChannelInputs(spec, scales, statics, pace, torch.tensor(gap), clock, plain["parts"])


def _positive(entry: dict[str, Any], name: str) -> float:
    value = finite(entry, name)
    if value <= 0:
        raise ValueError(f"{name}={value!r:.40} must be above 0")
    return value
