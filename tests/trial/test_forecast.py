"""What a trial on a large table says before it starts."""

from __future__ import annotations

import logging

import pytest
from hydra import compose, initialize_config_dir

from meddistill.config.compose import build
from meddistill.config.confdir import conf_dir
from meddistill.config.resolvers import register_resolvers, resolved
from meddistill.runs.pace import in_words
from meddistill.trial import forecast
from meddistill.trial.tables import read_units
from meddistill.trial.units import make_units


def said(caplog, *overrides):
    register_resolvers()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        settings = resolved(compose("trial", ["trial.repeats=2", *overrides]))
    arms = {name: build(node, name, _recursive_=False) for name, node in settings["arms"].items()}
    units = make_units(settings)
    data = next(read_units(units))
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="meddistill.trial.forecast"):
        forecast.say_forecast(arms, units, data)
    return caplog.text


def test_a_large_table_is_timed_and_a_small_one_is_not(caplog, monkeypatch):
    assert said(caplog) == ""
    monkeypatch.setattr(forecast, "FEW_ROWS", 500)
    text = said(caplog)
    assert "569 rows, 64 a step of a student; 384 students to train" in text  # 4 x 12 x 2 x 4
    assert "4 teachers to train" in text
    assert "teacher=boosting" in text
    assert "4 teachers to fit" in said(caplog, "teacher=boosting")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(3, "3 s"), (119, "119 s"), (120, "2 minutes"), (9000, "2 hours"), (1e6, "12 days")],
)
def test_a_length_of_time_is_given_in_a_unit_that_suits_it(seconds, words):
    assert in_words(seconds) == words
