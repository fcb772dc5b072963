"""A user's mistakes survive the way back from another process."""

from __future__ import annotations

import pickle

import pytest

from meddistill.errors import SettingError, UserError, shown


def test_an_error_that_a_launcher_pickles_comes_back_with_its_message():
    for error in (SettingError("alpha", 2, "must be at most 1").under("loss"), UserError("all")):
        back = pickle.loads(pickle.dumps(error))
        assert (type(back), str(back)) == (type(error), str(error))


@pytest.mark.parametrize(
    ("value", "typed"),
    [(None, "null"), (True, "true"), (False, "false"), (1, "1"), (0.0, "0.0"), ("True", "True"),
     ({}, "{}"), (["age", None, "mean area", 3], "[age,null,mean area,3]"),
     (["a,b", "seed=0,1", ""], "['a,b','seed=0,1','']"),
     ({"crp": 10, "on": True}, "{crp: 10, on: true}")],
)  # fmt: skip
def test_a_setting_is_written_as_it_is_typed(value, typed):
    assert str(SettingError("key", value, "no")) == f"key={typed}: no"


def test_a_name_with_an_apostrophe_stands_in_other_quotes():
    assert (shown("thal"), shown("thal's")) == ("'thal'", '"thal\'s"')
