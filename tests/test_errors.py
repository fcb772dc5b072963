"""A user's mistakes survive the way back from another process."""

from __future__ import annotations

import pickle

import pytest

from meddistill.errors import SettingError, UserError


def test_an_error_that_a_launcher_pickles_comes_back_with_its_message():
    for error in (SettingError("alpha", 2, "must be at most 1").under("loss"), UserError("all")):
        back = pickle.loads(pickle.dumps(error))
        assert (type(back), str(back)) == (type(error), str(error))


@pytest.mark.parametrize(
    ("value", "typed"),
    [(None, "null"), (True, "true"), (False, "false"), (1, "1"), (0.0, "0.0"), ("True", "True"),
     ({}, "{}")],
)  # fmt: skip
def test_a_setting_is_written_as_it_is_typed(value, typed):
    assert str(SettingError("key", value, "no")) == f"key={typed}: no"
