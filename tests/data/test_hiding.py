"""Further cells are hidden as real rows lack theirs, anew each epoch, in training rows alone."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch

from composing import composed
from frames import with_frame
from made_pictures import pictures
from meddistill.config.resolvers import resolved
from meddistill.data.datamodule import CohortDataModule
from meddistill.data.hiding import Patterns, check_hidden
from meddistill.data.images.records import ImageRecords
from meddistill.data.modalities import method_of
from meddistill.errors import SettingError, UserError
from meddistill.teachers.teaching import build_teacher

RANDOM = partial(np.random.default_rng, 0)


@pytest.fixture(scope="module")
def gappy(cohort):
    """Columns 0 to 2 are lacking together in a third of the rows, column 3 in another third."""
    schema = cohort.records.schema.only(cohort.records.columns[:6])
    frame = cohort.records.frame[schema.columns].copy()
    kind = RANDOM().integers(3, size=len(frame))
    frame.loc[kind == 1, schema.columns[:3]] = np.nan
    frame.loc[kind == 2, schema.columns[3]] = np.nan
    return with_frame(cohort, frame, schema)


def shares(hidden, known):
    return hidden.sum(axis=1) / known.sum(axis=1)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_the_share_of_known_cells_that_is_hidden_is_the_one_asked_for(share):
    random = RANDOM()
    known = random.random((4000, 20)) > random.choice([0.0, 0.02, 0.3, 0.8], 20)
    hidden = Patterns(known).draw(known, share, random)
    assert not (hidden & ~known).any()
    assert shares(hidden, known).mean() == pytest.approx(share, abs=0.01)
    for own in (slice(0, 10), slice(10, 20)):
        assert hidden[:, own].sum() > 0


def test_cells_that_rows_lack_together_are_hidden_together(gappy):
    known = np.ones((500, 6), dtype=bool)
    hidden = Patterns(gappy.records.known).draw(known, 0.3, RANDOM())
    assert (hidden[:, 0] == hidden[:, 1]).all()
    assert (hidden[:, 1] == hidden[:, 2]).all()
    assert 0 < hidden[:, 0].mean() < 1
    assert 0.25 < hidden[:, 4].mean() < 0.35  # no row lacks it: by itself


def test_patterns_that_can_not_reach_the_share_are_completed_cell_by_cell():
    """One row in fifty lacks each column but the first, which most rows lack."""
    known = np.ones((1000, 11), dtype=bool)
    known[:, 0] = False
    for column in range(1, 11):
        known[column * 20 : column * 20 + 20, column] = False
    hidden = Patterns(known).draw(np.ones((1000, 11), dtype=bool), 0.8, RANDOM())
    assert hidden.mean() == pytest.approx(0.8, abs=0.02)


def test_a_table_without_an_empty_cell_has_its_cells_hidden_one_by_one(cohort, caplog):
    patterns = Patterns(cohort.records.known)
    hidden = patterns.draw(cohort.records.known, 0.4, RANDOM())
    assert hidden.mean() == pytest.approx(0.4, abs=0.01)
    with caplog.at_level("INFO"):
        patterns.say(0.4)
    assert "0 training rows (0 columns), and 30 columns" in caplog.text


def test_training_inputs_are_those_of_rows_that_lack_the_cells(gappy, split):
    data = CohortDataModule(gappy, split, hide=0.3, batch_size=50)
    hidden = data.hidden
    inputs = hidden.inputs(0, 1)
    whole = data.rows.inputs[torch.from_numpy(data.train_rows)]
    assert inputs.shape == whole.shape
    changed = (inputs != whole).any(dim=1)
    assert 0.5 < changed.float().mean() < 1  # some rows are seen whole
    empty = data.preprocessing(gappy.records.emptied(np.ones((len(gappy.target), 6), dtype=bool)))
    is_whole, is_empty = inputs == whole, inputs == torch.from_numpy(empty)[: len(inputs)]
    assert (is_whole | is_empty).all()


def batches_of(data, epoch):
    loader = data.train_dataloader()
    loader.set_epoch(epoch)
    return [batch.inputs for batch in loader], [batch.target for batch in loader]


def test_an_epoch_is_drawn_from_seed_and_epoch_alone(gappy, split):
    data = CohortDataModule(gappy, split, hide=0.3, batch_size=50)
    first, targets = batches_of(data, 3)
    again, _ = batches_of(data.with_seed(0), 3)
    for other in (batches_of(data, 4)[0], batches_of(data.with_seed(1), 3)[0]):
        assert not torch.equal(torch.cat(first).sort(dim=0)[0], torch.cat(other).sort(dim=0)[0])
    assert all(map(torch.equal, first, again))
    plain = CohortDataModule(gappy, split, batch_size=50)
    assert all(map(torch.equal, targets, batches_of(plain, 3)[1]))  # the same rows in their order


def test_what_is_not_trained_on_stays_as_it_is(gappy, split):
    data, plain = (CohortDataModule(gappy, split, hide=hide) for hide in (0.5, 0.0))
    for part in ("val_dataloader", "test_dataloader"):
        ours, theirs = (list(getattr(each, part)()) for each in (data, plain))
        assert all(torch.equal(a.inputs, b.inputs) for a, b in zip(ours, theirs, strict=True))
    assert torch.equal(data.rows.inputs, plain.rows.inputs)


def test_patterns_are_those_of_training_rows_alone(gappy, split):
    frame = gappy.records.frame.copy()
    frame.loc[split.test, gappy.records.columns[4]] = np.nan
    frame.loc[split.validation] = np.nan
    other = with_frame(gappy, frame)
    made = [CohortDataModule(each, split, hide=0.3).hidden.inputs(0, 0) for each in (gappy, other)]
    assert torch.equal(*made)


def test_rows_that_nobody_labelled_are_hidden_too(gappy, split):
    data = CohortDataModule(gappy, split, hide=0.5)
    more = data.with_unlabelled(gappy.records.take(split.train[:40]))
    assert len(more.hidden.inputs(0, 0)) == len(split.train) + 40
    assert len(torch.cat(batches_of(more, 0)[0])) == len(split.train) + 40


def test_a_live_teacher_reads_the_whole_row(gappy, split):
    data = CohortDataModule(gappy, split, hide=0.5, batch_size=50)
    live = data.with_live_teacher(CohortDataModule(gappy, split).preprocessing)
    batch = live.as_read(next(iter(live.train_dataloader())))
    whole = {tuple(row) for row in data.rows.inputs.tolist()}
    assert {tuple(row) for row in batch.teacher_inputs.tolist()} <= whole
    assert not {tuple(row) for row in batch.inputs.tolist()} <= whole


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["missing.hide=1"], r"hide=1: must be a number at least 0 and at most 0.9"),
        (["missing.hide=-0.1"], r"hide=-0.1: must be"),
        (["+missing.hid=0.3"], r"missing.hid=0.3: .*did you mean hide"),
        (["missing=native", "preprocessing=bands"], r"missing=native: preprocessing=bands reads"),
        (["teacher.missing.hide=0.2"], r"teacher.missing.hide=0.2: a teacher reads rows as they"),
    ],
)
def test_what_can_not_be_is_refused_by_name(given, said):
    settings = resolved(composed("distill", "teacher=mlp", *given))

    def build():
        method_of(settings["preprocessing"], settings["missing"])
        build_teacher(settings)

    with pytest.raises(UserError, match=said):
        build()


def test_pictures_have_no_cells_to_hide():
    with pytest.raises(SettingError, match=r"missing.hide=0.3: hides cells of a table"):
        check_hidden(0.3, ImageRecords.of(pictures(6)[0][:, None]))


def test_the_student_its_own_teacher_hides_no_cell_from_it():
    settings = resolved(composed("distill", "teacher=self", "missing=native", "missing.hide=0.3"))
    teacher = build_teacher(settings)
    assert teacher.preprocessing == {**settings["missing"], "hide": 0.0}
