"""What a student takes of its teacher: whole units, carried through the layers."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from scipy.stats import chi2
from torch import nn

from meddistill.errors import SettingError, UserError
from meddistill.models.cnn import CNN
from meddistill.models.cnn1d import CNN1d
from meddistill.models.gru_d import GRUD
from meddistill.models.mlp import MLP
from meddistill.models.recurrent import GRU, LSTM
from meddistill.models.resnet_image import ResNetImage
from meddistill.models.tcn import TCN
from meddistill.transfer.layers import layers_of
from meddistill.transfer.plan import Line
from meddistill.transfer.subset import Subset
from meddistill.transfer.wiring import wiring_of

VECTOR, IMAGE, SERIES = (7,), (1, 16, 16), (3, 9, 5)


def start(student: nn.Module, teacher: nn.Module, shape: Sequence[int], **settings) -> list[Line]:
    """The plan, after it was carried out."""
    own, others = wiring_of(student, shape), wiring_of(teacher, shape)
    return Subset(**settings).start(student, own, teacher, others)


def trained(network: nn.Module) -> nn.Module:
    """With biases, norms and statistics of which no two are alike."""
    torch.manual_seed(1)
    for tensor in network.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand_like(tensor) * 0.6 - 0.2)
    for name, tensor in network.state_dict().items():
        if name.endswith("running_var"):
            tensor.copy_(torch.rand_like(tensor) + 0.5)
    return network.eval()


def answers(network: nn.Module, shape: Sequence[int]) -> torch.Tensor:
    torch.manual_seed(2)
    with torch.no_grad():
        return network.eval()(torch.rand(5, *shape))


class Grouped(nn.Module):
    """A convolution of groups between two others."""

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, width, 1), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, width, 3, groups=groups), nn.GroupNorm(1, width), nn.ReLU(),
            nn.Conv2d(width, 5, 1), nn.AdaptiveMaxPool2d(2), nn.Flatten(), nn.Linear(20, 2),
        )  # fmt: skip

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.layers(inputs)


class Attention(nn.Module):
    """One layer of attention over the steps of a series."""

    def __init__(self, heads: int, size: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(15, heads * size) for _ in range(3))
        self.norm, self.out = nn.LayerNorm(heads * size), nn.Linear(heads * size, 2)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        steps = inputs.transpose(1, 2).flatten(2)
        parts = (layer(steps).unflatten(-1, (self.heads, -1)).transpose(1, 2)
                 for layer in (self.query, self.key, self.value))  # fmt: skip
        seen = nn.functional.scaled_dot_product_attention(*parts).transpose(1, 2).flatten(2)
        return self.out(self.norm(seen).mean(dim=1))


class Cell(nn.Module):
    """A cell of long short-term memory over the steps."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.cell, self.out = nn.LSTMCell(15, width), nn.Linear(width, 2)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        state = None
        for step in inputs.transpose(1, 2).flatten(2).unbind(1):
            state = self.cell(step, state)
        return self.out(state[0])


EQUAL = {
    "mlp": (lambda: MLP(VECTOR, 3, 6, 2), VECTOR),
    "cnn": (lambda: CNN(IMAGE, 2, 4), IMAGE),
    "depthwise": (lambda: CNN(IMAGE, 2, 4, depthwise=True), IMAGE),
    "grouped": (lambda: Grouped(6, 3), IMAGE),
    "resnet": (lambda: ResNetImage(IMAGE, 2, 4, 3, 2), IMAGE),
    "gru": (lambda: GRU(SERIES, 2, 5), SERIES),
    "lstm": (lambda: LSTM(SERIES, 2, 5, depth=2, pools=["last", "max"]), SERIES),
    "both ways": (lambda: Ways(4), SERIES),
    "gru_d": (lambda: GRUD(SERIES, 2, 5), SERIES),
    "cell": (lambda: Cell(4), SERIES),
    "tcn": (lambda: TCN(SERIES, 2, 5, 2), SERIES),
    "cnn1d": (lambda: CNN1d(SERIES, 2, 5), SERIES),
    "attention": (lambda: Attention(2, 3), SERIES),
}


