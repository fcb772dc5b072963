"""The same finding is said once a command, with a count, whoever gives it."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import pytest

from meddistill.once import Once, counted

TRIAL = (
    "trial", "teacher=mlp", "teacher.network.width=4", "teacher.network.depth=1",
    "teacher.optimizer.lr=30", "teacher.trainer.max_epochs=1", "student=mlp_tiny",
    "trainer.max_epochs=1", "trial.repeats=3", "trial.seeds=1", "trial.few_labels=null",
    "arm=[teacher,student_alone]", "trial.main=teacher", "hydra.run.dir=run",
    "arms.student_alone.tune={optimizer.weight_decay:[0.0]}",
)  # fmt: skip
WORSE = "is worse than that of the class shares alone"


@pytest.fixture
def said(caplog):
    """What the console would say."""
    lines, once = [], Once()

    class Console(logging.Handler):
        def emit(self, record):
            lines.append(record.getMessage())

    console = Console()
    console.addFilter(once)
    logger = logging.getLogger("meddistill.tried")
    logger.setLevel(logging.INFO)
    logger.addHandler(console)
    logging.getLogger("meddistill.once").addHandler(console)
    yield logger, lines
    logger.removeHandler(console)
    logging.getLogger("meddistill.once").removeHandler(console)


def test_a_finding_is_known_by_its_words_whatever_its_numbers(said, capsys):
    logger, lines = said
    with counted():
        for loss in (0.7, 0.8, 0.9):
            logger.warning("log loss %.1f is high: %s", loss, "mend it")
        logger.warning("log loss %.1f is high: %s", 0.7, "or leave it")
        for _ in range(2):
            logger.info("plain lines come each time")
    warned = ["log loss 0.7 is high: mend it", "log loss 0.7 is high: or leave it"]
    assert lines == [*warned, *2 * ["plain lines come each time"]]
    assert capsys.readouterr().out == "3 times in all: log loss 0.7 is high: mend it\n"


def test_a_librarys_warning_is_said_so_too(said, capsys):
    _, lines = said
    with counted(), warnings.catch_warnings():
        warnings.simplefilter("always")
        for _ in range(4):
            warnings.warn("did not\n  converge", RuntimeWarning, stacklevel=1)
    assert lines == ["RuntimeWarning: did not converge"]
    assert capsys.readouterr().out.startswith("4 times in all: RuntimeWarning")


def test_the_next_command_says_it_again(said):
    logger, lines = said
    for _ in range(2):
        with counted():
            logger.warning("found")
    assert lines == ["found", "found"]


def test_a_trial_says_once_what_it_finds_on_every_split_and_its_log_file_each_time(meddistill):
    code, out, err = meddistill(*TRIAL)
    assert code == 0, err
    file = Path("run/trial.log").read_text()
    assert file.count(WORSE) > 1
    assert out.count(WORSE) == 2, "once, and once in the count at the end"
    assert f"{file.count(WORSE)} times in all: validation log loss" in out


@pytest.mark.parametrize("sweeper", ["basic", "stacked"])
def test_a_sweep_says_once_what_it_finds_in_every_job(meddistill, sweeper):
    code, out, err = meddistill(
        "distill", "-m", "loss=ce", "student=mlp_tiny", "optimizer.lr=1e6", "trainer.max_epochs=1",
        "seed=0,1", f"hydra/sweeper={sweeper}", "batch_size=32,16", "logger=none",
    )  # fmt: skip
    assert code == 0, err
    assert out.count("of the class shares alone") == 2
    assert " times in all: " in out
