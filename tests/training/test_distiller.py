"""Student and teacher in one step: who learns, who stays as it is, who sees what."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from meddistill.data.batches import Batch
from meddistill.inference.weights import load_weights, save_weights
from meddistill.losses.ce import CE
from meddistill.losses.kd import KD
from meddistill.models.mlp import MLP
from meddistill.training.distiller import Distiller, FrozenTeacher

ROWS, FEATURES, CLASSES = 16, 5, 3


class Recorder(nn.Module):
    """A network that notes its inputs."""

    def __init__(self, network):
        super().__init__()
        self.network, self.seen = network, []

    def forward(self, inputs):
        self.seen.append(inputs.clone())
        return self.network(inputs)


def student(seed=0):
    torch.manual_seed(seed)
    return MLP((FEATURES,), CLASSES, width=8, depth=2)


def normed(seed=1):
    """A network that moves in train mode: batch norm and dropout."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(FEATURES, 8),
        nn.BatchNorm1d(8),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(8, CLASSES),
    )


def batch(seed=0, answers=None, teacher_inputs=None, labelled=None):
    inputs = torch.randn(ROWS, FEATURES, generator=torch.Generator().manual_seed(seed))
    labelled = torch.ones(ROWS) if labelled is None else labelled.float()
    return Batch(
        inputs=inputs,
        target=torch.arange(ROWS) % CLASSES,
        label_weight=labelled / labelled.sum().clamp(min=1),
        row_weight=torch.full((ROWS,), 1 / ROWS),
        answers=answers,
        teacher_inputs=teacher_inputs,
    )


def sgd(parameters):
    return torch.optim.SGD(parameters, lr=0.1)


def distiller(network=None, loss=None, teacher=None, **more):
    return Distiller(network or student(), CLASSES, sgd, loss or KD(), teacher=teacher, **more)


# Who learns


@pytest.mark.parametrize("live", [False, True])
def test_at_alpha_one_every_student_parameter_and_no_teacher_parameter_gets_a_gradient(live):
    teacher = FrozenTeacher(normed())
    answers = None if live else teacher(batch().inputs)
    module = distiller(loss=KD(2.0, 1.0), teacher=teacher if live else None)
    module.batch_loss(batch(answers=answers)).backward()
    for name, parameter in module.network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
    assert all(parameter.grad is None for parameter in teacher.parameters())


def test_a_step_moves_the_student_and_leaves_the_teacher_bit_identical():
    teacher = FrozenTeacher(normed())
    module = distiller(loss=KD(2.0, 1.0), teacher=teacher)
    taught = {key: value.clone() for key, value in teacher.state_dict().items()}
    before = [parameter.detach().clone() for parameter in module.network.parameters()]
    optimizer = module.configure_optimizers()
    module.batch_loss(batch()).backward()
    optimizer.step()
    after = module.network.parameters()
    moved = [not torch.equal(*pair) for pair in zip(before, after, strict=True)]
    assert all(moved)
    assert all(torch.equal(value, taught[key]) for key, value in teacher.state_dict().items())


def test_steps_at_alpha_one_bring_the_student_to_the_teachers_answers():
    network, teacher = nn.Linear(FEATURES, CLASSES), FrozenTeacher(nn.Linear(FEATURES, CLASSES))
    module = distiller(network, KD(2.0, 1.0), teacher)
    optimizer = torch.optim.LBFGS(network.parameters(), max_iter=100)

    def closure():
        optimizer.zero_grad()
        loss = module.batch_loss(batch())
        loss.backward()
        return loss

    assert closure() > 0.01
    optimizer.step(closure)
    unseen = batch(seed=9).inputs
    assert torch.allclose(network(unseen).log_softmax(-1), teacher(unseen), atol=0.01)


# The teacher stays as it is


def test_a_frozen_teacher_stays_in_eval_mode_whatever_is_asked():
    teacher = FrozenTeacher(normed())
    module = distiller(teacher=teacher)
    for ask in (teacher.train, lambda: teacher.train(True), module.train, module.eval):
        ask()
        assert not any(part.training for part in teacher.modules())
    module.train()
    assert module.network.training


def test_a_network_that_was_in_train_mode_is_frozen_in_eval_mode():
    teacher = FrozenTeacher(normed().train())
    assert not any(part.training for part in teacher.network.modules())
    assert not any(parameter.requires_grad for parameter in teacher.parameters())


def test_a_teachers_batch_norm_is_bit_identical_after_ten_forward_passes():
    network = normed()
    network(batch(seed=3).inputs)  # in train mode: statistics that are not the first ones
    assert network[1].num_batches_tracked == 1
    teacher = FrozenTeacher(network)
    module = distiller(teacher=teacher)
    before = {key: value.clone() for key, value in teacher.named_buffers()}
    assert len(before) == 3
    for seed in range(10):
        module.train()
        teacher.train()
        module.batch_loss(batch(seed)).backward()
    assert all(torch.equal(value, before[key]) for key, value in teacher.named_buffers())


def test_a_frozen_teacher_answers_alike_each_time_and_without_a_graph():
    teacher = FrozenTeacher(normed())
    teacher.train()
    inputs = batch().inputs.requires_grad_()
    one, other = teacher(inputs), teacher(inputs)
    assert torch.equal(one, other)
    assert not one.requires_grad


def test_a_frozen_teacher_answers_with_log_probabilities_of_its_logits():
    network = normed().eval()
    answers = FrozenTeacher(network)(batch().inputs)
    assert torch.allclose(answers.exp(), network(batch().inputs).softmax(-1), atol=1e-6)
    assert answers.dtype == torch.float32