class Ways(nn.Module):
    """torch's own layers that read both ways, time first."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.GRU(15, width, 2, bidirectional=True)
        self.out = nn.Linear(2 * width, 2)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        states, _ = self.layers(inputs.permute(2, 0, 1, 3).flatten(2))
        return self.out(states.amax(dim=0))


@pytest.mark.parametrize("name", EQUAL)
@pytest.mark.parametrize("choose", ["random", "uniform", "largest"])
def test_a_student_of_an_equal_architecture_answers_as_its_teacher(name, choose):
    make, shape = EQUAL[name]
    student, teacher = make(), trained(make())
    lines = start(student, teacher, shape, choose=choose, scale=True)
    assert all(line.numbers == line.size for line in lines)
    assert (answers(student, shape) - answers(teacher, shape)).abs().max() < 1e-6


PAIRS = {
    "mlp": (MLP(VECTOR, 3, 4, 2), lambda: MLP(VECTOR, 3, 9, 2), VECTOR),
    "cnn": (CNN(IMAGE, 2, 3), lambda: CNN(IMAGE, 2, 5), IMAGE),
    "depthwise": (CNN(IMAGE, 2, 3, 3, True), lambda: CNN(IMAGE, 2, 5, 3, True), IMAGE),
    "resnet": (ResNetImage(IMAGE, 2, 3, 2), lambda: ResNetImage(IMAGE, 2, 5, 2), IMAGE),
    "gru": (GRU(SERIES, 2, 3), lambda: GRU(SERIES, 2, 7), SERIES),
    "lstm": (LSTM(SERIES, 2, 3, depth=2), lambda: LSTM(SERIES, 2, 7, depth=2), SERIES),
    "both ways": (Ways(3), lambda: Ways(5), SERIES),
    "gru_d": (GRUD(SERIES, 2, 3), lambda: GRUD(SERIES, 2, 7), SERIES),
    "cell": (Cell(3), lambda: Cell(7), SERIES),
}  # fmt: skip
"""A student and its teacher, whose units give 0 where all of their numbers are 0."""


def without(teacher: nn.Module, lines: Sequence[Line]) -> nn.Module:
    """A teacher whose units that were not taken have 0 for every number of theirs."""
    left = copy.deepcopy(teacher)
    state = left.state_dict()
    layers = {each.name: each for n, m in left.named_modules() for each in layers_of(n, m)}
    for line in lines:
        if line.teacher in layers:
            layer = layers[line.teacher]
            away = sorted(set(range(layer.units)) - set(line.units))
            for name, dims in layer.tensors.items():
                if dims and "running" not in name:
                    state[name].unflatten(0, (layer.gates, layer.units))[:, away] = 0
    return left


@pytest.mark.parametrize("name", PAIRS)
def test_a_started_student_answers_as_its_teacher_without_the_units_that_were_not_taken(name):
    student, make, shape = PAIRS[name]
    teacher = trained(make())
    lines = start(student, teacher, shape)
    assert all(line.teacher for line in lines)
    assert any(len(line.units) < line.of for line in lines)
    assert not torch.allclose(answers(student, shape), answers(teacher, shape), atol=1e-3)
    masked = without(teacher, lines)
    assert (answers(student, shape) - answers(masked, shape)).abs().max() < 1e-5


def test_a_grouped_convolution_takes_whole_groups_and_their_channels():
    student, teacher = Grouped(4, 2), trained(Grouped(12, 4))
    lines = {line.layer: line for line in start(student, teacher, IMAGE)}
    groups = [unit // 3 for unit in lines["layers.3"].units]
    assert groups[0] == groups[1] != groups[2] == groups[3]
    assert [unit // 3 for unit in lines["layers.0"].units] == groups
    places = [unit % 3 for unit in lines["layers.0"].units]
    for row, unit in enumerate(lines["layers.3"].units):
        read = places[:2] if row < 2 else places[2:]
        expected = teacher.layers[3].weight[unit, read]
        assert torch.equal(student.layers[3].weight[row], expected)


def test_attention_is_taken_by_whole_heads():
    student, teacher = Attention(1, 3), trained(Attention(4, 3))
    lines = {line.layer: line for line in start(student, teacher, SERIES)}
    units = lines["query"].units
    assert [unit // 3 for unit in units] == [units[0] // 3] * 3
    assert lines["key"].units == lines["value"].units == lines["norm"].units == units


def test_attention_heads_that_do_not_divide_are_refused_by_name():
    with pytest.raises(UserError, match=r"query: its units come by 2, and those of query by 3"):
        start(Attention(1, 2), Attention(4, 3), SERIES)


@pytest.mark.parametrize("name", ["mlp", "gru"])
def test_random_subsets_take_every_unit_about_equally_often(name):
    student, make, shape = PAIRS[name]
    teacher = make()
    own, others = wiring_of(student, shape), wiring_of(teacher, shape)
    plans = [Subset(seed=seed).start(student, own, teacher, others) for seed in range(200)]
    for place in (0, 1):
        among, taken = plans[0][place].of, len(plans[0][place].units)
        chosen = [unit for plan in plans for unit in plan[place].units]
        expected, share = 200 * taken / among, taken / among
        squares = ((np.bincount(chosen, minlength=among) - expected) ** 2).sum()
        # Without putting back: a unit that is taken leaves one place less to the others.
        statistic = squares / (expected * (1 - share)) * (among - 1) / among
        assert chi2.sf(statistic, among - 1) > 0.01


def test_units_are_spaced_evenly_or_the_largest():
    teacher = MLP(VECTOR, 2, 8, 1)
    with torch.no_grad():
        teacher.layers[0].weight.copy_(torch.arange(8.0).roll(3)[:, None].expand(8, 7))
    evenly = start(MLP(VECTOR, 2, 4, 1), teacher, VECTOR, choose="uniform")[0]
    largest = start(MLP(VECTOR, 2, 4, 1), teacher, VECTOR, choose="largest")[0]
    assert evenly.units == [1, 3, 5, 7]
    assert largest.units == [0, 1, 2, 7]


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_share_of_the_parameters_is_taken_and_the_rest_stays(share):
    student, teacher = MLP(VECTOR, 2, 40, 2), trained(MLP(VECTOR, 2, 64, 2))
    before = copy.deepcopy(student.state_dict())
    lines = start(student, teacher, VECTOR, share=share)
    size = sum(line.size for line in lines)
    changed = sum(int((before[n] != v).sum()) for n, v in student.state_dict().items())
    assert changed == sum(line.numbers for line in lines)
    assert changed / size == pytest.approx(share, abs=0.03)


def test_the_units_of_a_smaller_share_are_among_those_of_a_seed():
    pair = MLP(VECTOR, 2, 20, 2), MLP(VECTOR, 2, 64, 2)
    whole, half = (start(*copy.deepcopy(pair), VECTOR, seed=3, share=each) for each in (1.0, 0.5))
    assert set(half[0].units) < set(whole[0].units)


def test_scaled_weights_make_up_for_the_numbers_that_a_unit_no_longer_sums():
    teacher = trained(MLP(VECTOR, 2, 36, 2))
    plain, scaled = MLP(VECTOR, 2, 9, 2), MLP(VECTOR, 2, 9, 2)
    start(plain, teacher, VECTOR)
    start(scaled, teacher, VECTOR, scale=True)
    assert torch.equal(scaled.layers[0].weight, plain.layers[0].weight)
    assert torch.allclose(scaled.layers[2].weight, 2 * plain.layers[2].weight)
    assert torch.equal(scaled.layers[2].bias, plain.layers[2].bias)


def test_a_shallower_student_takes_the_layers_whose_inputs_it_has():
    lines = start(MLP(VECTOR, 2, 8, 1), MLP(VECTOR, 2, 16, 2), VECTOR)
    assert [(line.layer, line.teacher) for line in lines] == [
        ("layers.0", "layers.0"), ("layers.2", None)
    ]  # fmt: skip
    assert lines[1].reason == "layers.4 reads units that were not taken"


def test_a_shallower_student_with_shortcuts_leaves_whole_blocks_out():
    lines = start(TCN(SERIES, 2, 4, 2), TCN(SERIES, 2, 8, 4), SERIES)
    assert all(line.layer == line.teacher for line in lines)


def test_a_wanted_layer_overrules_the_one_that_is_found():
    student, teacher = TCN(SERIES, 2, 4, 1), TCN(SERIES, 2, 8, 3)
    inner = [f"{kind}.{n}" for n in (0, 1) for kind in ("norms", "convolutions")]
    wanted = {f"blocks.0.{name}": f"blocks.2.{name}" for name in inner}
    plan = start(student, teacher, SERIES, layers={**wanted, "head": None})
    lines = {line.layer: line for line in plan}
    assert {name: lines[name].teacher for name in wanted} == wanted
    assert (lines["head"].teacher, lines["head"].reason) == (None, "init.layers")


def test_a_wanted_layer_that_does_not_fit_is_refused():
    with pytest.raises(UserError, match=r"layers=.*layers\.4 reads units that were not taken"):
        start(MLP(VECTOR, 2, 8, 1), MLP(VECTOR, 2, 16, 2), VECTOR, layers={"layers.2": "layers.4"})
    with pytest.raises(UserError, match=r"'layers\.9' is no layer of the teacher; there are"):
        start(MLP(VECTOR, 2, 8, 1), MLP(VECTOR, 2, 16, 1), VECTOR, layers={"layers.2": "layers.9"})


def test_a_student_wider_than_its_teacher_is_refused_and_the_message_names_the_mend():
    with pytest.raises(UserError) as caught:
        start(TCN(SERIES, 2, 4, 1), TCN(SERIES, 2, 3, 1), SERIES)
    assert "entry: it has 4 units, and entry has 3" in str(caught.value)


def test_to_leave_every_layer_its_own_first_weights_is_refused_by_name():
    one, other = (MLP(VECTOR, 2, width=4, depth=1) for _ in range(2))
    with pytest.raises(SettingError, match=r"init\.layers=.* leaves every layer its own first"):
        start(one, other, VECTOR, layers={"layers.0": None, "layers.2": None})
