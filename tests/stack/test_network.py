"""Networks of one architecture in one: the same answers, or a reason why not."""

from __future__ import annotations

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from torch import nn

from kinds import SHAPES, layout_of
from meddistill.config.compose import build_network
from meddistill.config.confdir import choices, conf_dir
from meddistill.models.scorecard import ScoreCard
from meddistill.stack.network import NotStackableError, stack_networks

ROWS, (FEATURES,) = 7, SHAPES["vector"]


def shipped(name, seed, classes=3):
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        node = OmegaConf.to_container(compose("distill", [f"student={name}"]).student)
    return build_network(node, "student", SHAPES[layout_of(node)], classes, seed)


class Normed(nn.Module):
    """Has parameters that are no linear layer's."""

    def __init__(self):
        super().__init__()
        self.first, self.norm = nn.Linear(FEATURES, 5), nn.LayerNorm(5)
        self.last = nn.Linear(5, 2, bias=False)

    def forward(self, inputs):
        return self.last(self.norm(self.first(inputs)).relu())


class Mixing(nn.Module):
    """Looks at the other rows of its batch, so that a dimension more would change its answers."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(FEATURES, 2)

    def forward(self, inputs):
        return self.layer(inputs - inputs.mean(0))


class Batched(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(FEATURES, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))

    def forward(self, inputs):
        return self.layers(inputs)


class Recurrent(nn.Module):
    """Takes the second dimension for the steps, which is that of rows in a stack."""

    def __init__(self):
        super().__init__()
        self.cell, self.last = nn.GRU(1, 3, batch_first=True), nn.Linear(3, 2)

    def forward(self, inputs):
        return self.last(self.cell(inputs.unsqueeze(-1))[0][:, -1])


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Linear(FEATURES, FEATURES)
        self.two = nn.Linear(FEATURES, FEATURES)
        self.two.weight = self.one.weight

    def forward(self, inputs):
        return self.two(self.one(inputs))


class Functional(nn.Module):
    """Drops units by a function, which no layer tells of."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(FEATURES, 2)

    def forward(self, inputs):
        return self.layer(nn.functional.dropout(inputs, 0.5, self.training))


def several(make, count=4):
    networks = []
    for seed in range(count):
        torch.manual_seed(seed)
        networks.append(make())
    return networks


def assert_equal(networks, stacked, shape=(FEATURES,)):
    inputs = torch.randn(len(networks), ROWS, *shape)
    alone = torch.stack([net(rows) for net, rows in zip(networks, inputs, strict=True)])
    together = stacked(inputs)
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-6)
    weight = torch.randn_like(alone)
    (alone * weight).sum().backward()
    (together * weight).sum().backward()
    for name, parameter in stacked.network.named_parameters():
        single = torch.stack([dict(net.named_parameters())[name].grad for net in networks])
        torch.testing.assert_close(parameter.grad, single, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", [name for name in choices("student") if name != "pathway"])
def test_every_shipped_student_stacks_by_matrix_products_with_its_own_answers_and_gradients(name):
    networks = [shipped(name, seed, classes=2) for seed in range(4)]
    shape = SHAPES[getattr(networks[0], "reads", "vector")]
    alone = (nn.Conv1d, nn.Conv2d, ScoreCard)
    if any(isinstance(module, alone) for module in networks[0].modules()):
        why = r"gains nothing in a stack|running statistics|finished by itself"
        with pytest.raises(NotStackableError, match=why):
            stack_networks(networks, shape)
        return
    stacked = stack_networks(networks, shape)
    assert stacked.batched
    assert_equal(networks, stacked, shape)


def test_a_network_with_other_layers_stacks_by_vmap():
    networks = several(Normed)
    stacked = stack_networks(networks, (FEATURES,))
    assert not stacked.batched
    assert_equal(networks, stacked)


def test_a_network_that_looks_at_its_whole_batch_is_not_fooled_by_a_dimension_more():
    networks = several(Mixing)
    stacked = stack_networks(networks, (FEATURES,))
    assert not stacked.batched
    assert_equal(networks, stacked)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (Batched, "BatchNorm1d keeps running statistics"),
        (Recurrent, "student Recurrent: "),
        (Tied, "its layers share weights"),
        (Functional, "Functional: "),
    ],
)
def test_what_can_not_be_stacked_is_refused_with_the_reason(make, reason):
    with pytest.raises(NotStackableError, match=reason):
        stack_networks(several(make), (FEATURES,))


def test_the_names_in_a_stack_are_those_of_a_single_network():
    networks = several(Normed, 3)
    stacked = stack_networks(networks, (FEATURES,))
    single = networks[0].state_dict()
    assert {name: value.shape[1:] for name, value in stacked.tensors().items()} == {
        name: value.shape for name, value in single.items()
    }


def test_members_that_stay_keep_their_answers():
    networks = [shipped("mlp_tiny", seed) for seed in range(5)]
    stacked = stack_networks(networks, SHAPES["vector"])
    stacked.keep(torch.tensor([1, 4]))
    assert_equal([networks[1], networks[4]], stacked, SHAPES["vector"])


def test_dropout_draws_for_each_member_what_it_would_draw_alone():
    make = lambda: nn.Sequential(  # noqa: E731
        nn.Linear(FEATURES, 5), nn.ReLU(), nn.Dropout(0.4), nn.Linear(5, 4), nn.Dropout(0.2),
        nn.Linear(4, 2),
    )  # fmt: skip
    networks = several(make, 3)
    stacked = stack_networks(networks, (FEATURES,)).train()
    assert stacked.batched
    inputs = torch.randn(3, ROWS, FEATURES)
    seeds = [11, 12, 11]
    alone = []
    for seed, network, rows in zip(seeds, networks, inputs, strict=True):
        torch.manual_seed(seed)
        alone.append([network.train()(rows), network(rows)])
    stacked.reseed(seeds)
    for step in range(2):
        expected = torch.stack([answers[step] for answers in alone])
        torch.testing.assert_close(stacked(inputs), expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(
        stacked.eval()(inputs),
        torch.stack([net.eval()(rows) for net, rows in zip(networks, inputs, strict=True)]),
    )


def test_stacking_leaves_the_networks_as_they_were():
    networks = several(Normed, 2)
    before = [value.clone() for net in networks for value in net.state_dict().values()]
    stacked = stack_networks(networks, (FEATURES,))
    with torch.no_grad():
        for parameter in stacked.parameters():
            parameter.zero_()
    after = [value for net in networks for value in net.state_dict().values()]
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
