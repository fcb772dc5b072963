"""Splits that the students of stacks read."""

from __future__ import annotations

import pytest

from stack_and_alone import taught


@pytest.fixture(scope="module")
def tables(cohort):
    return [taught(cohort, 0), taught(cohort, 1), taught(cohort, 0, labels=0.3)]
