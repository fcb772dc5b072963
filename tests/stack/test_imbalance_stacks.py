"""A member of a stack whose classes are out of balance is the student trained alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

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
    chosen = [MEMBERS[1], MEMBERS[3], replace(MEMBERS[1], table=1)]
    members = [replace(m, imbalance=each) for m, each in zip(chosen, own, strict=True)]
    made = recipe(max_epochs=6)
    assert_members_as_alone(made, members, tables, tmp_path, most=1e-6)
