"""Of a large table one split's inputs lie in memory at a time; the answers are the same."""

from __future__ import annotations

from weakref import WeakSet

import pytest
import torch

from meddistill.data.datamodule import Inputs
from meddistill.stack import plan, tables

SMALL = (
    "trial", "teacher=estimator", "teacher.estimator._target_=sklearn.tree.DecisionTreeClassifier",
    "+teacher.estimator.max_depth=3", "teacher.out_of_fold=false", "student=mlp_tiny",
    "trainer.max_epochs=1", "trial.repeats=2", "trial.seeds=1", "trial.few_labels=null",
    "arm=[teacher,student_alone,permuted_teacher,logistic]", "trial.main=logistic",
    "arms.student_alone.tune={optimizer.weight_decay:[0.0]}", "arms.logistic.tune={C:[1.0]}",
    "arms.permuted_teacher.tune={loss.temperature:[1.0]}",
)  # fmt: skip


@pytest.fixture
def held(monkeypatch):
    """How many splits' inputs there were in memory after each time that some were asked for."""
    counts, seen, ask = [], WeakSet(), Inputs.__call__

    def counted(self):
        seen.add(self)
        made = ask(self)
        counts.append(sum(each._made is not None for each in seen))
        return made

    monkeypatch.setattr(Inputs, "__call__", counted)
    return counts


def test_a_trial_holds_the_inputs_of_one_split_at_a_time_where_they_are_many(
    held, monkeypatch, meddistill
):
    monkeypatch.setattr(tables, "HELD", 0)
    monkeypatch.setattr(plan, "CHUNK_BYTES", {"cpu": 1})
    code, _, err = meddistill(*SMALL)
    assert code == 0, err
    assert len(held) > 8
    assert max(held) == 1


def test_inputs_that_were_let_go_are_made_anew_and_the_same(data):
    before, rows = data.rows.inputs.clone(), data.train_rows
    data = data.with_unlabelled(data.cohort.records.take(rows[:5]))
    data.let_go()
    assert torch.equal(data.rows.inputs[: len(before)], before)
    assert torch.equal(data.rows.inputs[-5:], before[torch.from_numpy(rows[:5])])
    assert data.input_bytes == data.rows.inputs.nbytes
