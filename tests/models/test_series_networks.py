"""Networks for series: what lies beyond a row's last step, and other rows, change no answer."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from meddistill.data.series.layout import last_of, max_of, mean_of, reversed_steps
from meddistill.errors import SettingError
from meddistill.models.cnn1d import CNN1d
from meddistill.models.gru_d import GRUD
from meddistill.models.recurrent import GRU, LSTM
from meddistill.models.tcn import TCN

SHAPE = (3, 9, 5)
NETWORKS = [GRU, LSTM, TCN, GRUD, CNN1d]


def made(lengths, shape=SHAPE):
    inputs = torch.rand(len(lengths), *shape, generator=torch.Generator().manual_seed(0))
    inputs[:, 1:2] = (inputs[:, 1:2] > 0.5).float()
    for row, length in enumerate(lengths):
        inputs[row, 0, :, 0] = 1
        inputs[row, :, length:] = 0
    return inputs


def built(kind, shape=SHAPE, **settings):
    torch.manual_seed(0)
    return kind(shape, 3, width=4, **settings).eval()


@pytest.mark.parametrize("kind", NETWORKS)
def test_networks_answer_and_learn(kind):
    network = built(kind).train()
    logits = network(made([9, 4, 1]))
    assert logits.shape == (3, 3)
    logits.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_row_is_answered_alike_however_far_it_is_padded(kind):
    network, inputs = built(kind), made([9, 6, 4])
    inputs[1:, :, 6:] = 0
    alone = network(inputs[1:, :, :6]) if kind is not CNN1d else network(inputs[1:])
    assert torch.allclose(network(inputs)[1:], alone, atol=1e-6)


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_rows_answer_depends_on_no_other_row(kind):
    network, inputs = built(kind), made([9, 6, 4])
    assert torch.allclose(network(inputs)[2], network(inputs[2:])[0], atol=1e-6)


@pytest.mark.parametrize("kind", [GRU, LSTM])
def test_the_way_back_begins_at_the_last_real_step(kind):
    """As torch's own packed sequences have it."""
    network, lengths = built(kind, pools=["mean"], dropout=0.0), [9, 6, 4]
    inputs = made(lengths)
    steps = inputs.movedim(1, 2).flatten(2)
    both = kind.cell(15, 4, batch_first=True, bidirectional=True)
    ways = {"": network.forwards, "_reverse": network.backwards}
    both.load_state_dict({n + way: p for way, m in ways.items() for n, p in m.named_parameters()})
    packed = nn.utils.rnn.pack_padded_sequence(steps, torch.tensor(lengths), batch_first=True)
    states, _ = nn.utils.rnn.pad_packed_sequence(both(packed)[0], batch_first=True)
    mean = states.sum(dim=1) / torch.tensor(lengths).unsqueeze(1)
    assert torch.allclose(network(inputs), network.head(mean), atol=1e-6)


def test_states_are_pooled_over_real_steps_alone():
    states = torch.tensor([[[1.0], [5.0], [9.0]], [[-4.0], [-2.0], [7.0]]])
    real = torch.tensor([[True, True, True], [True, True, False]])
    assert mean_of(states, real).flatten().tolist() == [5, -3]
    assert max_of(states, real).flatten().tolist() == [9, -2]
    assert last_of(states, real).flatten().tolist() == [9, -2]
    assert reversed_steps(states, real)[1].flatten().tolist() == [-2, -4, 7]


def test_gru_d_forgets_the_longer_the_less_it_has_seen():
    network, inputs = built(GRUD), made([9])
    inputs[:, 1] = 0
    fresh, old = inputs.clone(), inputs.clone()
    fresh[:, 2], old[:, 2] = 0, 1000
    away = inputs.clone()
    away[:, 0, :, 1:] = 50
    away[:, 2] = 1000
    assert not torch.allclose(network(fresh), network(old))
    with torch.no_grad():
        network.value_weight.fill_(1.0)
    assert torch.allclose(network(old), network(away), atol=1e-5)


def test_a_step_of_a_tcn_sees_none_after_it():
    network = built(TCN, depth=2, dropout=0.0)
    inputs = made([9])
    states = network.entry(inputs.movedim(1, 2).flatten(2))
    later = states.clone()
    later[:, 5:] += 1
    for block in network.blocks:
        states, later = block(states), block(later)
    assert torch.equal(states[:, :5], later[:, :5])


def test_four_thousand_steps_are_read():
    inputs = made([4000, 900], (1, 4000, 2))
    network = built(CNN1d, (1, 4000, 2))
    assert network(inputs).shape == (2, 3)
    longer = inputs.clone()
    longer[1, :, 900:] = 0
    assert torch.equal(network(longer), network(inputs))


@pytest.mark.parametrize(
    ("kind", "settings", "said"),
    [
        (GRU, {"width": 0}, "width=0"),
        (GRU, {"depth": 0}, "depth=0"),
        (GRU, {"pools": ["first"]}, "pools="),
        (GRU, {"pools": []}, "pools="),
        (LSTM, {"dropout": 1}, "dropout=1"),
        (TCN, {"kernel": 1}, "kernel=1"),
        (CNN1d, {"stride": 0}, "stride=0"),
        (GRUD, {"width": -1}, "width=-1"),
    ],
)
def test_settings_out_of_range_are_refused(kind, settings, said):
    with pytest.raises(SettingError, match=said):
        kind(SHAPE, 2, **settings)


def test_gru_d_without_the_mask_is_refused():
    with pytest.raises(SettingError, match=r"needs series with missing cells"):
        GRUD((1, 9, 5), 2)
