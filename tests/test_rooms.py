"""A room of the package imports from those below it, as pyproject.toml has them in order."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

HOUSE = Path(__file__).parents[1] / "pyproject.toml"
UPSIDE_DOWN = """
[tool.importlinter]
root_package = "meddistill"
[[tool.importlinter.contracts]]
name = "upside down"
type = "layers"
containers = ["meddistill"]
exhaustive = {exhaustive}
layers = ["errors", "files"]
"""


@pytest.fixture(autouse=True)
def loggers_go_on():
    """The linter sets logging up for itself, which switches off every logger there is."""
    yield
    for logger in logging.root.manager.loggerDict.values():
        if isinstance(logger, logging.Logger):
            logger.disabled = False


def lint(file: Path) -> int:
    return lint_imports(str(file), no_cache=True)


def test_no_room_imports_from_one_above_it_no_modules_in_a_circle_and_every_folder_has_a_place(
    capsys,
):
    assert lint(HOUSE) == 0, capsys.readouterr().out


@pytest.mark.parametrize(
    ("exhaustive", "said"),
    [
        ("false", "meddistill.files.atomic -> meddistill.errors"),
        ("true", "meddistill.cli"),
    ],
)
def test_an_arrow_up_and_a_folder_without_a_place_are_named(tmp_path, capsys, exhaustive, said):
    file = tmp_path / "pyproject.toml"
    file.write_text(UPSIDE_DOWN.format(exhaustive=exhaustive))
    assert lint(file) == 1
    assert said in capsys.readouterr().out
