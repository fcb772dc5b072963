"""A user's mistakes survive the way back from another process."""

from __future__ import annotations

import pickle

from meddistill.errors import SettingError, UserError


def test_an_error_that_a_launcher_pickles_comes_back_with_its_message():
    for error in (SettingError("alpha", 2, "must be at most 1").under("loss"), UserError("all")):
        back = pickle.loads(pickle.dumps(error))
        assert (type(back), str(back)) == (type(error), str(error))
