"""Rows with a teacher's answers as a value that nothing changes, and who reads which view of them.

Views and fronts are tried on tables whose preprocessing is made to have them.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from meddistill.data.datamodule import CohortDataModule
from meddistill.data.split import split_cohort
from meddistill.data.tables.munge import Munge
from meddistill.data.tables.preprocessing import TablePreprocessing
from meddistill.errors import SettingError, UserError
from meddistill.training.classifier import Classifier
from meddistill.training.trainer import make_trainer


class Shifted(TablePreprocessing):
    """A preprocessing whose rows lie in memory as everybody's, and whose front adds a number."""

    def __init__(self, own, shift, form="same"):
        super().__init__(own.schema, own.numbers, own.categories)
        self.shift, self.form = shift, form

    def front(self, inputs):
        return inputs + self.shift


class Numbers(TablePreprocessing):
    """A preprocessing that says each row's number, four times."""

    def __init__(self, own):
        super().__init__(own.schema, own.numbers, own.categories)

    def __call__(self, records):
        return np.repeat(np.arange(len(records), dtype=np.float32)[:, None], 4, axis=1)


class Noise(nn.Module):
    """A random view: no two calls give the same."""

    def forward(self, inputs):
        return inputs + torch.randn_like(inputs)


def answers(rows):
    """[rows, 2] whose first column is the row's number."""
    number = np.arange(rows, dtype=np.float32)
    return np.stack([number, -number], axis=1)


def made_rows(data):
    train = data.split.train
    return Munge(copies=1)(data.cohort.records.take(train), data.inputs_at(train))


CHANGES = {
    "answers": lambda data: data.with_answers(answers(569)),
    "live": lambda data: data.with_live_teacher(Numbers(data.preprocessing)),
    "live, same form": lambda data: data.with_live_teacher(Shifted(data.preprocessing, 1.0)),
    "synthetic": lambda data: data.with_unlabelled(made_rows(data)),
    "seed": lambda data: data.with_seed(7),
    "batches": lambda data: data.with_batches(in_runs=True, fewest_rows=2),
    "preprocessing": lambda data: data.with_preprocessing({"_target_": f"{__name__}.Usual"}, "p"),
}


class Usual:
    """The usual preprocessing, chosen by name."""

    reads = "tables"

    def fit(self, records, fewest, group):
        from meddistill.data.tables.modality import fit_preprocessing

        return fit_preprocessing(records, fewest, group)


