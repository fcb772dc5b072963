"""Streams of random numbers from one seed."""

from __future__ import annotations

import torch

from meddistill.config.compose import build_network
from meddistill.seeding import derive

MLP = {"_target_": "meddistill.models.mlp.MLP", "width": 4}


def test_streams_of_one_seed_are_different_and_repeatable():
    streams = [
        derive(0, "order", 0),
        derive(0, "order", 1),
        derive(0, "weights"),
        derive(1, "order", 0),
    ]
    assert len(set(streams)) == len(streams)
    assert streams[0] == derive(0, "order", 0)


def test_building_a_network_leaves_the_processs_random_state_alone():
    before = torch.get_rng_state()
    first = build_network(MLP, "student", (3,), 2, seed=0)
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(123)
    again = build_network(MLP, "student", (3,), 2, seed=0)
    other = build_network(MLP, "student", (3,), 2, seed=1)
    weights = [next(net.parameters()) for net in (first, again, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
