"""Lines on how far work is: few, and true."""

from __future__ import annotations

import logging

import pytest

from meddistill.runs import pace as module
from meddistill.runs.pace import Pace, quiet


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(module.time, "perf_counter", lambda: now[0])
    return now


def test_it_speaks_every_five_seconds_and_not_at_the_end(clock, caplog):
    caplog.set_level(logging.INFO)
    pace = Pace("teachers: {} splits", 20)
    for _ in range(20):
        clock[0] += 2
        pace.step()
    assert len(caplog.messages) == 6
    assert caplog.messages[0] == "teachers: 3 of 20 splits in 6 s, about 34 s to go"
    assert not any("20 of 20" in line for line in caplog.messages)


def test_quiet_keeps_warnings_and_ends_after_an_error(caplog):
    caplog.set_level(logging.INFO)
    log = logging.getLogger("meddistill.somewhere")
    log.setLevel(logging.INFO)

    def work():
        log.info("noise")
        log.warning("trouble")
        raise ValueError("over")

    with pytest.raises(ValueError, match="over"), quiet("meddistill.somewhere"):
        work()
    log.info("again")
    assert caplog.messages == ["trouble", "again"]