# A value


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_put_beside_the_rows_leaves_them_as_they_were(data, change):
    epoch = [list(batch) for batch in data.train_dataloader()]
    before = dict(vars(data))
    changed = CHANGES[change](data)
    assert changed is not data
    assert {name: id(value) for name, value in vars(data).items()} == {
        name: id(value) for name, value in before.items()
    }
    again = [list(batch) for batch in data.train_dataloader()]
    for one, other in zip(epoch, again, strict=True):
        assert all(a is b is None or a.equal(b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("change", sorted(CHANGES.keys() - {"synthetic", "preprocessing"}))
def test_inputs_in_memory_are_shared_with_the_rows_they_came_from(data, change):
    changed = CHANGES[change](data)  # before anybody asked for them
    assert changed.rows.inputs.data_ptr() == data.rows.inputs.data_ptr()


def test_a_teacher_who_reads_rows_of_the_same_form_has_no_copy_of_its_own(data):
    data.preprocessing.form = "same"
    live = data.with_live_teacher(Shifted(data.preprocessing, 1.0))
    assert live.rows.teacher_inputs is None
    batch = live.read_at(np.arange(5))
    assert batch.teacher_inputs.equal(batch.inputs + 1)


def test_synthetic_rows_come_without_the_teacher_who_has_not_answered_them(data):
    count = len(data.split.train)
    for taught in (CHANGES["answers"](data), CHANGES["live"](data)):
        added = taught.with_unlabelled(made_rows(data))
        assert added.answers is added.live is added.rows.teacher_inputs is None
        with pytest.raises(ValueError, match=f"569 answers for {569 + count} rows"):
            added.with_answers(answers(569))


def test_a_new_order_is_that_of_a_module_with_the_seed(data, cohort, split):
    (first, *_), (own, *_) = data.with_seed(7).train_dataloader(), data.train_dataloader()
    (expected, *_) = CohortDataModule(cohort, split, seed=7).train_dataloader()
    assert first.inputs.equal(expected.inputs)
    assert not first.inputs.equal(own.inputs)
    with pytest.raises(SettingError, match=r"seed=-1"):
        data.with_seed(-1)


def test_stored_answers_and_a_live_teacher_take_each_others_place(data):
    live = CHANGES["live"](CHANGES["answers"](data))
    assert live.answers is None
    stored = CHANGES["answers"](live)
    assert stored.live is stored.rows.teacher_inputs is None
    (batch,) = data.test_dataloader()
    assert batch.answers is batch.teacher_inputs is None


# Alignment


@pytest.mark.parametrize("loader", ["train", "val", "test"])
@pytest.mark.parametrize("is_live", [False, True])
def test_a_teachers_answers_or_rows_stay_beside_their_own(cohort, split, loader, is_live):
    data = CohortDataModule(cohort, split, labels=0.5, batch_size=50)
    data = CHANGES["live" if is_live else "answers"](data)
    seen = []
    for batch in getattr(data, f"{loader}_dataloader")():
        rows = (batch.teacher_inputs if is_live else batch.answers)[:, 0].long()
        seen += rows.tolist()
        assert torch.equal(batch.inputs, data.rows.inputs[rows])
        assert batch.target.tolist() == cohort.target[rows].tolist()
        assert (batch.label_weight > 0).tolist() == data.labelled[rows].tolist()
        if is_live:
            assert (batch.teacher_inputs == rows[:, None]).all()
        else:
            assert torch.equal(batch.answers[:, 1].long(), -rows)
    part = split.part({"train": "train", "val": "validation", "test": "test"}[loader])
    known = part if loader != "val" else part[data.labelled[part]]
    assert sorted(seen) == known.tolist()
    assert (seen == known.tolist()) == (loader != "train")


def test_answers_for_another_number_of_rows_are_refused(data):
    with pytest.raises(ValueError, match="568 answers for 569 rows"):
        data.with_answers(answers(568))


def test_training_hands_over_batches_of_all_training_rows(data, split):
    batches = list(data.train_dataloader())
    assert sum(len(batch.target) for batch in batches) == len(split.train)


def test_rows_are_read_at_any_positions_with_equal_weights(data, cohort):
    positions = np.array([5, 3, 400])
    batch = data.read_at(positions)
    assert batch.inputs.equal(data.rows.inputs[positions])
    assert batch.target.tolist() == cohort.target[positions].tolist()
    assert batch.row_weight.tolist() == pytest.approx([1 / 3] * 3)
    assert np.array_equal(data.inputs_at(positions), batch.inputs.numpy())


def test_a_network_answers_every_row_as_networks_read_them(cohort, split):
    data = CohortDataModule(cohort, split)
    data.preprocessing = Shifted(data.preprocessing, 3.0)
    network = nn.Linear(30, 2)
    expected = network(data.rows.inputs + 3.0).detach()
    torch.testing.assert_close(data.answers_of(network), expected, rtol=0, atol=1e-6)


# Views


class Seen(Classifier):
    """Notes what training, validation and test steps are given."""

    def __init__(self, optimizer):
        super().__init__(nn.Linear(30, 2), 2, optimizer)
        self.seen = {"train": [], "validate": [], "test": []}

    def training_step(self, batch, batch_idx):
        self.seen["train"].append(batch)
        return super().training_step(batch, batch_idx)

    def validation_step(self, batch, batch_idx):
        self.seen["validate"].append(batch)
        return super().validation_step(batch, batch_idx)

    def test_step(self, batch, batch_idx):
        self.seen["test"].append(batch)
        return super().test_step(batch, batch_idx)


@pytest.fixture
def viewed(cohort, split):
    """Rows under a random view, by a preprocessing with a front."""
    data = CohortDataModule(cohort, split, view=Noise())
    data.preprocessing = Shifted(data.preprocessing, 1.0)
    return data


@pytest.fixture
def seen(adam, trainer_settings):
    def by_lightning(data):
        module = Seen(adam)
        trainer = make_trainer({**trainer_settings, "max_epochs": 2}, logger=False)
        trainer.fit(module, data)
        trainer.test(module, data, verbose=False)
        return module.seen

    return by_lightning


def test_training_rows_are_seen_anew_each_epoch_and_a_live_teacher_sees_the_very_view(viewed, seen):
    live = viewed.with_live_teacher(Shifted(viewed.preprocessing, -2.0))
    batches = seen(live)["train"]
    plain = Shifted(viewed.preprocessing, 1.0).front(live.rows.inputs)
    known = {tuple(row) for row in plain.tolist()}
    for batch in batches:
        assert not known & {tuple(row) for row in batch.inputs.tolist()}
        torch.testing.assert_close(batch.teacher_inputs, batch.inputs - 3, rtol=0, atol=1e-5)
    drawn = [tuple(row) for batch in batches for row in batch.inputs.tolist()]
    assert len(set(drawn)) == len(drawn) == 2 * len(viewed.split.train)


def test_validation_and_test_rows_have_no_view(viewed, seen, split):
    found = seen(viewed)
    expected = viewed.rows.inputs + 1
    for name, part in {"validate": split.validation, "test": split.test}.items():
        batch = found[name][-1]
        assert batch.inputs.equal(expected[part])
    assert not found["train"][0].inputs.equal(expected[split.train][: len(found["train"][0][0])])


def test_bytes_are_seen_as_floats_from_0_to_1(viewed):
    kept = []
    pixels = torch.tensor([[0, 51, 255]], dtype=torch.uint8)

    def keep(inputs):
        kept.append(inputs)
        return inputs

    batch = viewed.read_at(np.arange(1))._replace(inputs=pixels)
    viewed.as_read(batch, keep)
    torch.testing.assert_close(kept[0], torch.tensor([[0.0, 0.2, 1.0]]))


def test_a_view_is_refused_where_the_teacher_reads_the_rows_in_its_own_way(viewed):
    for other in (Shifted(viewed.preprocessing, 0.0, form="other"), Numbers(viewed.preprocessing)):
        with pytest.raises(UserError, match=r"teacher's preprocessing reads them otherwise"):
            viewed.with_live_teacher(other)


def test_preprocessings_with_inputs_of_their_own_never_share_a_view(cohort, split):
    data = CohortDataModule(cohort, split, view=Noise())  # their `form` is None
    with pytest.raises(UserError, match="view=none"):
        data.with_live_teacher(data.preprocessing)


# Layouts


def test_a_component_of_another_layout_is_refused_by_its_name_and_one_of_none_never(data):
    data.check_layout("vector", "student", "mlp", "preprocessing")
    data.check_layout(None, "student", "own", "preprocessing")
    with pytest.raises(SettingError) as caught:
        data.check_layout("image", "student", "cnn", "preprocessing")
    assert str(caught.value) == (
        "student=cnn: reads images, and the rows here are lists of numbers: take another student, "
        "or a preprocessing that makes such of them (preprocessing=...)"
    )


def test_another_split_shares_nothing(cohort, data):
    other = CohortDataModule(cohort, split_cohort(cohort, 1))
    assert other.rows.inputs.data_ptr() != data.rows.inputs.data_ptr()
