"""GRUs in a stack are each what it would be alone; what would not be is trained one by one."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from made_series import made_cohort
from meddistill.data.datamodule import CohortDataModule
from meddistill.data.split import split_cohort
from meddistill.models.cnn1d import CNN1d
from meddistill.models.gru_d import GRUD
from meddistill.models.recurrent import GRU, LSTM
from meddistill.models.tcn import TCN
from meddistill.stack import network as stacking
from meddistill.stack.network import NotStackableError, StackedNetwork, stack_networks
from meddistill.stack.recurrent import StackedGRU
from stack_and_alone import MEMBERS, assert_members_as_alone, recipe

SHAPE = (3, 10, 4)


def students(kind=GRU, count=3, **settings):
    made = []
    for seed in range(count):
        torch.manual_seed(seed)
        made.append(kind(SHAPE, 2, **{"width": 6, **settings}))
    return made


def rows(members, count):
    inputs = torch.randn(members, count, *SHAPE, generator=torch.Generator().manual_seed(1))
    inputs[..., 0, :, 0] = 1
    inputs[:, ::3, :, 7:] = 0
    return inputs


def train(networks, inputs, steps=60):
    """Steps of Adam by cross-entropy, a network (or a stack) after the other."""
    for network, own in zip(networks, inputs, strict=True):
        target = (own[..., 0, :, 1].mean(dim=-1) > 0).long()
        optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
        for _ in range(steps):
            logits = network(own)
            chosen = logits.log_softmax(-1).gather(-1, target.unsqueeze(-1))
            optimizer.zero_grad()
            (-chosen.squeeze(-1).mean(dim=-1).sum()).backward()
            optimizer.step()


@pytest.mark.parametrize("both", [False, True])
def test_a_member_is_its_student_alone_to_a_millionth_in_probability_after_training(both):
    alone = students(bidirectional=both, dropout=0.0)
    stacked = stack_networks(copy.deepcopy(alone), SHAPE)
    assert stacked.batched
    inputs = rows(3, 16)
    before = torch.stack([net(own) for net, own in zip(alone, inputs, strict=True)])
    assert torch.allclose(stacked(inputs), before, atol=1e-6)
    train(alone, inputs)
    train([stacked], [inputs])
    answers = torch.stack([net(own) for net, own in zip(alone, inputs, strict=True)])
    assert (answers - before).abs().max() > 0.05  # something was learned
    difference = stacked(inputs).softmax(-1) - answers.softmax(-1)
    assert difference.abs().max() < 1e-6


def test_gradients_are_those_of_a_layer_alone():
    layer = nn.GRU(5, 3, batch_first=True).double()
    inputs = torch.randn(4, 7, 5, dtype=torch.float64, requires_grad=True)
    states, _ = layer(inputs)
    weight = torch.randn_like(states)
    (states * weight).sum().backward()
    names = dict(layer.named_parameters())
    expected = {name: parameter.grad for name, parameter in names.items()}
    own = copy.deepcopy(layer)
    for name, parameter in list(own.named_parameters()):
        setattr(own, name, nn.Parameter(parameter.detach().unsqueeze(0)))
    stacked, again = StackedGRU(own), inputs.detach().unsqueeze(0).requires_grad_()
    (stacked(again)[0] * weight).sum().backward()
    torch.testing.assert_close(again.grad[0], inputs.grad)
    for name, gradient in expected.items():
        torch.testing.assert_close(getattr(stacked, name).grad[0], gradient)


def test_a_stack_of_grus_goes_on_with_some_of_its_members():
    alone = students(dropout=0.0)
    stacked = stack_networks(alone, SHAPE)
    inputs = rows(3, 6)
    kept = torch.tensor([2, 0])
    before = stacked(inputs)[kept]
    stacked.keep(kept)
    assert torch.allclose(stacked(inputs[kept]), before, atol=1e-6)
    assert stacked.tensors().keys() == dict(alone[0].named_parameters()).keys()


@pytest.mark.parametrize(
    ("kind", "settings", "said"),
    [
        (LSTM, {}, "LSTM has no batched form"),
        (GRU, {"depth": 2}, "GRU has no batched form"),
        (GRUD, {}, "GRUCell gains nothing in a stack, and drifts"),
        (TCN, {}, "Conv1d gains nothing in a stack, and drifts"),
        (CNN1d, {}, "Conv1d gains nothing in a stack, and drifts"),
    ],
)
def test_what_gains_nothing_or_drifts_is_refused_by_its_layer(kind, settings, said):
    with pytest.raises(NotStackableError, match=said):
        stack_networks(students(kind, **settings), SHAPE)


def test_a_stack_of_grus_on_several_splits_is_each_student_alone_to_a_millionth(tmp_path):
    cohort = made_cohort(rows=90)
    tables = [
        data.with_answers(np.log(np.where(cohort.target[:, None] == [0, 1], 0.8, 0.2)))
        for data in (CohortDataModule(cohort, split_cohort(cohort, seed)) for seed in (0, 1))
    ]
    assert not torch.equal(*(each.preprocessing.scales.mean for each in tables))
    assert_members_as_alone(recipe("gru_small", max_epochs=8), MEMBERS, tables, tmp_path, 1e-6)


class Drifting(nn.Module):
    """Answers as it should and learns otherwise: its stack has gradients of its own."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 2)

    def forward(self, inputs):
        logits = self.layer(inputs)
        if inputs.dim() > 2:
            cubed = logits**3
            logits = logits + cubed - cubed.detach()
        return logits


def test_the_probe_takes_steps_since_equal_answers_may_learn_otherwise(monkeypatch):
    torch.manual_seed(0)
    networks = [Drifting(), Drifting()]
    stacked = StackedNetwork(networks, batched=True)
    inputs = torch.randn(2, 5, 4)
    alone = torch.stack([net(own) for net, own in zip(networks, inputs, strict=True)])
    assert torch.allclose(stacked(inputs), alone, atol=1e-7)
    monkeypatch.setattr(
        stacking, "StackedNetwork", lambda nets, batched: StackedNetwork(nets, True)
    )
    with pytest.raises(NotStackableError, match=r"its answers in a stack differ by"):
        stack_networks(networks, (4,))
