"""Networks of an optional package: their shapes, and what is said without it."""

from __future__ import annotations

import sys

import pytest
import torch

from meddistill.config.compose import build_network
from meddistill.errors import SettingError, UserError

KINDS = {"ResNet": {"width": 8}, "FTTransformer": {}}
ABSENT_DATA = ["data=table", "data.path=nowhere.csv", "data.target=diagnosis"]
ABOUT_DATA = "data.path=nowhere.csv: no such file"
WITH_PACKAGE = [
    *([verb, f"teacher={name}"] for verb in ("teacher", "distill", "trial")
      for name in ("resnet", "ft_transformer")),
    *([verb, "student=logistic", f"student._target_=meddistill.models.published.{kind}"]
      for verb in ("distill", "trial") for kind in KINDS),
    ["distill", "teacher=several", "+teacher@teacher.of.net=resnet"],
    ["teacher", "teacher=self", "student=logistic",
     "student._target_=meddistill.models.published.ResNet"],
    ["distill", "-m", "teacher=resnet", "seed=range(0,2)"],
    ["distill", "-m", "student._target_=meddistill.models.published.ResNet", "seed=range(0,2)"],
]  # fmt: skip


def network(kind, **changes):
    node = {"_target_": f"meddistill.models.published.{kind}", **KINDS[kind], **changes}
    return build_network(node, "teacher.network", (7,), 3, seed=0)


@pytest.mark.parametrize("kind", list(KINDS))
def test_without_the_package_the_extra_is_named(kind, monkeypatch):
    monkeypatch.setitem(sys.modules, "rtdl_revisiting_models", None)
    with pytest.raises(UserError, match=r"not installed: pip install 'meddistill\[tabular\]'"):
        network(kind)


@pytest.mark.parametrize("command", WITH_PACKAGE, ids=" ".join)
def test_without_the_package_the_extra_is_named_before_the_data_are_read(
    command, meddistill, monkeypatch
):
    monkeypatch.setitem(sys.modules, "rtdl_revisiting_models", None)
    code, out, err = meddistill(*command, *ABSENT_DATA)
    assert code == 2
    assert "pip install 'meddistill[tabular]'" in out + err
    assert ABOUT_DATA not in out + err


def test_with_other_networks_the_data_are_what_is_missed(meddistill, monkeypatch):
    monkeypatch.setitem(sys.modules, "rtdl_revisiting_models", None)
    code, _, err = meddistill("distill", *ABSENT_DATA)
    assert code == 2
    assert ABOUT_DATA in err


@pytest.mark.parametrize(
    ("command", "key"),
    [
        (["teacher=mlp", "teacher.network._target_=nobody.Net"], "teacher.network"),
        (["teacher=several", "teacher.of.mlp_ensemble.network._target_=nobody.Net"],
         "teacher.of.mlp_ensemble.network"),
        (["student._target_=nobody.Net"], "student"),
    ],
)  # fmt: skip
def test_a_network_that_is_not_there_is_named_before_the_data_are_read(command, key, meddistill):
    code, _, err = meddistill("distill", *command, *ABSENT_DATA)
    assert code == 2
    assert f"{key}: nobody.Net can't be imported" in err


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