def test_a_teacher_that_answers_with_log_probabilities_is_taken_at_its_word():
    network = nn.Sequential(normed().eval(), nn.LogSoftmax(dim=-1))
    answers = FrozenTeacher(network)(batch().inputs)
    assert torch.allclose(answers, network(batch().inputs), atol=1e-6)


# The teacher is no part of the student


def test_a_live_teacher_is_in_no_state_parameter_buffer_module_or_optimizer_of_the_student():
    teacher = FrozenTeacher(normed())
    alone, module = distiller(), distiller(teacher=teacher)
    assert module.teacher is teacher
    assert set(module.state_dict()) == set(alone.state_dict())
    assert set(module.network.state_dict()) == set(student().state_dict())
    assert not any("teacher" in name for name, _ in module.named_modules())
    parts = {id(part) for part in teacher.modules()}
    assert not parts & {id(part) for part in module.modules()}
    tensors = {id(tensor) for tensor in [*teacher.parameters(), *teacher.buffers()]}
    assert not tensors & {id(tensor) for tensor in [*module.parameters(), *module.buffers()]}
    groups = module.configure_optimizers().param_groups
    own = {id(parameter) for parameter in module.network.parameters()}
    assert {id(parameter) for group in groups for parameter in group["params"]} == own


def test_the_parameter_count_is_the_students():
    module = distiller(teacher=FrozenTeacher(normed()))
    layers = [(FEATURES, 8), (8, 8), (8, CLASSES)]
    by_hand = sum(before * after + after for before, after in layers)
    assert sum(parameter.numel() for parameter in module.parameters()) == by_hand


def test_a_teacher_moves_to_the_students_device_when_the_fit_starts():
    teacher = FrozenTeacher(normed())
    module = distiller(teacher=teacher).to("meta")
    assert next(teacher.parameters()).device.type == "cpu"
    module.on_fit_start()
    assert {tensor.device.type for tensor in teacher.state_dict().values()} == {"meta"}
    distiller().on_fit_start()  # without a teacher there is nothing to move


# Checkpoints


def test_a_students_weights_come_back_as_they_were(tmp_path):
    save_weights(student(seed=4).state_dict(), tmp_path / "best.ckpt")
    other = student(seed=5)
    load_weights(other, tmp_path / "best.ckpt")
    expected = student(seed=4).state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in other.state_dict().items())


def test_weights_with_a_missing_key_are_refused(tmp_path):
    state = student().state_dict()
    state.pop("layers.0.bias")
    save_weights(state, tmp_path / "best.ckpt")
    with pytest.raises(RuntimeError, match=r"Missing key.*layers\.0\.bias"):
        load_weights(student(), tmp_path / "best.ckpt")


def test_weights_with_an_extra_key_are_refused(tmp_path):
    state = student().state_dict() | {"teacher.weight": torch.zeros(2)}
    save_weights(state, tmp_path / "best.ckpt")
    with pytest.raises(RuntimeError, match=r"Unexpected key.*teacher\.weight"):
        load_weights(student(), tmp_path / "best.ckpt")


# Who reads what


def test_a_live_teacher_reads_rows_in_its_own_way_where_it_has_one():
    network, taught = Recorder(student()), Recorder(nn.Linear(2, CLASSES))
    own_way = torch.randn(ROWS, 2)
    module = distiller(network, teacher=FrozenTeacher(taught))
    module.batch_loss(batch(teacher_inputs=own_way))
    assert torch.equal(taught.seen[0], own_way)
    assert torch.equal(network.seen[0], batch().inputs)


# Where the answers come from


@pytest.mark.parametrize("alpha", [0.0, 0.4, 1.0])
def test_stored_answers_and_a_live_teacher_give_the_same_loss_and_gradient(alpha):
    teacher, labelled = FrozenTeacher(normed()), torch.arange(ROWS) % 4 == 0
    results = []
    for live in (True, False):
        module = distiller(loss=KD(3.0, alpha), teacher=teacher if live else None)
        answers = None if live else teacher(batch().inputs)
        loss = module.batch_loss(batch(answers=answers, labelled=labelled))
        loss.backward()
        gradients = [parameter.grad for parameter in module.network.parameters()]
        results.append((loss.detach(), torch.cat([each.flatten() for each in gradients])))
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])


def test_a_live_teacher_is_asked_and_not_the_stored_answers():
    teacher = FrozenTeacher(normed())
    module = distiller(loss=KD(3.0, 1.0), teacher=teacher)
    wrong = teacher(batch().inputs).flip(-1)
    assert torch.equal(module.batch_loss(batch(answers=wrong)), module.batch_loss(batch()))


def test_a_loss_without_a_teacher_never_asks_the_live_one():
    taught = Recorder(normed())
    loss = distiller(loss=CE(), teacher=FrozenTeacher(taught)).batch_loss(batch())
    assert not taught.seen
    expected = nn.functional.cross_entropy(student()(batch().inputs), batch().target)
    assert loss.item() == pytest.approx(expected.item(), abs=1e-6)


def test_a_batch_loss_counts_labels_on_labelled_rows_and_answers_on_all():
    labelled = torch.arange(ROWS) % 4 == 0
    teacher = FrozenTeacher(normed())
    answers = teacher(batch().inputs)
    loss = distiller(loss=KD(1.0, 0.3)).batch_loss(batch(answers=answers, labelled=labelled))
    own = student()(batch().inputs).log_softmax(-1).detach()
    chosen = own[torch.arange(ROWS), batch().target]
    cross = -chosen[labelled].mean()
    divergence = (answers.exp() * (answers - own)).sum(1).mean()
    assert loss.item() == pytest.approx((0.7 * cross + 0.3 * divergence).item(), abs=1e-5)


def test_a_distillation_without_stored_answers_or_a_live_teacher_is_refused():
    with pytest.raises(ValueError, match="needs the teacher's answers"):
        distiller().batch_loss(batch())
