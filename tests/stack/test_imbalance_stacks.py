"""A member of a stack whose classes are out of balance is the student trained alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from meddistill.stack.fit import fit_stack
from stack_and_alone import MEMBERS, assert_members_as_alone, node, recipe, three_tables

KINDS = {
    "weights": [{}, {}, {}],
    "sampler": [{"correct": False}] * 3,
    "focal": [{"gamma": 0.5}, {"gamma": 2.0}, {"gamma": 5.0}],
    "logit_adjustment": [{"tau": 0.5}, {"tau": 1.0}, {"tau": 1.0}],
}


@pytest.fixture(scope="module")
def tables(cohort):
    return three_tables(cohort)


@pytest.mark.parametrize("kind", KINDS)
def test_a_treated_member_equals_the_student_trained_alone(kind, tables, tmp_path):
    own = [{**node("imbalance", kind), **each} for each in KINDS[kind]]
    chosen = [MEMBERS[1], MEMBERS[3], replace(MEMBERS[2], table=1)]
    members = [replace(m, imbalance=each) for m, each in zip(chosen, own, strict=True)]
    made = recipe(max_epochs=6)
    assert_members_as_alone(made, members, tables, tmp_path, most=1e-6)


@pytest.mark.parametrize("kind", [*(each for each in KINDS if each != "sampler"), "bent weights"])
def test_a_member_that_takes_nothing_from_labels_is_the_one_without_a_treatment(
    kind, tables, tmp_path
):
    name, correct = kind.rpartition(" ")[2], {"correct": False} if " " in kind else {}
    given = {**node("imbalance", name), **correct}
    made, plain = recipe(max_epochs=3), [MEMBERS[1], MEMBERS[2]]
    treated = [replace(each, imbalance=given) for each in plain]
    own, other = (fit_stack(made, each, tables, tmp_path / str(len(each[0].imbalance)))
                  for each in (plain, treated))  # fmt: skip
    np.testing.assert_array_equal(own.probabilities[1], other.probabilities[1])
    assert own.score[1] == other.score[1]
    assert own.score[0] != other.score[0]
