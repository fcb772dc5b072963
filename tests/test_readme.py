"""README's commands run as they stand, shortened; its files exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

import made_pictures
from conftest import SMALL_TEACHER
from made_series import made_arrays
from meddistill.config.confdir import FOLDER_VERBS

README = Path(__file__).parents[1] / "README.md"
TEXT = README.read_text(encoding="utf-8")
COMMANDS = [
    line
    for block in re.findall(r"```bash\n(.*?)```", TEXT, re.S)
    for line in block.splitlines()
    if line.startswith("meddistill ")
]


def shortened(command: str) -> list[str]:
    """The command with a small teacher and few epochs, trees and tries; `-m` stays in front."""
    arguments = [word for word in shlex.split(command)[1:] if word != "teacher=mlp_ensemble"]
    if arguments[0] in FOLDER_VERBS:
        return arguments
    chosen = any(word.startswith("teacher=") for word in arguments[1:])
    small = () if chosen else SMALL_TEACHER
    epochs = () if arguments[0] == "teacher" else ("trainer.max_epochs=1",)
    large = {"teacher=gru", "teacher=resnet_image"} & set(arguments)
    epochs += ("teacher.network.width=4", "teacher.trainer.max_epochs=1") if large else ()
    trees = ("teacher.trees=10",) if "teacher=forest" in arguments else ()
    tries = ("trial.seeds=1",) if arguments[0] == "trial" else ()
    return [*arguments, *small, *epochs, *trees, *tries]


@pytest.mark.slow
def test_readme_runs_every_command_it_shows(meddistill, cohort, monkeypatch):
    assert len(COMMANDS) >= 7
    cohort.records.frame.assign(diagnosis=cohort.target).to_csv("mine.csv", index=False)
    np.savez("stays.npz", **made_arrays())
    made_pictures.folder(Path("scans"), 40)
    for command in COMMANDS:
        code, out, err = meddistill(*shortened(command))
        assert code == 0, f"{command}\n{err}"
        assert "Report: " in out


def test_readmes_python_example_answers(meddistill, cohort):
    import meddistill as package

    meddistill("distill", *SMALL_TEACHER, "trainer.max_epochs=1")
    (folder,) = Path("outputs").glob("distill-*")
    assert 'meddistill.predict("outputs/distill-' in TEXT
    assert list(package.predict(folder, cohort.records.frame)) == ["benign", "malignant"]


@pytest.mark.parametrize("link", re.findall(r"\]\((?!http)([^)#]+)\)", TEXT))
def test_readmes_links_lead_somewhere(link):
    assert (README.parent / link).exists()
