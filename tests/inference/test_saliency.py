"""Where a network looks: at the pixels that its answer depends on."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from made_pictures import pictures
from meddistill.data.images.modality import fit_preprocessing
from meddistill.data.images.records import ImageRecords
from meddistill.inference.card import Card
from meddistill.inference.network import MeanOfProbabilities, NetworkModel
from meddistill.inference.saliency import saliency

RECORDS = ImageRecords.of(pictures(6)[0][:, None])
TARGET = np.arange(6) % 2


class LeftHalf(nn.Module):
    """Answers by the left half of a picture alone."""

    def forward(self, inputs):
        brightness = inputs[..., :6].mean((1, 2, 3))
        return torch.stack([brightness, -brightness], dim=1)


def model(network):
    card = Card({}, ["best.ckpt"], ["healthy", "sick"], RECORDS.spec, [1, 12, 12])
    return NetworkModel(card, MeanOfProbabilities([network]), fit_preprocessing(RECORDS, 1, None))


def test_what_a_network_does_not_read_is_dark():
    found = saliency(model(LeftHalf()), RECORDS, TARGET)
    assert found.shape == (6, 12, 12)
    assert (found[:, :, :6] > 0).all()
    assert (found[:, :, 6:] == 0).all()


def test_the_same_pictures_get_the_same_map_and_no_gradient_stays_behind():
    network = nn.Sequential(nn.Flatten(), nn.Linear(144, 2))
    asked = model(network)
    assert np.array_equal(saliency(asked, RECORDS, TARGET), saliency(asked, RECORDS, TARGET))
    assert network[1].weight.grad is None
