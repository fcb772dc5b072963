"""What a network's answer costs in arithmetic, beside what is worked out by hand."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn

from meddistill.inference.network import MeanOfProbabilities, multiply_adds
from meddistill.models.mlp import MLP

STEPS, INPUTS, WIDTH = 10, 5, 8


@pytest.mark.parametrize(("cell", "gates"), [(nn.GRU, 3), (nn.LSTM, 4)])
def test_recurrent_layers_are_counted_step_by_step(cell, gates):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        layer = cell(INPUTS, WIDTH, batch_first=True)
        found = multiply_adds(layer, torch.rand(1, STEPS, INPUTS))
    assert found == STEPS * gates * WIDTH * (INPUTS + WIDTH)


def test_all_members_are_counted():
    members = [MLP((INPUTS,), 2, width=WIDTH, depth=1) for _ in range(3)]
    found = multiply_adds(MeanOfProbabilities(members), torch.rand(1, INPUTS))
    assert found == 3 * (INPUTS * WIDTH + WIDTH * 2)


def test_a_convolution_is_counted_at_every_place_and_by_its_groups():
    for groups in (1, 4):
        layer = nn.Conv2d(4, 4, 3, padding=1, groups=groups)
        assert multiply_adds(layer, torch.rand(1, 4, 6, 6)) == 36 * 4 * 9 * 4 // groups
