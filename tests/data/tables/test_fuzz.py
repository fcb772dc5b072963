"""Random tables: read as they were meant, or refused in one message."""

from __future__ import annotations

import importlib.util
import logging
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "scripts" / "fuzz_tables.py"


@pytest.fixture(scope="module")
def fuzz_tables():
    found = importlib.util.spec_from_file_location("fuzz_tables", SCRIPT)
    module = importlib.util.module_from_spec(found)
    sys.modules["fuzz_tables"] = module  # dataclasses look their module up
    found.loader.exec_module(module)
    return module


def test_random_tables_are_read_as_they_were_meant_or_refused_in_one_message(fuzz_tables):
    logging.disable(logging.WARNING)
    try:
        ended, failures = fuzz_tables.run(40, 0)
    finally:
        logging.disable(logging.NOTSET)
    assert failures == {}
    assert ended["read"] > 20
    assert any("refused" in end for end in ended)


@pytest.mark.parametrize(
    ("cells", "meant", "fault"),
    [
        (["1", "2"] * 12, [1.0, 3.0] * 12, "other numbers"),
        (["1", ""] * 12, [1.0, 2.0] * 12, "other cells are missing"),
        (["a", "A"] * 12, ["a", "b"] * 12, "merged or split"),
        (["7"] * 24, [7.0] * 24, "no feature"),
    ],
)
def test_the_fuzz_notices_what_was_changed(fuzz_tables, tmp_path, cells, meant, fault):
    path = tmp_path / "p.csv"
    rows = [f"{cell},{row / 7:.3f},{row % 2}" for row, cell in enumerate(cells)]
    path.write_text("\n".join(["x_c0c,age,ill", *rows]))
    cohort = fuzz_tables.table(str(path), "ill")
    assert fuzz_tables.changed(fuzz_tables.Made("x_c0c", cells, meant), cohort) == fault
