"""Networks of an optional package: their shapes, and what is said without it."""

from __future__ import annotations

import sys

import pytest
import torch

from meddistill.compose import build_network
from meddistill.errors import SettingError, UserError

KINDS = {"ResNet": {"width": 8}, "FTTransformer": {}}


def network(kind, **changes):
    node = {"_target_": f"meddistill.models.published.{kind}", **KINDS[kind], **changes}
    return build_network(node, "teacher.network", (7,), 3, seed=0)


@pytest.mark.parametrize("kind", list(KINDS))
def test_without_the_package_the_extra_is_named(kind, monkeypatch):
    monkeypatch.setitem(sys.modules, "rtdl_revisiting_models", None)
    with pytest.raises(UserError, match=r"not installed: pip install 'meddistill\[tabular\]'"):
        network(kind)


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_parameter_takes_part_and_a_batch_of_one_row_trains(kind):
    pytest.importorskip("rtdl_revisiting_models", reason="needs meddistill[tabular]")
    made = network(kind)
    for rows in (5, 1):
        made.zero_grad()
        logits = made(torch.randn(rows, 7))
        assert logits.shape == (rows, 3)
        logits.square().sum().backward()
        assert all(parameter.grad is not None for parameter in made.parameters())


def test_settings_out_of_range_are_refused():
    pytest.importorskip("rtdl_revisiting_models", reason="needs meddistill[tabular]")
    with pytest.raises(SettingError, match=r"teacher\.network\.depth=7: the authors give"):
        network("FTTransformer", depth=7)
    with pytest.raises(SettingError, match=r"teacher\.network\.width=0"):
        network("ResNet", width=0)
