"""Completion in a real bash, as it is installed by what `--hydra-help` prints."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ASK = """
eval "$(meddistill -sc install=bash)"
COMP_LINE=$1; COMP_POINT=${#1}; COMP_WORDS=($1); COMP_CWORD=$2
hydra_bash_completion 2> /dev/null
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def bash(tmp_path_factory):
    """What bash offers for a line whose last word stands at a place."""
    if shutil.which("bash") is None:
        pytest.skip("there is no bash here")
    folder = tmp_path_factory.mktemp("bin")
    script = folder / "meddistill"
    script.write_text(f"#!{sys.executable}\nfrom meddistill.cli import main\nmain()\n")
    script.chmod(0o755)
    path = {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}

    def offered(line: str, place: int) -> list[str]:
        done = subprocess.run(
            ["bash", "-c", ASK, "bash", line, str(place)],
            capture_output=True, text=True, env=path, check=True, cwd=folder,
        )  # fmt: skip
        return done.stdout.split()

    return offered


def test_bash_completes_verbs(bash):
    assert bash("meddistill d", 1) == ["distill"]


def test_bash_completes_a_verbs_choices_after_its_flags(bash):
    assert bash("meddistill distill -m student=mlp_", 3) == [
        "student=mlp_small",
        "student=mlp_tiny",
    ]
    assert bash("meddistill trial trial.re", 2) == ["trial.repeats="]


def test_choices_of_ones_own_folder_are_completed(meddistill, monkeypatch, tmp_path):
    (tmp_path / "mine" / "student").mkdir(parents=True)
    (tmp_path / "mine" / "student" / "wide.yaml").write_text("_target_: x\n")
    monkeypatch.setenv("COMP_LINE", "meddistill distill --config-dir mine student=w")
    code, out, err = meddistill("-sc", "query=bash")
    assert code == 0, err
    assert "student=wide" in out.split()


def test_hydras_help_says_how_to_install_it(meddistill):
    code, out, _ = meddistill("--hydra-help")
    assert code == 0
    assert "-sc install=bash" in out


@pytest.mark.parametrize("arguments", [["--help"], ["distill", "--help"]])
def test_help_shows_every_group_and_choices_of_ones_own_folder(meddistill, arguments):
    Path("mine", "student").mkdir(parents=True)
    Path("mine", "student", "wide.yaml").write_text("_target_: meddistill.models.mlp.MLP\n")
    _, out, err = meddistill(*arguments)
    assert "wide" not in out
    for group in ("callbacks", "scheduler", "synthetic"):
        assert re.search(rf"^  {group} +(cosine|early_stopping|gibbs)", out, re.MULTILINE), err
    for given in (["--config-dir", "mine"], ["--config-dir=mine"]):
        _, out, err = meddistill(*arguments, *given)
        assert re.search(r"^  student +.*pathway,\s+scorecard,\s+wide$", out, re.MULTILINE), err
