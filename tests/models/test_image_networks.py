"""Networks for images: their sizes, and pictures of every size that they are for."""

from __future__ import annotations

import sys

import pytest
import torch

from meddistill.errors import SettingError, UserError
from meddistill.models.cnn import CNN
from meddistill.models.monai_densenet import MonaiDenseNet
from meddistill.models.resnet_image import ResNetImage


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def test_the_networks_have_the_sizes_that_are_told():
    shape = (1, 28, 28), 2
    assert count(ResNetImage(*shape)) == 1_226_338
    assert count(CNN(*shape)) == 23_538
    assert count(CNN(*shape, width=8, depthwise=True)) == 1_154


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 64, 64), (1, 40, 100), (3, 224, 224)])
@pytest.mark.parametrize("kind", [CNN, ResNetImage, MonaiDenseNet])
def test_pictures_of_any_size_and_colour_are_answered_and_learned_from(kind, shape):
    if kind is MonaiDenseNet:
        pytest.importorskip("monai", reason="needs meddistill[monai]")
    network = kind(shape, 3, width=4)
    logits = network(torch.rand(2, *shape))
    assert logits.shape == (2, 3)
    logits.square().sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize(("side", "seen"), [(28, 28), (56, 56), (57, 29), (112, 56), (224, 56)])
def test_the_first_stage_reads_56_pixels_at_the_most(side, seen):
    network = ResNetImage((1, side, side), 2, width=2)
    assert network.stem(torch.rand(1, 1, side, side)).shape == (1, 2, seen, seen)


@pytest.mark.parametrize("kind", [CNN, ResNetImage])
def test_an_answer_is_of_its_own_picture(kind):
    network = kind((1, 16, 16), 2, width=4).eval()
    pictures = torch.rand(5, 1, 16, 16)
    assert torch.allclose(network(pictures)[3], network(pictures[3:4])[0], atol=1e-6)


def test_depthwise_blocks_take_an_eighth_of_the_numbers():
    whole, apart = (count(CNN((1, 28, 28), 2, width=32, depthwise=d)) for d in (False, True))
    assert apart < whole / 6


@pytest.mark.parametrize(
    ("kind", "settings", "said"),
    [
        (CNN, {"depth": 4}, "depth=4: pictures of 8 x 12 pixels can be halved 3 times at the most"),
        (CNN, {"width": 0}, "width=0: must be"),
        (CNN, {"depthwise": 1}, "depthwise=1: must be true or false"),
        (CNN, {"dropout": 1.0}, "dropout=1.0: must be"),
        (ResNetImage, {"stages": 0}, "stages=0: must be"),
        (ResNetImage, {"depth": 0}, "depth=0: must be"),
        (MonaiDenseNet, {"blocks": [2] * 5}, "one of 8 pixels can be halved 3 times"),
        (MonaiDenseNet, {"blocks": 6}, "blocks=6: must be a list"),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(kind, settings, said):
    if kind is MonaiDenseNet:
        pytest.importorskip("monai", reason="needs meddistill[monai]")
    with pytest.raises(SettingError) as error:
        kind((1, 8, 12), 2, **settings)
    assert said in str(error.value)


def test_monais_absence_is_told_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "monai.networks.nets", None)
    with pytest.raises(UserError, match=r"pip install 'meddistill\[monai\]'"):
        MonaiDenseNet.check_installed()
